"""The manual's pages, made of the commands' own help when a wheel is built: laser(1), and one for each command.

Own code, as `click-man` does not know the commands of Typer since that carries its own Click.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from laser_cli import __version__
from laser_cli.cli.main import COMMANDS, EPILOG, app

EXIT_CODES = {
    0: "done",
    1: "failed",
    2: "usage",
    3: "model or planner not found",
    4: "out of memory",
    5: "bad input",
    6: "part of a batch failed",
    130: "ended by Ctrl-C",
    143: "ended by SIGTERM",
}
FILES = {
    "config.yaml": "Your settings, written like a preset, in the folder that laser config names.",
    "presets/*.yaml": "Your presets, beside it.",
}


def write_pages(folder: Path) -> list[Path]:
    """Write every page into the folder; their paths."""
    written = []
    for name, text in pages().items():
        path = folder / f"{name}.1"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def pages() -> dict[str, str]:
    """Pages by name: `laser`, `laser-animate`, `laser-bench-speed`."""
    root: Any = typer.main.get_command(app)
    context = root.make_context("laser", ["config"])
    found = {"laser": page("laser", root, context, {f"laser-{name}": told for name, told in COMMANDS.items()})}
    for name in COMMANDS:
        _, command, _ = root.resolve_command(context, [name])
        found |= dict(_pages_of(f"laser-{name}", command, context))
    return found


def _pages_of(name: str, command: Any, parent: Any) -> Iterator[tuple[str, str]]:
    context = type(parent)(command, info_name=name.rpartition("-")[2], parent=parent)
    inner = getattr(command, "commands", {})
    yield name, page(name, command, context, {f"{name}-{key}": _brief(each) for key, each in inner.items()})
    for key, each in inner.items():
        yield from _pages_of(f"{name}-{key}", each, context)


def page(name: str, command: Any, context: Any, commands: dict[str, str]) -> str:
    """One page in roff, with the options in their panels."""
    lines = [f'.TH "{name.upper()}" "1" "" "laser {__version__}" "laser"', ".SH NAME"]
    lines += [f"{_text(name)} \\- {_text(_brief(command))}", ".SH SYNOPSIS", f".B {_text(name.replace('-', ' '))}"]
    lines += [_text(" ".join(command.collect_usage_pieces(context))), ".SH DESCRIPTION"]
    for paragraph in (command.help or "").split("\n\n"):
        lines += [".PP", _text(" ".join(paragraph.split()))]
    if commands:
        lines.append(".SH COMMANDS")
        for key, told in commands.items():
            lines += [".TP", f".BR {_text(key)} (1)", _text(told)]
    panels: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        if entry := _parameter(parameter, context):
            panels.setdefault(_panel(parameter), []).extend(entry)
    for panel, entries in sorted(panels.items(), key=lambda item: item[0] != "Arguments"):
        lines += [f'.SH "{panel.upper()}"', *entries]
    lines += [".SH ENVIRONMENT", _text(" ".join(EPILOG.split())), ".SH FILES"]
    for file, told in FILES.items():
        lines += [".TP", f".I {_text(file)}", _text(told)]
    lines.append('.SH "EXIT STATUS"')
    for code, told in EXIT_CODES.items():
        lines += [".TP", f".B {code}", _text(told)]
    return "\n".join(lines) + "\n"


def _brief(command: Any) -> str:
    return " ".join((command.help or command.short_help or "").strip().split("\n\n")[0].split())


def _panel(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"


def _parameter(parameter: Any, context: Any) -> list[str]:
    """An option or argument with its help; nothing of hidden ones."""
    if getattr(parameter, "hidden", False):
        return []
    told = _text(" ".join((getattr(parameter, "help", None) or "").split()))
    if parameter.param_type_name == "argument":
        return [".TP", f".I {_text(_value(parameter, context))}", told]
    names = ", ".join(f"\\fB{_text(name)}\\fR" for name in (*parameter.opts, *parameter.secondary_opts))
    value = "" if parameter.is_flag else f" \\fI{_text(_value(parameter, context))}\\fR"
    return [".TP", names + value, told]


def _value(parameter: Any, context: Any) -> str:
    """What stands for an option's value, such as N|N/M; Typer names the way to ask for it by version."""
    name = getattr(parameter, "display_type", None) or parameter.make_metavar
    return str(parameter.metavar or name(context))


def _text(text: str) -> str:
    """Text that roff prints as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
