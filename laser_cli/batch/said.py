"""What a row says: its keys merged with what is said of all rows, and typed by the models of its command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from laser_cli.batch.rows import Row
from laser_cli.batch.tasks import json_line
from laser_cli.batch.verbs import FOR_ALL, VERBS, Said, Verb, known_somewhere, layer_of, plain, typed
from laser_cli.errors import BadInputError, LaserError
from laser_cli.jobs.config import config_for
from laser_cli.jobs.merge import Layer
from laser_cli.plan.schema import Plan

AWAY = {"description": "plan", "plan": "description", "plan_file": "description", "image": "images", "images": "image"}
"""Keys that exclude each other: a row's own goes before what the file says of all."""


@dataclass(frozen=True)
class Given:
    """What a command line says of all rows. `beneath` them: preset and variables; `above` them: --set.

    `config`: the settings file, beneath presets.
    """

    beneath: Mapping[str, Any] = field(default_factory=dict)
    above: Mapping[str, Any] = field(default_factory=dict)
    config: Layer | None = None


class FieldError(BadInputError):
    """What is wrong with a row, and in which of its fields where that is known."""

    def __init__(self, error: LaserError, row: Row, key: str | None) -> None:
        where, key = row.at(key), row.spelled.get(key, key) if key else None
        what = error.what if error.what.startswith(where) else f"{where}: {f'{key}: ' if key else ''}{error.what}"
        super().__init__(what, why=error.why, hint=error.hint)
        self.field = key
        self.others: tuple[FieldError, ...] = ()


def raise_all(errors: Sequence[FieldError]) -> None:
    """Raise the first of a row's errors, which knows the others."""
    if errors:
        errors[0].others = tuple(errors[1:])
        raise errors[0]


def verb_of(row: Row) -> Verb:
    """The command that a row names, animate if none."""
    name = str(row.values.get("command", row.defaults.get("command", "animate")))
    if name in VERBS:
        return VERBS[name]
    near = get_close_matches(name, VERBS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(VERBS)}"
    raise BadInputError(f"{row.at('command')}: command: there is no command {name!r}", hint=hint)


def merged(row: Row, verb: Verb, given: Given) -> Row:
    """A row with all that is said of it: what the command line and the file say of all rows, itself, and --set."""
    own = {str(key).replace("-", "_"): value for key, value in row.values.items() if value is not None}
    lines = {key.replace("-", "_"): line for key, line in row.lines.items()}
    shared = {str(key).replace("-", "_"): value for key, value in row.defaults.items() if value is not None}
    beneath: dict[str, Any] = {**given.beneath, **shared}
    for key in beneath:
        if not known_somewhere(key):
            raise BadInputError(f"{row.name}: defaults: unknown key {key!r}", hint=_near(key, verb))
    # of what is said for all jobs each command takes what it has
    rerun = any(key in own for key in ("from", "rerun"))
    taken = {
        key: value
        for key, value in beneath.items()
        if (key in FOR_ALL or verb.find(key)) and AWAY.get(key) not in {**own, **given.above}
        if not (rerun and key == "preset")
    }
    values = {**taken, **own, **given.above}
    unknown = [key for key in values if key not in FOR_ALL and verb.find(key) is None]
    what = f"laser {verb.name} has no such key"
    raise_all([FieldError(BadInputError(what, hint=_near(key, verb)), row, key) for key in unknown])
    canonical: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, value in values.items():
        found = verb.find(key)
        name = found[1] if found else key
        spelled[name] = key
        canonical.pop(name, None)
        canonical[name] = value
        if key in lines:
            lines[name] = lines[key]
    return Row(canonical, row.name, row.line, lines, spelled=spelled, config=given.config)


def _near(key: str, verb: Verb) -> str:
    near = get_close_matches(key, verb.keys, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"the keys are the options of laser {verb.name} --help"


def said_by(row: Row, verb: Verb) -> Said:
    """What a row of single values says; FieldError for a value that its field cannot have."""
    told: dict[type, dict[str, Any]] = {model: {} for model in verb.models}
    plan: Plan | None = None
    errors: list[FieldError] = []
    for key, value in row.values.items():
        found = verb.find(key)
        if found is None:
            continue
        model, name = found
        if name == "plan_file" and isinstance(value := plain(value), dict):
            try:
                plan = _inline_plan(value)
            except LaserError as error:
                errors.append(FieldError(error, row, key))
            continue
        try:
            if name in getattr(verb.settings, "TRANSLATED", {}) and name not in model.model_fields:
                name, value = verb.settings.TRANSLATED[name], verb.settings.translate(name, plain(value))
            told[model][name] = typed(model, name, value)
        except ValueError as error:
            shown = repr(value if len(repr(value)) <= 60 else repr(value)[:57] + "...")
            errors.append(FieldError(BadInputError(f"it cannot be {shown}", why=f"it {error}"), row, key))
            continue
        if model is verb.words and value == "-":
            errors.append(FieldError(BadInputError("a batch reads no picture from stdin"), row, key))
    raise_all(errors)
    words, settings, sources, planning, outputs = verb.models
    said = Said(
        layer=layer_of(row.name, told[settings], row.lines, row.line, config_for(row.config, settings)),
        words=words(**told[words]),
        sources=sources(**told[sources]),
        planning=planning(**told[planning]),
        outputs=outputs(**told[outputs]),
        plan=plan,
    )
    return said


def _inline_plan(value: Mapping[str, Any]) -> Plan:
    """A plan that stands in the row itself."""
    from laser_cli.plan.files import parse_plan

    return parse_plan(json_line({"version": 1, **value}), "the plan")


def field_of(error: LaserError, row: Row) -> str | None:
    """The field that an error speaks of: one whose option it names, else one whose value it names."""
    if isinstance(error, FieldError):
        return error.field
    for word in re.findall(r"--([a-z][a-z-]+)", error.what):
        for key in row.values:
            if word.replace("-", "_") in (key, row.spelled.get(key)):
                return key
    text = f"{error.what} {error.why}"
    shown = {key: str(value) for key, value in row.values.items() if key != "command" and len(str(value)) > 2}
    longest = sorted(shown, key=lambda key: -len(shown[key]))
    return next((key for key in longest if shown[key] in text), None)
