"""Planning for commands: the options, and the planner that they name, with its progress on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from laser_cli.cli.options import option
from laser_cli.errors import NotFoundError, UsageError
from laser_cli.plan.llm.find import EMBEDDED

if TYPE_CHECKING:
    from laser_cli.cli.console import Console
    from laser_cli.measure.plans import PlanOne
    from laser_cli.plan.guide import Guide
    from laser_cli.plan.llm.asked import Asked
    from laser_cli.plan.llm.converse import Watcher
    from laser_cli.plan.rules import Planned
    from laser_cli.plan.schema import Plan

PANEL = "Planning"
_KNOWN = "rules (default), storybook (embedded; default for its portraits)" if EMBEDDED.is_file() else "rules (default)"


PlannerName = Annotated[
    str | None,
    option(
        PANEL,
        f"Who plans: {_KNOWN}, an instruct model FILE.gguf, or hf:REPO[:FILE] of the hub.",
        "--planner",
        envvar="LASER_PLANNER",
    ),
]
Keyframes = Annotated[
    str | None,
    option(
        PANEL,
        "How many follow the picture, 1 to 6, without waypoints. (default: auto)",
        "--keyframes",
        metavar="auto|N",
    ),
]
Temperature = Annotated[
    float | None,
    option(PANEL, "Of a model's choice of words; 0 always takes the likeliest. (default: 0.25)", min=0, max=2),
]
Timeout = Annotated[
    float | None,
    option(
        PANEL,
        "Seconds that a model may take before the rules plan instead. (default: 120)",
        "--timeout",
        "--planner-timeout",
        min=1,
        max=86_400,
    ),
]
Retries = Annotated[
    int | None,
    option(PANEL, "How often a model is asked again if its plan cannot be used. (default: 2)", min=0, max=10),
]
GpuLayers = Annotated[
    str | None,
    option(PANEL, "Layers of a model on the GPU. (default: auto, all)", "--planner-gpu-layers", metavar="auto|N"),
]
PlannerTimeout = Annotated[
    float | None,
    option(
        PANEL,
        "Seconds that a model may plan before the rules do. (default: 120)",
        "--planner-timeout",
        min=1,
        max=86_400,
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
    """The plan of `rules`, `storybook`, `FILE.gguf` or `hf:REPO[:FILE]`; NotFoundError for any other planner.

    None is the rules, and `storybook` for a portrait of its world. Waypoints are left out where a number of keyframes
    is asked for.
    """
    from laser_cli.plan.llm.embedded import at_home, plan_by_embedded
    from laser_cli.plan.llm.planner import plan_by_model
    from laser_cli.plan.waypoints import with_waypoints

    name = named(planner)
    if planner is None and at_home(asked):
        name = "storybook"
        console.note("a storybook portrait: planned by storybook (--planner rules does without)")
    watcher = _watcher(console, verbose, explain)
    if name == "rules":
        made = _by_rules(console, asked, explain)
    elif name == "storybook":
        made = plan_by_embedded(asked, watcher)
    else:
        made = plan_by_model(name, asked, watcher)
    if asked.keyframes is not None or not waypoints:
        return made
    return made._replace(plan=with_waypoints(made.plan))


def make_guides(
    console: Console, planner: str | None, pairs: Sequence[tuple[str, str]], limits: Asked, *, verbose: bool = False
) -> list[Guide]:
    """A guide for each pair of prompts by the same planners, with the same errors; ``limits`` bounds models.

    The embedded planner knows of changes only: the rules, which know its world's words, make its guides.
    """
    from laser_cli.plan.guide import guide_by_rules
    from laser_cli.plan.llm.embedded import EMBEDDED, world_of
    from laser_cli.plan.llm.guide import guides_by_model

    name = named(planner)
    if name not in ("rules", "storybook"):
        return guides_by_model(name, pairs, limits, _watcher(console, verbose, False))
    if name == "storybook":
        world_of(EMBEDDED)
        console.note("the storybook planner plans changes only: the rules make the guide")
    return [guide_by_rules(a, b) for a, b in pairs]


def planners_beside(planner: str | None, **limits: Any) -> dict[str, PlanOne]:
    """The rules and the planner asked for, by what a table calls them; the embedded one, where it is there, if None.

    They plan as the commands do, but a model's call fails with NoPlan where the rules would stand in for it.
    """
    from pathlib import Path

    names = {"rules": "rules"}
    chosen = named(planner or ("storybook" if EMBEDDED.is_file() else None))
    names[chosen if chosen.startswith("hf:") else Path(chosen).name] = chosen
    return {shown: _alone(name, limits) for shown, name in names.items()}


def _alone(name: str, limits: dict[str, Any]) -> PlanOne:
    """A planner as a function, without console, waypoints and substitute."""
    from laser_cli.cli.console import Console
    from laser_cli.measure.planners import NoPlan

    silent = Console(quiet=True)

    def plan(description: str, source: str | None) -> Plan:
        made = make_plan(silent, name, asked_for(description, source, **limits), waypoints=False).plan
        if made.planner.instead_of:
            raise NoPlan(f"{name} gave no plan", why=made.planner.instead_of)
        return made

    return plan


def named(planner: str | None) -> str:
    """The planner's name, rules if none is given; NotFoundError for one that cannot be any."""
    from pathlib import Path

    from laser_cli.plan.llm.find import HINT, is_model

    name = planner or "rules"
    if name in ("rules", "storybook") or is_model(name) or Path(name).is_file():
        return name
    raise NotFoundError(f"there is no planner {name!r}", hint=HINT)


def _count(option: str, text: str | None, least: int, most: int) -> int | None:
    if text is None or text == "auto":
        return None
    if text.isascii() and text.isdecimal() and len(text) < 9 and least <= int(text) <= most:
        return int(text)
    raise UsageError(f"{option} {text!r}", why=f"it takes auto, or a number from {least} to {most}")


def _watcher(console: Console, verbose: bool, explain: bool) -> Watcher:
    """What a model does, as the console tells it."""
    from laser_cli.plan.llm.converse import Watcher

    def nothing(*_: object) -> None:
        pass

    def speed(pieces: int, seconds: float) -> None:
        rate = f", {pieces / seconds:.1f} a second" if seconds else ""
        console.note(f"planner: {pieces} tokens in {seconds:.1f} s{rate}")

    return Watcher(console.note, console.note if explain else nothing, speed if verbose else nothing)


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
