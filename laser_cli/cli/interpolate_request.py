"""What `laser interpolate` is asked to do, read and checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.cli.options import is_picture, source_prompt, words_of
from laser_cli.cli.request import said
from laser_cli.engine.find import STORYBOOK
from laser_cli.errors import BadInputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.cli.console import Console
    from laser_cli.settings.interpolation import Interpolation
    from laser_cli.settings.schema import Settings

OWN = ("method", "fused", "embeddings", "spacing", "alpha", "beta", "at")
"""Options that are keys of an Interpolation as they are."""


@dataclass(frozen=True)
class Request:
    """Settings, stops and their pictures; `read` are all files that were read, for dependency files."""

    settings: Settings
    interpolation: Interpolation
    pictures: Mapping[int, np.ndarray]
    inputs: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    read: tuple[Path, ...] = ()
    revision: str | None = None
    """That of the model in the record that is run again."""

    @property
    def count(self) -> int:
        """How many pictures are written."""
        return self.settings.frames if self.interpolation.at is None else 1


@dataclass(frozen=True)
class Stops:
    """The stops as values of an Interpolation, their pictures and where these lie, and files that prompts were in."""

    values: list[dict[str, Any]]
    pictures: dict[int, np.ndarray]
    paths: dict[int, Path]
    words: tuple[Path, ...] = ()


def read_request(params: Mapping[str, Any], console: Console) -> Request:
    """The request of a command line: its settings merged, its stops told apart, its pictures read."""
    from laser_cli.settings.interpolation import make, read_interpolation
    from laser_cli.settings.merge import flags, merge

    given = {key: _plain(params["approach" if key == "method" else key]) for key in OWN}
    given = {key: value for key, value in given.items() if value is not None}
    rerun = params["rerun"]
    layer, values, revision = read_interpolation(rerun) if rerun else (None, {}, None)
    if rerun and not params["stops"]:
        stops = _found(values["stops"], rerun)
    else:
        stops = _read(params, params["model"] or (str(layer.values["model"]) if layer else STORYBOOK), console)
    count, every = len(stops.values), len(stops.paths) == len(stops.values)
    told = values | given | {"stops": stops.values}
    if params["guides"]:
        told["guides"] = _guides(params["guides"], count - 1)
    said_seeds = _seeds(params["seeds"])
    told["seeds"] = _noise(said_seeds or tuple(values.get("seeds", (0,))), _plain(params["latents"]), count, every)
    interpolation = make(told, UsageError, "the command line")
    _agree(interpolation, params)
    asked = flags({"seed": interpolation.seeds[0]})
    settings = merge(*(one for one in (layer, said(params), asked) if one))
    if settings.frames < count and interpolation.at is None:
        what = f"{settings.frames} frames are too few for {count} stops"
        raise UsageError(what, hint=f"--frames {count} or more")
    notes = ("all stops are pictures, whose noise is found: --seed changes nothing",) if said_seeds and every else ()
    return Request(
        settings,
        interpolation,
        stops.pictures,
        tuple(stops.paths.values()),
        notes,
        tuple(dict.fromkeys([*stops.paths.values(), *stops.words, *([rerun] if rerun else [])])),
        revision if layer and settings.model == layer.values["model"] else None,
    )


def _read(params: Mapping[str, Any], model: str, console: Console) -> Stops:
    """The stops of a command line; what a picture shows is found as `laser invert` finds it."""
    from laser_cli.output.frames import read_picture
    from laser_cli.settings.inputs import sha256

    arguments = params["stops"] or []
    if len(arguments) < 2:
        hint = 'laser interpolate "a red ball in a meadow" "a blue cube in a meadow" -o out.mp4'
        raise UsageError("two stops are needed at least", why=f"{len(arguments)} given", hint=hint)
    places = [k for k, text in enumerate(arguments) if is_picture(text)]
    prompts: list[str] = params["prompts"] or []
    if prompts and len(prompts) != len(places):
        why = f"{len(prompts)} prompts, {len(places)} pictures"
        raise UsageError("--prompt says what the pictures show, once for each", why=why)
    stops: list[dict[str, Any]] = []
    paths = {k: Path(arguments[k]) for k in places}
    pictures = {k: read_picture(path) for k, path in paths.items()}
    words: list[Path] = []
    for k, text in enumerate(arguments):
        if k in places:
            given = prompts[places.index(k)] if prompts else None
            shown = source_prompt(console, given, paths[k], pictures[k], model)
            name = paths[k].name if paths[k].is_absolute() else paths[k].as_posix()
            stops.append({"prompt": shown, "picture": name, "sha256": sha256(paths[k])})
            continue
        prompt, file = words_of(text)
        words += [file] if file else []
        if not prompt or not prompt.strip():
            raise UsageError("a stop is empty", hint="a prompt, or the name of a picture")
        stops.append({"prompt": prompt})
    return Stops(stops, pictures, paths, tuple(words))


def _found(recorded: list[dict[str, Any]], rerun: Path) -> Stops:
    """The stops of a record; pictures from the current folder or beside the output that carries it, by SHA-256."""
    from laser_cli.output.frames import read_picture
    from laser_cli.settings.inputs import sha256

    paths = {}
    for k, stop in enumerate(recorded):
        name = stop.get("picture")
        if name is None:
            continue
        places = (Path(name), rerun.parent / name, rerun.parent / Path(name).name)
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            hint = "name all stops again: laser interpolate A B --from FILE"
            raise BadInputError(f"there is no picture {name}", why=f"{rerun} was made from it", hint=hint)
        if sha256(path) != stop.get("sha256"):
            raise BadInputError(f"{path} is not the picture that {rerun} was made from", why="its SHA-256 is another")
        paths[k] = path
    return Stops(recorded, {k: read_picture(path) for k, path in paths.items()}, paths)


def _guides(guides: list[str], segments: int) -> tuple[str, ...]:
    if len(guides) not in (1, segments):
        why = f"{len(guides)} guides, {segments} segments"
        raise UsageError("--guide is given once, or once for each segment", why=why)
    return tuple(guides * segments if len(guides) == 1 else guides)


def _seeds(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"--seed cannot be {text!r}", hint="a number, or one for each stop: --seed 3,7")
    return tuple(int(part) for part in parts)


def _noise(seeds: tuple[int, ...], latents: str | None, stops: int, pictured: bool) -> tuple[int, ...]:
    """One seed for all prompts, or one for each stop."""
    if latents == "slerp" and pictured:
        raise UsageError("--latents is for prompts", why="every stop is a picture, whose noise is found")
    if len(seeds) not in (1, stops):
        raise UsageError("--seed takes one seed, or one for each stop", why=f"{len(seeds)} seeds, {stops} stops")
    if latents == "same" and len(seeds) > 1:
        raise UsageError("both --latents same and several seeds", hint="--latents slerp, or one seed")
    return tuple(seeds[0] + k for k in range(stops)) if latents == "slerp" and len(seeds) == 1 else seeds


def _agree(i: Interpolation, params: Mapping[str, Any]) -> None:
    """UsageError for options that would do nothing beside others."""
    from laser_cli.settings.interpolation import ATTENTION

    attention, segments = i.method in ATTENTION, len(i.stops) - 1
    if len(i.guides) not in (0, segments):  # of a record, beside other stops
        raise UsageError(
            "the guides are not as many as the segments", why=f"{len(i.guides)} guides, {segments} segments"
        )
    for wrong, what, why in (
        (params["fused"] is not None and not attention, "--fused", f"{i.method} interpolates no attention"),
        (params["warmup"] is not None and not attention, "--warmup", f"{i.method} interpolates no attention"),
        (bool(i.guides) and not attention, "--guide", f"{i.method} interpolates no attention"),
        (bool(i.guides) and not i.fused, "--guide", "a guide enters by the frames' own keys and values: --fused"),
        (params["embeddings"] is not None and bool(i.guides), "--embeddings", "in-betweens have the guide's text"),
        (params["embeddings"] is not None and i.method == "dissolve", "--embeddings", "a dissolve has no text"),
        (params["alpha"] is not None and i.spacing != "beta", "--alpha", "it is for --spacing beta"),
        (params["beta"] is not None and i.spacing != "beta", "--beta", "it is for --spacing beta"),
        (i.at is not None and params["frames"] is not None, "--frames", "--at draws one picture"),
        (i.at is not None and params["spacing"] is not None, "--spacing", "--at says where the picture is"),
    ):
        if wrong:
            raise UsageError(f"{what} would do nothing here", why=why)
    out = params["out"]
    if i.at is not None and out is not None and out.suffix.lower() != ".png":
        raise UsageError("--at draws one picture", why=f"{out} is none", hint="-o OUT.png")


def _plain(value: Any) -> Any:
    from enum import Enum

    return value.value if isinstance(value, Enum) else value
