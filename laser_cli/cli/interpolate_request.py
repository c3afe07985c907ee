"""What `laser interpolate` is asked to do, read and checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.cli.interpolate_stops import adapter, read_stops, recorded_stops
from laser_cli.cli.request import said
from laser_cli.errors import UsageError
from laser_cli.models.find import STORYBOOK

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.cli.console import Console
    from laser_cli.settings.interpolation import Interpolation
    from laser_cli.settings.schema import Settings

OWN = ("method", "fused", "embeddings", "spacing", "alpha", "beta", "at")
"""Options that are keys of an Interpolation as they are."""
AUTO = "auto"
"""In place of a guide: the planner makes it."""


@dataclass(frozen=True)
class Request:
    """Settings, stops and their pictures; `read` are all files that were read, for dependency files."""

    settings: Settings
    interpolation: Interpolation
    pictures: Mapping[int, np.ndarray]
    inputs: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    read: tuple[Path, ...] = ()
    adapter: Path | None = None
    """The IP-Adapter's file."""
    images: Mapping[int, np.ndarray] = field(default_factory=dict)
    """Image prompts by the numbers of their stops."""
    revision: str | None = None
    """That of the model in the record that is run again."""

    @property
    def count(self) -> int:
        """How many pictures are written."""
        return self.settings.frames if self.interpolation.at is None else 1


def read_request(params: Mapping[str, Any], console: Console) -> Request:
    """The request of a command line: settings merged, stops told apart, pictures read, guides made by the planner."""
    from laser_cli.settings.interpolation import make, of_preset, read_interpolation
    from laser_cli.settings.merge import flags
    from laser_cli.settings.model import settle
    from laser_cli.settings.presets import chosen_preset

    given = {key: _plain(params["approach" if key == "method" else key]) for key in OWN}
    given = {key: value for key, value in given.items() if value is not None}
    rerun, preset = params["rerun"], chosen_preset(params["preset"], params["rerun"])
    layer, values, revision = read_interpolation(rerun) if rerun else (None, {}, None)
    notes: tuple[str, ...] = ()
    if preset:
        layer, (values, notes) = preset.layer, of_preset(preset)
    if rerun and not params["stops"]:
        stops = recorded_stops(values["stops"], rerun)
    else:
        model = params["model"] or (str(layer.values.get("model", STORYBOOK)) if layer else STORYBOOK)
        stops = read_stops(params, model, console)
    count, every = len(stops.values), len(stops.paths) == len(stops.values)
    told = values | given | {"stops": stops.values}
    if params["guides"]:
        told |= {"guides": _guides(params["guides"], count - 1), "guided_by": ()}
    told["adapter"], images = adapter(params, values, stops)
    said_seeds = _seeds(params["seeds"])
    told["seeds"] = _noise(said_seeds or tuple(values.get("seeds", (0,))), _plain(params["latents"]), count, every)
    interpolation = make(told, UsageError, "the command line")
    _agree(interpolation, params)
    settings = settle(layer, said(params), flags({"seed": interpolation.seeds[0]}))
    if settings.frames < count and interpolation.at is None:
        what = f"{settings.frames} frames are too few for {count} stops"
        raise UsageError(what, hint=f"--frames {count} or more")
    if images.adapter and settings.model == STORYBOOK:
        why = "IP-Adapters are trained for the checkpoints of others"
        raise UsageError(
            "the storybook model has no IP-Adapter", why=why, hint="--model FOLDER, of Stable Diffusion 1.5"
        )
    if said_seeds and every:
        notes += ("all stops are pictures, whose noise is found: --seed changes nothing",)
    if params["guides"]:
        interpolation = _guided(console, interpolation, settings.seed, params)
    own = preset.path if preset and preset.own else None
    inputs = [path for path in (*stops.paths.values(), images.adapter, *images.paths.values()) if path]
    return Request(
        settings,
        interpolation,
        stops.pictures,
        tuple(inputs),
        notes,
        tuple(dict.fromkeys(path for path in (*inputs, *stops.words, rerun, own) if path)),
        images.adapter,
        images.pictures,
        revision if rerun and layer and settings.model == layer.values["model"] else None,
    )


def _guided(console: Console, i: Interpolation, seed: int, params: Mapping[str, Any]) -> Interpolation:
    """The interpolation with every guide a prompt: where «auto» stands, the planner's for its two stops."""
    from laser_cli.cli.planning import asked_for, make_guides
    from laser_cli.plan.schema import Planner

    pairs = list(pairwise(stop.prompt for stop in i.stops))
    open_ones = [k for k, guide in enumerate(i.guides) if guide == AUTO]
    guides, planners = list(i.guides), [Planner()] * len(i.guides)
    if open_ones:
        limits = asked_for("", None, seed=seed, timeout=params["planner_timeout"], layers=params["planner_gpu_layers"])
        wanted = [pairs[k] for k in open_ones]
        made = make_guides(console, params["planner"], wanted, limits, verbose=params["verbose"])
        for k, guide in zip(open_ones, made, strict=True):
            guides[k], planners[k] = guide.prompt, guide.planner
            for note in guide.notes:
                console.warn(note)
            console.note(f"guide: {guide.prompt}")
    return i.model_copy(update={"guides": tuple(guides), "guided_by": tuple(planners)})


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
    unplanned, reason = AUTO not in (params["guides"] or ()), "it is for --guide auto"
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
        (params["distance"] is not None and i.spacing != "even", "--distance", f"{i.spacing} spacing measures none"),
        (params["distance"] is not None and i.method == "dissolve", "--distance", "a dissolve is spaced evenly in t"),
        (params["distance"] is not None and i.at is not None, "--distance", "--at says where the picture is"),
        (params["alpha"] is not None and i.spacing != "beta", "--alpha", "it is for --spacing beta"),
        (params["beta"] is not None and i.spacing != "beta", "--beta", "it is for --spacing beta"),
        (params["planner_timeout"] is not None and unplanned, "--planner-timeout", reason),
        (params["planner_gpu_layers"] is not None and unplanned, "--planner-gpu-layers", reason),
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
