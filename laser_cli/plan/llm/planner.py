"""A model as planner: its file found, checked and asked; where it gives no plan the rules take over."""

from __future__ import annotations

import gc
from importlib.metadata import version
from pathlib import Path

from laser_cli.errors import BadInputError
from laser_cli.plan.llm import messages as told
from laser_cli.plan.llm.asked import Asked
from laser_cli.plan.llm.converse import Judge, Outcome, Watcher, as_plan, converse
from laser_cli.plan.llm.find import digest, find
from laser_cli.plan.llm.gguf import read_model
from laser_cli.plan.llm.mend import Mended
from laser_cli.plan.rules import Planned, check_description, plan_by_rules
from laser_cli.plan.schema import Plan, Planner, Segment, share_frames


def plan_by_model(name: str, asked: Asked, watcher: Watcher) -> Planned:
    """The plan of a model (`FILE.gguf` or `hf:REPO[:FILE]`), or of the rules if it gave none; notes say which.

    NotFoundError if there is no such model or it cannot be used, MemoryExhausted if it is too large.
    """
    check_description(asked.description, asked.source)
    share_frames(asked.frames, [1] * (asked.keyframes or 1))
    path = find(name, watcher.note)
    outcome = ask_model(path, asked, watcher)
    if outcome.made is None:
        return instead(path.name, asked, outcome)
    return planned(outcome.made, asked, record(path.name, asked, outcome, digest(path)))


def ask_model(path: Path, asked: Asked, watcher: Watcher, judge: Judge = as_plan) -> Outcome:
    """What a model's file has to say that the judge lets pass, its memory freed again.

    NotFoundError if it cannot be used, MemoryExhausted if it is too large.
    """
    header, size = read_model(path)
    from laser_cli.plan.llm.speaker import open_speaker

    with open_speaker(header, size, asked, told.conversation(asked), watcher.note) as speaker:
        outcome = converse(speaker, asked, watcher, judge=judge)
    del speaker
    gc.collect()  # its memory is needed for drawing
    return outcome


def record(name: str, asked: Asked, outcome: Outcome, sha256: str | None) -> Planner:
    """Who planned, as the plan keeps it."""
    return Planner(
        name=name,
        version=f"llama-cpp-python {version('llama-cpp-python')}",
        seed=asked.seed,
        sha256=sha256,
        prompts=asked.prompts,
        temperature=asked.temperature,
        attempts=outcome.attempts,
    )


def planned(made: Mended, asked: Asked, planner: Planner) -> Planned:
    """The plan of a usable answer, with notes about what was mended in it."""
    lengths = share_frames(asked.frames, [keyframe.share for keyframe in made.keyframes])
    segments = tuple(
        Segment(
            prompt=k.prompt,
            control=k.control,
            strength=0.0 if k.control == "hold" else k.strength / 100,
            frames=frames,
            easing=asked.easing or k.easing,  # type: ignore[arg-type]
        )
        for k, frames in zip(made.keyframes, lengths, strict=True)
    )
    notes = [] if asked.source else [f"taken for what the picture shows: {made.source}"]
    notes += [f"mended: {text}" for text in made.mended]
    plan = Plan(description=asked.description, source=made.source, segments=segments, face=made.face, planner=planner)
    return Planned(plan, tuple(notes))


def instead(name: str, asked: Asked, outcome: Outcome) -> Planned:
    """The rules' plan, which says that they took over and why."""
    times = "once" if outcome.attempts == 1 else f"{outcome.attempts} times"
    why = f"{name} gave no plan, asked {times}: {outcome.why}"
    try:
        plan, notes = plan_by_rules(asked.description, asked.source, asked.frames, asked.easing or "ease")
    except BadInputError as error:
        raise BadInputError(error.what, why=f"{why}\nand the rules: {error.why}", hint=error.hint) from error
    planner = plan.planner.model_copy(update={"instead_of": why})
    return Planned(plan.model_copy(update={"planner": planner}), (f"{why}; the rules planned instead", *notes))
