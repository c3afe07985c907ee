"""How the program ends: exceptions and signals become one message on stderr and an exit code."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from laser_cli.errors import LaserError, MemoryExhausted, out_of_memory

BROKEN_PIPE_CODE = 1
OUT_OF_MEMORY_HINT = "a smaller picture, fewer frames at a time, or a half-precision --dtype"


class Terminated(BaseException):
    """A signal asked the program to end; an exception, so that temporary files are removed on the way out."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"signal {signum}")
        self.exit_code = 128 + signum


def end_with(application: Callable[..., object]) -> NoReturn:
    """Run a command line and exit: the one place where exceptions and signals become exit codes."""
    _catch_signals()
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")  # a path that is not valid text is printed as it came
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
        # standalone mode prints usage errors (2) and turns typer.Exit and Ctrl-C (130) into SystemExit by itself
        application(prog_name="laser")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except KeyboardInterrupt:
        code = 130
    except Terminated as end:
        code = end.exit_code
    except BrokenPipeError:
        code = _drop_stdout()
    except (LaserError, OSError, MemoryError, RuntimeError) as error:  # the last: torch's, out of a device's memory too
        code = _report(error)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _drop_stdout()
    return code


def _report(error: BaseException) -> int:
    """Tells an error in one line and returns its exit code; the traceback only where it is asked for."""
    if os.environ.get("LASER_DEBUG") == "1":
        traceback.print_exception(error)
    first_line = next(iter(str(error).strip().splitlines()), "")
    if out_of_memory(error) and not isinstance(error, LaserError):
        error = MemoryExhausted("out of memory", why=first_line, hint=OUT_OF_MEMORY_HINT)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        error = LaserError("the disk is full", why=first_line, hint="make room, or write to another disk")
    if isinstance(error, LaserError):
        print(error.render(), file=sys.stderr)
        return error.exit_code
    told = f"{type(error).__name__}: {first_line}".rstrip(": ")
    print(f"error: unexpected {told} (LASER_DEBUG=1 shows the traceback)", file=sys.stderr)
    return 1


def _drop_stdout() -> int:
    """Let the interpreter's last flush of a closed pipe go nowhere, instead of printing a second error."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.stdout.fileno())
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
