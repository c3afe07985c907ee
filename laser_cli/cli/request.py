"""What `laser animate` is asked to do, read and checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.cli.options import positionals, words_of
from laser_cli.errors import BadInputError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.cli.console import Console
    from laser_cli.plan.schema import Plan
    from laser_cli.settings.merge import Layer
    from laser_cli.settings.rerun import Rerun
    from laser_cli.settings.schema import Settings


UNDRAWN = "the plan has a face track, which animate does not draw yet: faces follow the prompts alone"


@dataclass(frozen=True)
class Request:
    """Settings, plan and inputs of one animation; `named` are the picture's and the inversion's names in its record."""

    settings: Settings
    plan: Plan
    notes: tuple[str, ...] = ()
    image: Path | None = None
    picture: np.ndarray | None = None
    digest: str = ""
    inversion: Path | None = None
    named: tuple[str | None, str | None] = (None, None)
    revision: str | None = None
    """That of the model in the record that is run again."""
    read: tuple[Path, ...] = ()
    """Every file that was read, for dependency files."""

    @property
    def count(self) -> int:
        """How many pictures are written."""
        return self.plan.total_frames


def read_request(params: Mapping[str, Any], console: Console) -> Request:
    """The request of a command line: its settings merged, its picture read, its plan made; `console` hears how."""
    from laser_cli.output.frames import read_picture
    from laser_cli.settings.inputs import name_in_record, sha256
    from laser_cli.settings.model import settle
    from laser_cli.settings.presets import chosen_preset
    from laser_cli.settings.rerun import read_rerun

    plan_file, inversion = params["plan_file"], params["inversion_file"]
    image, description = positionals(params["arguments"] or [], plan_file)
    description, words = words_of(description)
    rerun = read_rerun(params["rerun"]) if params["rerun"] else None
    preset = chosen_preset(params["preset"], params["rerun"])
    named: str | None = None
    told: tuple[str, ...] = ()
    if rerun:
        image = rerun.picture(image)
        if inversion is None and rerun.inversion is not None:
            inversion = rerun.find(rerun.inversion)
            named = rerun.inversion if inversion else None
            told = () if inversion else (f"the inversion {rerun.inversion} is not here: the picture is inverted again",)
    if image is None and inversion is not None:
        raise UsageError("--inversion needs the picture it was made of", hint="name the picture before the description")
    written = _written_plan(plan_file, description, rerun)
    settings = settle(
        rerun.layer if rerun else preset.layer if preset else None,
        _plan_layer(plan_file, written) if plan_file and written else None,
        _inversion_layer(inversion) if inversion else None,
        said(params),
    )
    if params["distance"] is not None and not settings.even_pace:
        raise UsageError("--distance would do nothing here", why="without an even pace nothing is measured")
    prompt = params["prompt"]
    if rerun and prompt is None and plan_file is None:
        prompt = rerun.plan.source
    picture = read_picture(image) if image else None
    notes: tuple[str, ...] = ()
    if written is not None:
        plan = written.model_copy(update={"source": prompt}) if prompt is not None else written
    else:
        plan, notes = _new_plan(params, console, description or "", prompt, image, settings)
    plan = directed(plan, settings)
    if plan.face:
        console.warn(UNDRAWN)
    read = (image, plan_file, words, inversion, params["rerun"], preset.path if preset and preset.own else None)
    return Request(
        settings.model_copy(update={"frames": plan.total_frames}),
        plan,
        (*told, *notes),
        image,
        picture,
        sha256(image) if image else "",
        inversion,
        # as recorded, so that the bytes stay the same wherever the inputs lie this time
        (
            rerun.image if rerun else name_in_record(image) if image else None,
            named or (name_in_record(inversion) if inversion else None),
        ),
        rerun.revision if rerun and settings.model == rerun.layer.values["model"] else None,
        tuple(path for path in read if path is not None and str(path) != "-"),
    )


def said(params: Mapping[str, Any]) -> Layer:
    """The settings among a command's parameters, as plain values."""
    from enum import Enum

    from laser_cli.settings.merge import flags
    from laser_cli.settings.schema import Settings

    values = {key: params.get(key) for key in Settings.model_fields}
    return flags({key: value.value if isinstance(value, Enum) else value for key, value in values.items()})


def _written_plan(plan_file: Path | None, description: str | None, rerun: Rerun | None) -> Plan | None:
    """The plan that is there already, in a file or a record; None if it is to be made of the description."""
    from laser_cli.plan.files import read_plan

    if plan_file is not None:
        if description is not None:
            raise UsageError(
                "both a description and --plan", why="the plan says what happens", hint="leave one of them out"
            )
        try:
            return read_plan(plan_file)
        except BadInputError as error:
            error.hint = error.hint or "mend it there, or write a new one with: laser plan DESCRIPTION -o FILE.yaml"
            raise
    if rerun and description is None:
        return rerun.plan
    if description is None:
        raise UsageError(
            "what should happen?",
            why="neither a description nor a plan was given",
            hint='laser animate IMAGE "the leaves turn red" -o out.mp4',
        )
    return None


def _plan_layer(file: Path, plan: Plan) -> Layer:
    """What a plan file says goes before presets; what it leaves to each segment is no setting of the run."""
    from laser_cli.settings.merge import Layer

    per_segment = {"easing": None, "control": None, "strength": None}
    return Layer(str(file), {"frames": plan.total_frames, **per_segment})


def _inversion_layer(file: Path) -> Layer:
    """An animation takes as many steps as its inversion, and is as pinned as that."""
    from safetensors import SafetensorError, safe_open

    from laser_cli.settings.merge import Layer

    hint = "make it again with: laser invert IMAGE -o FILE.safetensors"
    try:
        with safe_open(file, "np") as opened:
            about: dict[str, str] = opened.metadata() or {}
    except (OSError, SafetensorError) as error:
        why = str(error).splitlines()[0]
        raise BadInputError(f"cannot read the inversion {file}", why=why, hint=hint) from error
    if not about.get("steps", "").isdecimal() or "method" not in about:
        raise BadInputError(f"{file} is not an inversion of laser", hint=hint)
    return Layer(str(file), {"steps": int(about["steps"]), "method": about["method"]})


def _new_plan(
    params: Mapping[str, Any],
    console: Console,
    description: str,
    prompt: str | None,
    image: Path | None,
    settings: Settings,
) -> tuple[Plan, tuple[str, ...]]:
    """The plan of the planner that is asked for, and what it has to say; a model's memory is free again after that."""
    from laser_cli.cli.planning import asked_for, make_plan

    if image is not None and prompt is None:
        from laser_cli.output.frames import picture_prompt

        prompt = picture_prompt(image)
    asked = asked_for(
        description,
        prompt,
        frames=settings.frames,
        easing=settings.easing,
        keyframes=params.get("keyframes"),
        seed=settings.seed,
        timeout=params.get("planner_timeout"),
        layers=params.get("planner_gpu_layers"),
    )
    verbose = bool(params.get("verbose"))
    return make_plan(console, params.get("planner"), asked, waypoints=settings.waypoints, verbose=verbose)


def directed(plan: Plan, settings: Settings) -> Plan:
    """The plan with the settings' frames, easing, control and strength, where they have a say."""
    from laser_cli.plan.schema import STRENGTHS, with_easing, with_frames

    plan = with_frames(plan, settings.frames)
    plan = with_easing(plan, settings.easing) if settings.easing else plan
    changes: dict[str, Any] = {}
    if settings.control is not None:
        changes = {"control": settings.control, "strength": STRENGTHS[settings.control]}
    if settings.strength is not None:
        changes["strength"] = settings.strength
    segments = tuple(segment.model_copy(update=changes) for segment in plan.segments)
    return plan.model_copy(update={"segments": segments})
