"""What an interpolation is made of and how, beside the settings that it shares with animations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from laser_cli.errors import BadInputError, LaserError
from laser_cli.output.record import read_record
from laser_cli.plan.schema import Planner
from laser_cli.settings.merge import Layer, check
from laser_cli.settings.presets import Preset
from laser_cli.settings.schema import BESIDE, LARGEST_SEED, Settings

SHARED = ("frames", "steps", "guidance", "warmup", "size", "chunk", "exact_first", "distance", "offload")
PLAYING = ("fps", "loop", "bounce", "hold_first", "hold_last", "quality", "palette", "codec", "still")
TRANSLATED = ("even_pace", "seed")
"""Settings of animations that an interpolation has by other names."""
MOST_STOPS = 64
ATTENTION = ("outer", "inner")

Words = Annotated[str, Field(min_length=1, max_length=10_000)]


class Named(BaseModel):
    """A stop: what it shows, and of a picture its name and SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    prompt: Words
    picture: str | None = None
    sha256: str | None = None


class Shown(BaseModel):
    """A picture as image prompt: its name and SHA-256."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    picture: str
    sha256: str


class Adapter(BaseModel):
    """An IP-Adapter's file, how strongly it leads, and the image prompts, one for each stop, None for none."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    name: str
    sha256: str
    scale: Annotated[float, Field(ge=0, le=2)] = 0.6
    images: tuple[Shown | None, ...]


class Interpolation(BaseModel):
    """How in-betweens are made.

    `guided_by` says who made each guide; `seeds` has one for all prompts, or one for each stop.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    stops: Annotated[tuple[Named, ...], Field(min_length=2, max_length=MOST_STOPS)]
    method: Literal["outer", "inner", "text", "denoise", "dissolve"] = "outer"
    fused: bool = True
    guides: tuple[Words, ...] = ()
    guided_by: tuple[Planner, ...] = ()
    adapter: Adapter | None = None
    embeddings: Literal["lerp", "slerp"] = "lerp"
    spacing: Literal["even", "beta", "uniform"] = "even"
    alpha: Annotated[float, Field(gt=0, le=10_000)] | None = None
    beta: Annotated[float, Field(gt=0, le=10_000)] | None = None
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...], Field(min_length=1)] = (0,)
    at: Annotated[float, Field(ge=0, le=1)] | None = None


def make(values: dict[str, Any], error: type[LaserError], where: str) -> Interpolation:
    """The interpolation of these values, from a command line or a record (JSON); the error names the bad one."""
    tuples: dict[str, Any] = {
        k: tuple(v) for k, v in values.items() if k in ("guides", "guided_by", "seeds") and isinstance(v, list)
    }
    stops = values.get("stops")
    tuples |= {"stops": tuple(stops)} if isinstance(stops, list) else {}
    adapter = values.get("adapter")
    if isinstance(adapter, dict) and isinstance(adapter.get("images"), list):
        tuples |= {"adapter": {**adapter, "images": tuple(adapter["images"])}}
    try:
        return Interpolation(**values | tuples)
    except ValidationError as found:
        problem = found.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise error(f"{where}: {key} cannot be used", why=problem["msg"]) from found


def of_preset(preset: Preset) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a preset says of an interpolation beside the settings they share, and a note of what means nothing there.

    Even pace is even spacing, and its seed is that of all prompts.
    """
    said = preset.layer.values
    known = {*SHARED, *PLAYING, *BESIDE, *TRANSLATED}
    usual = Settings()
    idle = [key for key in said if key not in known and said[key] != getattr(usual, key)]
    values: dict[str, Any] = {"spacing": "even" if said["even_pace"] else "uniform"} if "even_pace" in said else {}
    values |= {"seeds": (said["seed"],)} if "seed" in said else {}
    note = f"the preset {preset.name} also sets {', '.join(idle)}, which only animations have"
    return values, (note,) if idle else ()


def read_interpolation(file: Any) -> tuple[Layer, dict[str, Any], str | None]:
    """The run in a record: shared settings, the interpolation's values, the model's revision; BadInputError if none."""
    record = read_record(file)
    if record.get("command") != "interpolate":
        why = f"its record is of laser {record.get('command')}"
        raise BadInputError(f"{file} was not made by laser interpolate", why=why)
    settings, model = record.get("settings"), record.get("model")
    if not isinstance(settings, dict) or not isinstance(model, dict):
        raise BadInputError(f"the record in {file} is damaged")
    where = f"the record in {file}"
    shared = {key: settings[key] for key in (*SHARED, *PLAYING) if key in settings}
    shared |= {key: record.get(key) for key in BESIDE if key != "model"} | {"model": model.get("id")}
    layer = Layer(where, shared)
    check(layer)
    values = settings.get("interpolation")
    if not isinstance(values, dict):
        raise BadInputError(f"{where} is damaged", why="it does not say what was interpolated")
    make(values, BadInputError, where)
    revision = model.get("revision")
    return layer, values, revision if isinstance(revision, str) else None
