"""What a row can say for each command: its keys, which are the command's options, and how a job is built of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from laser_cli.batch.rows import Cell
from laser_cli.errors import BadInputError
from laser_cli.jobs.build_animate import Built, build_animation
from laser_cli.jobs.build_interpolate import build_interpolation
from laser_cli.jobs.fields import Frozen, Settings, lines_of, repeated, variable_of
from laser_cli.jobs.invert import InvertJob
from laser_cli.jobs.merge import Layer, merge
from laser_cli.jobs.outputs import Outputs
from laser_cli.jobs.planning import Captioning, Guiding, PlannerChoice, Planning
from laser_cli.jobs.progress import Progress
from laser_cli.jobs.settings import AnimateSettings, InterpolateSettings, InvertSettings
from laser_cli.jobs.sources import AnimateSources, InterpolateSources
from laser_cli.plan.schema import Plan

UNASKED = ("format", "resume")
"""Options that a row has no use for: frames do not go to stdout, and checkpoints are always kept."""
FOR_ALL = ("command", "id", "images")
"""Keys of a row that are no option: which command, a name of the user's for the job, and a pattern for `image`."""


class AnimateWords(Frozen):
    """What stands behind `laser animate`, and a plan."""

    image: Path | None = None
    description: str | None = None


class InterpolateWords(Frozen):
    """What stands behind `laser interpolate`."""

    stops: tuple[str, ...] = ()


class InvertWords(Frozen):
    """What stands behind `laser invert`, and its prompt."""

    image: Path | None = None
    prompt: str | None = None


class InvertOutputs(Frozen):
    """The file of `laser invert`."""

    out: Path | None = None
    force: bool = False
    no_clobber: bool = False
    skip_existing: bool = False


class NoPlanning(PlannerChoice):
    """Of commands that plan nothing."""


@dataclass(frozen=True)
class Said:
    """What a row says, by the models that the command's own options are made of."""

    layer: Layer
    words: Any
    sources: Any
    planning: Any
    outputs: Any
    plan: Plan | None = None


@dataclass(frozen=True)
class Verb:
    """A command that rows can name. `models`: words, settings, sources, planning, outputs."""

    name: str
    ending: str
    words: type[Frozen]
    settings: type[Settings]
    sources: type[Frozen]
    planning: type[Frozen]
    outputs: type[Frozen]
    build: Callable[[Said, Progress], Built]

    @property
    def models(self) -> tuple[type[Frozen], ...]:
        """All that its keys are looked for in; the first that has one takes it."""
        return (self.words, self.settings, self.sources, self.planning, self.outputs)

    def find(self, key: str) -> tuple[type[Frozen], str] | None:
        """The model and the field that a key stands for; None if the command has no such option."""
        return _keys(self.name).get(key.replace("-", "_"))

    @property
    def keys(self) -> list[str]:
        """All keys of a row."""
        return [*FOR_ALL, *_keys(self.name)]


def _animate(said: Said, progress: Progress) -> Built:
    words = said.words
    arguments = (said.layer, words.image, words.description, said.sources, said.planning, progress)
    return build_animation(*arguments, plan=said.plan)


def _interpolate(said: Said, progress: Progress) -> Built:
    return build_interpolation(said.layer, said.words.stops, said.sources, said.planning, progress)


def _invert(said: Said, progress: Progress) -> Built:
    from laser_cli.jobs.inputs import Input
    from laser_cli.jobs.prompts import source_prompt

    settings: InvertSettings = merge(InvertSettings, said.layer)
    if said.words.image is None:
        raise BadInputError("there is no picture to invert", hint="image: FILE")
    image = Input.of(said.words.image)
    picture = image.picture(progress.warn)
    arguments = (said.words.prompt, image.path, picture, settings.model, image.name, said.planning)
    prompt = source_prompt(progress, *arguments)
    job = InvertJob(settings=settings, image=image, prompt=prompt)
    return Built(job, (image.path,))


VERBS = {
    verb.name: verb
    for verb in (
        Verb("animate", ".mp4", AnimateWords, AnimateSettings, AnimateSources, Planning, Outputs, _animate),
        Verb(
            "interpolate",
            ".mp4",
            InterpolateWords,
            InterpolateSettings,
            InterpolateSources,
            Guiding,
            Outputs,
            _interpolate,
        ),
        Verb("invert", ".safetensors", InvertWords, InvertSettings, Frozen, Captioning, InvertOutputs, _invert),
    )
}
"""The commands that rows can name, animate if they name none. Another is one more entry."""


@cache
def _keys(name: str) -> dict[str, tuple[type[Frozen], str]]:
    """Every key of a command's rows: the names of its fields, of their options, and what presets call them."""
    verb, found = VERBS[name], dict[str, tuple[type[Frozen], str]]()
    for model in verb.models:
        for field, info in model.model_fields.items():
            if model is Outputs and field in UNASKED:
                continue
            told = info.json_schema_extra
            options = told["names"] if isinstance(told, dict) else []
            names = [option.split("/")[0] for option in options if option.startswith("--")]  # type: ignore[union-attr]
            for key in (field, *(text.removeprefix("--").replace("-", "_") for text in names)):
                found.setdefault(key, (model, field))
    for key in verb.settings.TRANSLATED if issubclass(verb.settings, Settings) else ():
        found.setdefault(key, (verb.settings, key))
    return found


def known_somewhere(key: str) -> bool:
    """Whether any command knows a key."""
    return key in FOR_ALL or any(verb.find(key) for verb in VERBS.values())


def variables() -> dict[str, Any]:
    """What LASER_* variables say to jobs: as on a command line, but beneath what a file says itself."""
    said: dict[str, Any] = {}
    for verb in VERBS.values():
        for model in (verb.settings, verb.sources, verb.planning):
            for field, info in model.model_fields.items():
                text = os.environ.get(variable_of(field, info))
                if text:
                    said[field] = [*map(str, lines_of(field, info))] if repeated(info) else Cell(text)
    return said


def typed(model: type[Frozen], field: str, value: Any) -> Any:
    """A value of a file as a field has it: texts become paths, lists tuples, cells what their field is.

    Raises ValueError with the reason for a value that cannot be.
    """
    first: ValidationError | None = None
    for candidate in (str(value), plain(value)) if isinstance(value, Cell) else (value,):
        try:
            text = json.dumps({field: candidate}, default=str)
            return getattr(model.model_validate_json(text), field)
        except ValidationError as error:
            first = first or error
    assert first
    told = (problem["msg"] for problem in first.errors(include_url=False))
    raise ValueError(", or ".join(text.removeprefix("Input ").removeprefix("Value error, ") for text in told))


def plain(value: Any) -> Any:
    """A cell as YAML reads it, any other value as it is."""
    if not isinstance(value, Cell):
        return value
    try:
        return yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):
        return str(value)


def fits(model: type[Frozen], field: str, value: Any) -> bool:
    """Whether a field can have a value."""
    try:
        typed(model, field, value)
    except ValueError:
        return False
    return True


def layer_of(
    name: str, values: Mapping[str, Any], lines: Mapping[str, int], line: int | None, config: Layer | None
) -> Layer:
    """Settings of a row as a layer on the settings file; a key without a line of its own has the row's."""
    at = {key: lines.get(key, line) for key in values}
    return Layer(name, values, {key: number for key, number in at.items() if number is not None}, beneath=config)
