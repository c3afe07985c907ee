"""What lies at the stops of an interpolation: prompts, pictures and image prompts, of a command line or a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.cli.options import is_picture, source_prompt, words_of
from laser_cli.errors import BadInputError, NotFoundError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.cli.console import Console


@dataclass(frozen=True)
class Stops:
    """The stops as values of an Interpolation, their pictures and where these lie, and files that prompts were in."""

    values: list[dict[str, Any]]
    pictures: dict[int, np.ndarray]
    paths: dict[int, Path]
    words: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Images:
    """The adapter's file, the image prompts by the numbers of their stops, and where those lie."""

    adapter: Path | None = None
    pictures: dict[int, np.ndarray] = field(default_factory=dict)
    paths: dict[int, Path] = field(default_factory=dict)


def read_stops(params: Mapping[str, Any], model: str, console: Console) -> Stops:
    """The stops of a command line; what a picture shows is found as `laser invert` finds it."""
    from laser_cli.output.frames import read_picture

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
            stops.append({"prompt": shown, **_recorded(paths[k])})
            continue
        prompt, file = words_of(text)
        words += [file] if file else []
        if not prompt or not prompt.strip():
            raise UsageError("a stop is empty", hint="a prompt, or the name of a picture")
        stops.append({"prompt": prompt})
    return Stops(stops, pictures, paths, tuple(words))


def recorded_stops(stops: list[dict[str, Any]], rerun: Path) -> Stops:
    """The stops of a record; their pictures are looked for, and checked by their SHA-256."""
    from laser_cli.output.frames import read_picture
    from laser_cli.settings.inputs import recorded_picture

    again = "laser interpolate A B --from FILE"
    paths = {
        k: recorded_picture(stop["picture"], stop.get("sha256"), rerun, again=again)
        for k, stop in enumerate(stops)
        if stop.get("picture") is not None
    }
    return Stops(stops, {k: read_picture(path) for k, path in paths.items()}, paths)


def adapter(params: Mapping[str, Any], values: Mapping[str, Any], stops: Stops) -> tuple[dict[str, Any] | None, Images]:
    """The adapter of a command line, or of the record that is run again (``values``), and its image prompts.

    Without any named, stops that are pictures are their own.
    """
    from laser_cli.models.adapter import find_adapter
    from laser_cli.output.frames import read_picture
    from laser_cli.settings.inputs import find_beside, name_in_record, recorded_picture, sha256

    before: Mapping[str, Any] = values.get("adapter") or {}
    path, scale, named = params["ip_adapter"], params["ip_scale"], params["image_prompt"] or None
    if path is None and not before:
        for option, value in (("--ip-scale", scale), ("--image-prompt", named)):
            if value is not None:
                raise UsageError(f"{option} would do nothing here", why="it is for --ip-adapter")
        return None, Images()
    if path is None:
        path = find_beside(before["name"], params["rerun"])
        if path is None:
            what = f"there is no IP-Adapter {before['name']}"
            raise NotFoundError(what, why=f"{params['rerun']} was made with it", hint="name it: --ip-adapter FILE")
    file, count = find_adapter(path), len(stops.values)
    digest = sha256(file)
    if params["ip_adapter"] is None and digest != before["sha256"]:
        what = f"{file} is not the IP-Adapter that {params['rerun']} was made with"
        raise BadInputError(what, why="its SHA-256 is another", hint="--ip-adapter FILE takes it all the same")
    if named:
        if len(named) != count:
            why = f"{len(named)} image prompts, {count} stops"
            raise UsageError("--image-prompt is given once for each stop, or not at all", why=why)
        paths = dict(enumerate(named))
    elif before and not params["stops"]:
        paths = {
            k: recorded_picture(shown["picture"], shown["sha256"], params["rerun"], again="--image-prompt PICTURE")
            for k, shown in enumerate(before["images"])
            if shown
        }
    else:
        paths = dict(stops.paths)
    if not paths:
        why = "no stop is a picture, and no --image-prompt was given"
        raise UsageError(
            "--ip-adapter has no picture to draw by", why=why, hint="--image-prompt A.png --image-prompt B.png"
        )
    pictures = {k: read_picture(shown) for k, shown in paths.items()}
    images = [_recorded(paths[k]) if k in paths else None for k in range(count)]
    leads = before.get("scale", 0.6) if scale is None else scale
    told = {"name": name_in_record(file), "sha256": digest, "scale": leads, "images": images}
    return told, Images(file, pictures, paths)


def _recorded(picture: Path) -> dict[str, str]:
    """A picture as records keep it."""
    from laser_cli.settings.inputs import name_in_record, sha256

    return {"picture": name_in_record(picture), "sha256": sha256(picture)}
