"""Language models as planners: a model is found, checked and asked; where it gives no usable answer the rules plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from laser_cli.errors import BadInputError
from laser_cli.plan.easing import Easing
from laser_cli.plan.guide import Guide
from laser_cli.plan.llm.backends import Opened, is_model, open_chat, sees
from laser_cli.plan.llm.conversation import Outcome, converse
from laser_cli.plan.llm.draft import Draft
from laser_cli.plan.llm.forms import AnswerForm
from laser_cli.plan.llm.full import FullForm
from laser_cli.plan.llm.lines import LinesForm
from laser_cli.plan.request import PlanCallbacks, Planned, Planner, PlanRequest, check_description
from laser_cli.plan.rules import plan_by_rules
from laser_cli.plan.schema import Plan, Segment, share_frames
from laser_cli.plan.schema import Planner as PlannedBy

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LanguageModelPlanner", "is_model", "plan_by_model", "record"]


class LanguageModelPlanner(Planner):
    """Plans with the language model of that name (`FILE.gguf`, `hf:REPO[:FILE]` or `openai:URL[#MODEL]`)."""

    def __init__(self, name: str) -> None:
        self._name = name

    def plan(self, request: PlanRequest, callbacks: PlanCallbacks) -> Planned:
        """Plan a request. Raises NotFoundError if the model cannot be used, MemoryExhausted if it is too large."""
        return plan_by_model(self._name, request, callbacks)

    def sees(self) -> bool:
        """Whether the model can be shown pictures, as far as that is known before it is asked."""
        return sees(self._name)

    def caption(self, picture: np.ndarray, limits: PlanRequest, callbacks: PlanCallbacks) -> str:
        """What a picture shows; raises as `plan` does, and BadInputError for no usable answer."""
        from laser_cli.plan.llm.caption import caption_by_model

        return caption_by_model(self._name, picture, limits, callbacks)

    def guides(self, pairs: Sequence[tuple[str, str]], limits: PlanRequest, callbacks: PlanCallbacks) -> list[Guide]:
        """A guide for each pair of prompts; raises as `plan` does."""
        from laser_cli.plan.llm.guide import guides_by_model

        return guides_by_model(self._name, pairs, limits, callbacks)


def plan_by_model(name: str, request: PlanRequest, callbacks: PlanCallbacks) -> Planned:
    """Plan with a model, or with the rules if it gives no usable answer; notes say which.

    Raises NotFoundError if there is no such model or it cannot be used, MemoryExhausted if it is too large.
    """
    check_description(request.description, request.source)
    share_frames(request.frames, [1] * (request.keyframes or 1))
    form: AnswerForm = FullForm() if request.form == "full" else LinesForm()
    with open_chat(name, [request], form, callbacks.note) as opened:
        outcome = converse(opened.model, request, callbacks, form)
    if outcome.draft is None:
        return by_rules_instead(opened.name, request, outcome)
    return plan_of_draft(outcome.draft, request, record(opened, form, request, outcome))


def record(opened: Opened, form: AnswerForm, request: PlanRequest, outcome: Outcome) -> PlannedBy:
    """Who planned, as the plan file keeps it."""
    return PlannedBy(
        name=opened.name,
        version=opened.version,
        seed=request.seed,
        sha256=opened.sha256(),
        prompts=form.version,
        temperature=request.temperature,
        attempts=outcome.attempts,
    )


def plan_of_draft(draft: Draft, request: PlanRequest, planner: PlannedBy) -> Planned:
    """The plan of a usable answer, with notes about what was repaired in it."""
    lengths = share_frames(request.frames, [keyframe.share for keyframe in draft.keyframes])
    segments = tuple(
        Segment(
            prompt=k.prompt,
            control=k.control,
            strength=0.0 if k.control == "hold" else k.strength,
            frames=frames,
            easing=cast(Easing, request.easing or k.easing),
        )
        for k, frames in zip(draft.keyframes, lengths, strict=True)
    )
    notes = [] if request.source else [f"taken for what the picture shows: {draft.source}"]
    notes += [f"mended: {text}" for text in draft.repairs]
    plan = Plan(
        description=request.description, source=draft.source, segments=segments, face=draft.face, planner=planner
    )
    return Planned(plan, tuple(notes))


def by_rules_instead(name: str, request: PlanRequest, outcome: Outcome) -> Planned:
    """The rules' plan, which says that they took over and why."""
    times = "once" if outcome.attempts == 1 else f"{outcome.attempts} times"
    why = f"{name} gave no plan, asked {times}: {outcome.why}"
    try:
        plan, notes = plan_by_rules(request.description, request.source, request.frames, request.easing or "linear")
    except BadInputError as error:
        raise BadInputError(error.what, why=f"{why}\nand the rules: {error.why}", hint=error.hint) from error
    planner = plan.planner.model_copy(update={"instead_of": why})
    return Planned(plan.model_copy(update={"planner": planner}), (f"{why}; the rules planned instead", *notes))
