"""Chat templates of strangers, rendered in a process of their own that limits of time, memory and output end.

Run as a script it is that process: it reads a request from stdin, writes an answer to stdout, and needs only Jinja.
A template may loop for ever, or ask for gigabytes in three words, already while it is compiled.
"""

import sys

if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules must not stand in for others of the same name

import json
import subprocess
from collections.abc import Mapping
from typing import Any


class TemplateFailure(Exception):
    """A template failed, or went beyond its limits; the message says how."""


def render_chat(template: str, values: Mapping[str, Any]) -> str:
    """The prompt that a template makes of `values`.

    Raises TemplateFailure if it fails, or takes more time, memory (on POSIX) or characters than laser_cli.limits allow.
    """
    from laser_cli import limits
    from laser_cli.errors import reason

    request = {
        "template": template,
        "values": dict(values),
        "seconds": limits.TEMPLATE_SECONDS,
        "memory": limits.TEMPLATE_MEMORY,
        "output": limits.TEMPLATE_OUTPUT,
    }
    try:
        done = subprocess.run(
            [sys.executable, __file__],
            input=json.dumps(request).encode("ascii"),
            capture_output=True,
            check=False,
            timeout=limits.TEMPLATE_SECONDS,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise TemplateFailure(f"it took longer than {limits.TEMPLATE_SECONDS:g} s") from error
    except OSError as error:
        raise TemplateFailure(f"no process could be started for it: {reason(error)}") from error
    except ValueError as error:
        # killed in the middle, by the limits of the system or a crash of the interpreter
        raise TemplateFailure("it went beyond the limits of time and memory") from error
    if "error" in answer:
        raise TemplateFailure(str(answer["error"]))
    return str(answer["prompt"])


def _render(request: Mapping[str, Any]) -> str:
    import datetime

    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        """The tag {% generation %} of Hugging Face's templates, which marks and changes nothing."""

        tags = {"generation"}  # noqa: RUF012 (as its base class declares it)

        def parse(self, parser: Any) -> Any:
            parser.stream.skip(1)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    # as transformers and llama-cpp-python set it up
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.BaseLoader(),
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols],
    )

    def raise_exception(message: str) -> None:
        raise ValueError(message)

    def to_json(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    environment.filters["tojson"] = to_json
    helpers = {
        "raise_exception": raise_exception,
        "strftime_now": lambda form: datetime.datetime.now().strftime(form),
        "add_generation_prompt": True,
        **dict.fromkeys(("functions", "function_call", "tools", "tool_choice")),
    }
    pieces: list[str] = []
    length = 0
    for number, piece in enumerate(
        environment.from_string(request["template"]).generate(**helpers, **request["values"])
    ):
        pieces.append(piece)
        length += len(piece)
        if length > request["output"]:
            raise ValueError(f"it writes more than {request['output']:,} characters")
        if number > request["output"]:
            raise ValueError("it writes without end")
    return "".join(pieces)


def _limit(seconds: float, memory: int) -> None:
    """End this process when it has computed for too long, and refuse it memory beyond what it has now."""
    try:
        import resource
    except ImportError:  # Windows: the time alone ends it
        return
    used = 0
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        used = 2**30  # elsewhere: more than an interpreter takes
    for kind, most in ((resource.RLIMIT_CPU, int(seconds) + 1), (resource.RLIMIT_AS, used + memory)):
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (bound, hard))
        except (OSError, ValueError):
            continue  # macOS knows no limit of memory
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, resource.getrlimit(kind)[1]))


def _main() -> None:
    request = json.loads(sys.stdin.buffer.read())
    try:
        _limit(request["seconds"], request["memory"])
        answer = {"prompt": _render(request)}
    except MemoryError:
        answer = {"error": "it asks for too much memory"}
    except RecursionError:
        answer = {"error": "it calls itself without end"}
    except Exception as error:  # a template is a program: it may fail in any of Python's ways
        told = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        answer = {"error": told[:500]}
    try:
        sys.stdout.write(json.dumps(answer))
    except MemoryError:
        sys.stdout.write('{"error": "it asks for too much memory"}')


if __name__ == "__main__":
    _main()
