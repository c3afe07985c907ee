"""Running again what made an output: the record inside it as settings, plan or stops, and the inputs it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from laser_cli.errors import BadInputError
from laser_cli.jobs.inputs import Input, find_beside, recorded_input
from laser_cli.jobs.interpolate import OWN
from laser_cli.jobs.merge import Layer, check
from laser_cli.jobs.settings import BESIDE, AnimateSettings, InterpolateSettings, Settings
from laser_cli.output.record import read_record
from laser_cli.plan.schema import Plan, Planner


@dataclass(frozen=True)
class Animated:
    """What a record says of an animation; `image` and `inversion` are the inputs' names as recorded."""

    file: Path
    layer: Layer
    plan: Plan
    image: str | None
    input_sha256: str | None
    inversion: str | None
    revision: str | None

    def picture(self, given: Path | None) -> Input | None:
        """The picture that was animated, checked by its SHA-256; None where the run drew its first picture itself."""
        if self.image is None:
            if given is not None:
                why = "it drew its first picture from the prompt"
                raise BadInputError(f"the run in {self.file} had no picture", why=why, hint="leave the picture out")
            return None
        again = "laser animate IMAGE --from FILE"
        return recorded_input(self.image, self.input_sha256, self.file, given, again=again)

    def found_inversion(self) -> Path | None:
        """The inversion that was used, if it is still there."""
        return find_beside(self.inversion, self.file) if self.inversion else None


@dataclass(frozen=True)
class Interpolated:
    """What a record says of an interpolation; stops and adapter are as recorded, with names and SHA-256 of files."""

    file: Path
    layer: Layer
    stops: tuple[Mapping[str, Any], ...]
    guides: tuple[str, ...]
    guided_by: tuple[Planner, ...]
    adapter: Mapping[str, Any] | None
    revision: str | None


def read_animated(file: Path) -> Animated:
    """The animation in a file's record; BadInputError if it is missing, of another command or damaged."""
    record, settings, revision = _read(file, "animate")
    image, digest, inversion = settings.pop("image", None), record.get("input_sha256"), settings.pop("inversion", None)
    try:
        plan = Plan.model_validate(settings.pop("plan", None))
    except ValidationError as error:
        raise BadInputError(f"the plan in the record of {file} is damaged", why=str(error).splitlines()[0]) from error
    for name in (image, digest, inversion):
        if name is not None and not isinstance(name, str):
            raise BadInputError(f"the record in {file} is damaged")
    layer = _layer(file, AnimateSettings, settings, record)
    return Animated(file, layer, plan, image, digest, inversion, revision)


def read_interpolated(file: Path) -> Interpolated:
    """The interpolation in a file's record; BadInputError if it is missing, of another command or damaged."""
    record, settings, revision = _read(file, "interpolate")
    told = settings.pop("interpolation", None)
    if not isinstance(told, dict):
        raise BadInputError(f"the record in {file} is damaged", why="it does not say what was interpolated")
    settings = {key: value for key, value in settings.items() if key in InterpolateSettings.model_fields}
    settings |= {key: told[key] for key in OWN if key in told}
    layer = _layer(file, InterpolateSettings, settings, record)
    try:
        planners = tuple(Planner.model_validate(planner) for planner in told.get("guided_by") or ())
        stops = tuple({"prompt": _text(stop["prompt"]), **_file(stop)} for stop in told["stops"])
        guides = tuple(_text(guide) for guide in told.get("guides") or ())
        adapter = told.get("adapter")
        if adapter is not None:
            images = tuple(_file(image) if image else None for image in adapter["images"])
            adapter = {"name": _text(adapter["name"]), "sha256": _text(adapter["sha256"]), "images": images}
            adapter["scale"] = _scale(told["adapter"].get("scale", 0.6))
    except (ValidationError, TypeError, KeyError, ValueError, AttributeError) as error:
        why = str(error).splitlines()[0]
        raise BadInputError(f"the record in {file} is damaged", why=why) from error
    return Interpolated(file, layer, stops, guides, planners, adapter, revision)


def _read(file: Path, verb: str) -> tuple[Mapping[str, Any], dict[str, Any], str | None]:
    """The record, its settings and the model's revision."""
    record = read_record(file)
    if record.get("command") != verb:
        why = f"its record is of laser {record.get('command')}"
        raise BadInputError(f"{file} was not made by laser {verb}", why=why)
    settings, model = record.get("settings"), record.get("model")
    if not isinstance(settings, dict) or not isinstance(model, dict):
        raise BadInputError(f"the record in {file} is damaged")
    revision = model.get("revision")
    if revision is not None and not isinstance(revision, str):
        raise BadInputError(f"the record in {file} is damaged")
    return record, dict(settings), revision


def _layer(file: Path, kind: type[Settings], settings: Mapping[str, Any], record: Mapping[str, Any]) -> Layer:
    """The settings of a record, those that it keeps beside them included."""
    beside = {key: record.get(key) for key in BESIDE if key in kind.model_fields and key != "model"}
    layer = Layer(f"the record in {file}", {**settings, **beside, "model": record["model"].get("id")})
    check(layer, kind)
    return layer


def _file(told: Mapping[str, Any]) -> dict[str, str | None]:
    """Name and SHA-256 of a recorded picture, both None where a stop is none."""
    if told.get("picture") is None:
        return {"picture": None, "sha256": None}
    return {"picture": _text(told["picture"]), "sha256": _text(told["sha256"])}


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text")
    return value


def _scale(value: Any) -> float:
    if not 0 <= float(value) <= 2:
        raise ValueError(f"{value!r} is no scale")
    return float(value)
