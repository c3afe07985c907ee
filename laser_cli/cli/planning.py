"""Planning for commands: the options, and the planner that they name, with its progress on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.plan.llm.find import EMBEDDED

if TYPE_CHECKING:
    from laser_cli.cli.console import Console
    from laser_cli.plan.llm.asked import Asked
    from laser_cli.plan.rules import Planned

PANEL = "Planning"
_EMBEDDED = "storybook (embedded), " if EMBEDDED.is_file() else ""


def _option(help: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=PANEL, **more)


PlannerName = Annotated[
    str | None,
    _option(
        f"Who plans: rules (default), {_EMBEDDED}an instruct model FILE.gguf, or hf:REPO[:FILE] of the hub.",
        "--planner",
        envvar="LASER_PLANNER",
    ),
]
Keyframes = Annotated[
    str | None,
    _option("How many follow the picture, 1 to 6, without waypoints. (default: auto)", "--keyframes", metavar="auto|N"),
]
Temperature = Annotated[
    float | None, _option("Of a model's choice of words; 0 always takes the likeliest. (default: 0.25)", min=0, max=2)
]
Timeout = Annotated[
    float | None,
    _option(
        "Seconds that a model may take before the rules plan instead. (default: 120)",
        "--timeout",
        "--planner-timeout",
        min=1,
        max=86_400,
    ),
]
Retries = Annotated[
    int | None, _option("How often a model is asked again if its plan cannot be used. (default: 2)", min=0, max=10)
]
GpuLayers = Annotated[
    str | None,
    _option("Layers of a model on the GPU. (default: auto, all)", "--planner-gpu-layers", metavar="auto|N"),
]
PlannerTimeout = Annotated[
    float | None,
    _option(
        "Seconds that a model may plan before the rules do. (default: 120)", "--planner-timeout", min=1, max=86_400
    ),
]


def asked_for(description: str, source: str | None, **limits: Any) -> Asked:
    """What to ask a planner for, from options as they were given: None leaves a limit as it is by default.

    `keyframes` and `layers` are texts, a number or auto; UsageError for any other.
    """
    from laser_cli.plan.llm.asked import MOST_KEYFRAMES, Asked

    limits["keyframes"] = _count("--keyframes", limits.get("keyframes"), 1, MOST_KEYFRAMES)
    limits["layers"] = _count("--planner-gpu-layers", limits.get("layers"), 0, 10_000)
    given = {key: value for key, value in limits.items() if value is not None}
    return Asked(" ".join(description.split()), " ".join((source or "").split()) or None, **given)


def make_plan(
    console: Console,
    planner: str | None,
    asked: Asked,
    *,
    waypoints: bool = True,
    verbose: bool = False,
    explain: bool = False,
) -> Planned:
    """The plan of `rules` (or None), `storybook`, `FILE.gguf` or `hf:REPO[:FILE]`; NotFoundError for any other planner.

    Waypoints are left out where a number of keyframes is asked for.
    """
    from pathlib import Path

    from laser_cli.plan.llm.find import HINT, is_model
    from laser_cli.plan.waypoints import with_waypoints

    name = planner or "rules"
    if name == "rules":
        made = _by_rules(console, asked, explain)
    elif name == "storybook" or is_model(name) or Path(name).is_file():
        made = _by_model(console, name, asked, verbose, explain)
    else:
        raise NotFoundError(f"there is no planner {name!r}", hint=HINT)
    if asked.keyframes is not None or not waypoints:
        return made
    return made._replace(plan=with_waypoints(made.plan))


def _count(option: str, text: str | None, least: int, most: int) -> int | None:
    if text is None or text == "auto":
        return None
    if text.isascii() and text.isdecimal() and len(text) < 9 and least <= int(text) <= most:
        return int(text)
    raise UsageError(f"{option} {text!r}", why=f"it takes auto, or a number from {least} to {most}")


def _by_model(console: Console, name: str, asked: Asked, verbose: bool, explain: bool) -> Planned:
    from laser_cli.plan.llm.converse import Watcher
    from laser_cli.plan.llm.embedded import plan_by_embedded
    from laser_cli.plan.llm.planner import plan_by_model

    def nothing(*_: object) -> None:
        pass

    def speed(pieces: int, seconds: float) -> None:
        rate = f", {pieces / seconds:.1f} a second" if seconds else ""
        console.note(f"planner: {pieces} tokens in {seconds:.1f} s{rate}")

    watcher = Watcher(console.note, console.note if explain else nothing, speed if verbose else nothing)
    return plan_by_embedded(asked, watcher) if name == "storybook" else plan_by_model(name, asked, watcher)


def _by_rules(console: Console, asked: Asked, explain: bool) -> Planned:
    from laser_cli.plan.rules import plan_by_rules

    made = plan_by_rules(asked.description, asked.source, asked.frames, asked.easing or "ease")
    if explain:
        for line in _reading(asked.description, made.plan.prompts):
            console.note(line)
    found = len(made.plan.segments)
    if asked.keyframes not in (None, found):
        note = f"the rules make a keyframe of every change they find: {found}, not {asked.keyframes}"
        return made._replace(notes=(*made.notes, note))
    return made


def _reading(description: str, prompts: tuple[str, ...]) -> Iterator[str]:
    """How the rules read a description, stage by stage."""
    from laser_cli.plan.stages import read_stage, split_stages

    after = None
    for number, (stage, prompt) in enumerate(zip(split_stages(description), prompts, strict=False), 1):
        clauses, left = read_stage(stage, prompt, after)
        yield f"stage {number}: {stage}"
        for clause in clauses:
            settled = "".join(f", {kind} {phrase or 'ends'}" for kind, phrase in clause.settled)
            yield f"  {clause.who or 'the picture'}: {clause.how} {clause.what}".rstrip() + settled
            after = clause
        if left:
            yield f"  not understood: {left}"
