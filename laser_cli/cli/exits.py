"""How the program ends: exceptions and signals become one message on stderr and an exit code."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from laser_cli.cli.early import color_help, mark
from laser_cli.cli.events import event, send, take_warnings
from laser_cli.cli.events import wanted as events_wanted
from laser_cli.errors import LaserError, machine_error
from laser_cli.terminal import printable

BROKEN_PIPE_CODE = 1


class Terminated(BaseException):
    """A signal asked the program to end; an exception, so that temporary files are removed on the way out."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.exit_code = 128 + signum


def end_with(application: Callable[..., object]) -> NoReturn:
    """Run a command line and exit: the one place where exceptions and signals become exit codes."""
    _catch_signals()
    _open_streams()
    color_help()
    if events_wanted():
        take_warnings()
    try:
        code = exit_code(application)
    finally:
        sys.excepthook = lambda kind, error, trace: _report(error)  # only here: Typer sets its own when it is called
        # a handler that still raised could break the interpreter's own shutdown
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.exit(code)


def exit_code(application: Callable[..., object]) -> int:
    """Call a Typer app and return its exit code; what went wrong is told on stderr.

    What is neither laser's own error nor the machine's is a bug, and raised: `end_with` tells it by its excepthook.
    """
    try:
        code = _call_for_events(application) if events_wanted() else _call(application)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            _tell(end.code)
    except KeyboardInterrupt:
        code = 130
    except Terminated as end:
        code = end.exit_code
    except BrokenPipeError:
        code = drop_stdout()
    except (
        LaserError,
        OSError,
        MemoryError,
        RuntimeError,
        ImportError,
    ) as error:  # the last two: torch's, without memory
        code = _report(error)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = drop_stdout()
    except OSError as error:  # what was printed is lost: on a full disk, say
        drop_stdout()
        code = code or _report(error)
    return code


def _call(application: Callable[..., object]) -> int:
    # standalone mode prints usage errors (2) and turns typer.Exit and Ctrl-C (130) into SystemExit by itself
    application(prog_name="laser")
    return 0


def _call_for_events(application: Callable[..., object]) -> int:
    """The same, with usage errors as events."""
    try:
        code = application(prog_name="laser", standalone_mode=False)
    except Exception as error:
        # the parser's own kinds of error have no public name that every version of Typer knows
        said, number = getattr(error, "format_message", None), getattr(error, "exit_code", None)
        if said is None or not isinstance(number, int):
            raise
        send(event("error", message=said(), why="", hint="laser COMMAND --help", exit_code=number))
        return number
    return code if isinstance(code, int) else 0


def _report(error: BaseException) -> int:
    """Tells an error in one line and returns its exit code; the traceback only where it is asked for."""
    if os.environ.get("LASER_DEBUG") == "1":
        traceback.print_exception(error)
    told = error if isinstance(error, LaserError) else machine_error(error)
    if told is None:
        first_line = next(iter(str(error).strip().splitlines()), "")
        name = f"{type(error).__name__}: {first_line}".rstrip(": ")
        told = LaserError(f"unexpected {printable(name)} (LASER_DEBUG=1 shows the traceback)")
    if events_wanted():
        send(event("error", message=told.what, why=told.why, hint=told.hint, exit_code=told.exit_code))
    else:
        _tell(told.render().replace("error:", mark("error:", "1;31", sys.stderr), 1))
    return told.exit_code


def _tell(text: str) -> None:
    """Print to stderr, if anybody can be told there: a full disk or a closed pipe changes no exit code."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def _open_streams() -> None:
    """Give the program all three standard streams, and stdout UTF-8.

    Where one was closed the next file that is opened would take its number, and messages would end up in it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            sink = os.open(os.devnull, os.O_RDWR)
            if sink != number:
                os.dup2(sink, number)
                os.close(sink)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (for as long as we live)
    if hasattr(sys.stdout, "reconfigure"):
        # a path that is not valid text is printed as it came
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    if hasattr(sys.stderr, "reconfigure"):
        sys.stderr.reconfigure(errors="backslashreplace")


def drop_stdout() -> int:
    """Let the interpreter's last flush of a closed pipe go nowhere, instead of printing a second error."""
    with suppress(OSError, ValueError):  # it may be no file at all
        sink = os.open(os.devnull, os.O_WRONLY)
        own = sys.__stdout__ if sys.stdout is sys.stderr else sys.stdout  # libraries may have been told to print aside
        os.dup2(sink, own.fileno())  # type: ignore[union-attr]
        os.close(sink)
    return BROKEN_PIPE_CODE


def _catch_signals() -> None:
    def end(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_IGN)  # a second one must not break into the cleaning up
        raise Terminated(signum)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            signal.signal(number, end)
