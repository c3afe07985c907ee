"""Plan files: YAML or JSON that people edit by hand, so every error names the line and the key."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from laser_cli import limits
from laser_cli.errors import BadInputError
from laser_cli.plan.schema import FacePoint, Plan, Planner, Segment
from laser_cli.text import read_stdin, read_text, write_stdout
from laser_cli.yaml_text import read_yaml

Format = Literal["yaml", "json"]

SHOWN_ERRORS = 8
HEADER = """\
# A laser plan. `source` describes the picture that is there; each segment then leads to its own `prompt`.
#   control   texture (colour, light, weather) | motion (place, size, pose) | hybrid (another subject) | hold (nothing)
#             words (what the prompts share) | local (the same, and all that no changed word looks at)
#   strength  0..1: how firmly the control holds on to the picture
#   frames    pictures in the segment, first and last included; neighbours share the one between them
#             without it a segment takes its even share
#   back      true: the segment leads back to the picture itself, and needs no prompt
#   via       true: its end is on the way of the next segment; their time runs as one, and an even pace may move it
#   easing    linear | ease | ease-in | ease-out
"""
CONDITION_HEADER = """\
#   condition a picture of edges, depth or a pose, or OpenPose JSON: it leads the keyframe at the segment's end, or the
#             source picture; a list where there are several ControlNets; a keyframe without one is not led
"""
FACE_HEADER = """\
#   face      at a percentage of the time: expression 0..100 by ARKit's names, yaw, pitch and roll in degrees
"""
_KEYS = {
    "plan": tuple(Plan.model_fields),
    "segments": tuple(Segment.model_fields),
    "planner": tuple(Planner.model_fields),
    "face": tuple(FacePoint.model_fields),
}


def read_plan(path: str | Path) -> Plan:
    """The plan in a file, or on stdin for `-`; BadInputError for anything that is not one."""
    if str(path) == "-":
        return parse_plan(read_stdin("the plan ", limits.PLAN_BYTES), "stdin")
    return parse_plan(read_text(Path(path), "the plan ", limits.PLAN_BYTES), str(path))


def parse_plan(text: str, name: str = "the plan") -> Plan:
    """The plan in a text of YAML or JSON; `name` is what errors call it."""
    document = read_yaml(text, name, "a plan")
    value = document.value
    if not isinstance(value, dict):
        why = "it is empty" if value is None else "it should start with keys such as `source:` and `segments:`"
        raise BadInputError(f"{name} is not a plan", why=why, hint="`laser plan` writes one to start from")
    try:
        return Plan.model_validate(value)
    except ValidationError as error:
        raise _explain(error, document.root, name) from error


def is_plan(path: Path) -> bool:
    """Whether a file is a plan: what laser wrote, however it was edited since."""
    try:
        read_plan(path)
    except BadInputError:
        return False
    return True


def write_plan(plan: Plan, path: str | Path, *, force: bool = False) -> None:
    """Write the plan, as JSON where the name ends in .json, else as YAML; `-` is stdout. `force`: if read-only too."""
    if str(path) == "-":
        write_stdout(plan_text(plan))
        return
    from laser_cli.output.atomic import staged

    path = Path(path)
    with staged(path, force=force) as made:
        made.write_text(plan_text(plan, format_of(path)), encoding="utf-8", newline="\n")


def format_of(path: str | Path) -> Format:
    """The format that a file's name asks for."""
    return "json" if Path(path).suffix.lower() == ".json" else "yaml"


def plan_text(plan: Plan, format: Format = "yaml") -> str:
    """The plan as text that `parse_plan` reads back equal."""
    value = plan.model_dump(mode="json")
    if format == "json":
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    if plan.face:
        value["face"] = [_Line(point) for point in value["face"]]
    led = plan.condition or any(segment.condition for segment in plan.segments)
    header = HEADER + (CONDITION_HEADER if led else "") + (FACE_HEADER if plan.face else "")
    # the width keeps every prompt on one line, easy to edit and to compare
    return header + yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)


class _Line(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Quotes the line breaks of Unicode, which YAML would read back as spaces."""


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(c in text for c in "\x85\u2028\u2029\ufeff") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _line_node(dumper: _Dumper, line: _Line) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", line, flow_style=True)


_Dumper.add_representer(str, _text_node)
_Dumper.add_representer(_Line, _line_node)


def _explain(error: ValidationError, root: yaml.Node | None, name: str) -> BadInputError:
    details = error.errors(include_url=False)
    # a list whose items are wrong counts as empty to pydantic: that is not what is wrong with it
    items = {detail["loc"][:-1] for detail in details} | {detail["loc"][:-2] for detail in details}
    details = [d for d in details if d["type"] != "too_short" or not any(p[: len(d["loc"])] == d["loc"] for p in items)]
    lines, hints = [], []
    for detail in details[:SHOWN_ERRORS]:
        line, key, written = _where(root, detail["loc"])
        said, hint = _problem(detail, written)
        place = ", ".join(filter(None, [f"line {line}" if line else "", key]))
        entry = f"{place}: {said}" if place else said
        if entry not in lines:
            lines.append(entry)
        if hint and hint not in hints:
            hints.append(hint)
    if len(details) > SHOWN_ERRORS:
        lines.append(f"and {len(details) - SHOWN_ERRORS} more")
    if len(lines) == 1:
        return BadInputError(f"{name}, {lines[0]}", hint="\n".join(hints))
    return BadInputError(f"{name} is not a valid plan", why="\n".join(lines), hint="\n".join(hints))


def _where(root: yaml.Node | None, location: Sequence[str | int]) -> tuple[int | None, str, str]:
    """The line of the deepest part of a location that is in the file, its key and its value as people write them."""
    node, line, key = root, root.start_mark.line + 1 if root else None, ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        elif key.endswith("planner.version"):
            break  # the name of a union's branch, not a key
        elif part == "[key]":
            break  # the key before it is what is wrong
        else:
            key += f".{part}" if key else part
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == part), None)
            node, line = (pair[1], pair[0].start_mark.line + 1) if pair else (None, line)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            node = None
    return line, key, node.value if isinstance(node, yaml.ScalarNode) else ""


def _problem(detail: Mapping[str, Any], written: str) -> tuple[str, str]:
    """What is wrong, in words, and what to do about it; `written` is how the value stands in the file."""
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        location = detail["loc"]
        known = _KEYS[next((part for part in location[:-1] if isinstance(part, str)), "plan")]
        near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        return "unknown key", f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(known)}"
    if kind == "missing":
        return "missing", "a plan needs `source` and `segments`; a segment `prompt`, a face point `at`"
    if kind == "literal_error":
        if detail["loc"] == ("version",):
            return f"{_shown(given)} is not a version that this laser reads (1)", ""
        allowed = [word.strip("' ") for word in context["expected"].replace(" or ", ", ").split(",")]
        near = get_close_matches(str(given), allowed, n=1, cutoff=0.5)
        return f"{_shown(given)} is not one of {', '.join(allowed)}", f"did you mean {near[0]!r}?" if near else ""
    if kind == "string_type" and given is not None and not isinstance(given, list | dict):
        dated = isinstance(given, datetime.date)  # and datetime, which is one
        meant = " (a date in YAML)" if dated else f" ({written[:40]} means that in YAML)" if written else ""
        return f"{_shown(given)} is not text{meant if written != str(given) or dated else ''}", "put it in quotes"
    if kind in ("tuple_type", "dict_type", "model_type"):
        return f"{_shown(given)} is not a {'list' if kind == 'tuple_type' else 'mapping'}", ""
    message = detail["msg"].removeprefix("Input ")
    return f"{_shown(given)} {message}" if message.startswith("should") else message, ""


def _shown(value: object) -> str:
    if isinstance(value, dict | list | tuple):
        return "this part"
    if isinstance(value, datetime.date):
        return str(value)
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
