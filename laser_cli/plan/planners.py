"""Planners by name: built-in ones, those of other packages (entry points `laser.planners`), and language models.

A planner is a subclass of `request.Planner`, or of another package any object with `plan`; it is imported when it is
first asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli import plugins
from laser_cli.errors import NotFoundError, UsageError
from laser_cli.plan.directions import apply_directions, read_directions
from laser_cli.plan.guide import Guide
from laser_cli.plan.intermediate import with_intermediate_keyframes
from laser_cli.plan.request import PlanCallbacks, Planned, Planner, PlanRequest

if TYPE_CHECKING:
    import numpy as np

BUILT_IN = {
    "rules": "laser_cli.plan.rules:RulePlanner",
    "storybook": "laser_cli.storybook.planner:StorybookPlanner",
}
"""Name -> where the planner is; entry points of the group add to them and never replace one."""
SEEN = 768
"""Pixels of the longer side at which captioners see a picture, at most."""
MODELS = "FILE.gguf, hf:REPO, hf:REPO:FILE or openai:URL"
"""How language models are named."""


@cache
def registered() -> dict[str, str]:
    """All planners with a name of their own -> where they are."""
    others = {name: point.value for name, point in plugins.brought(plugins.PLANNERS).items()}
    return {**others, **BUILT_IN}


def names() -> list[str]:
    """The names of the planners that this installation can use."""
    return [name for name in registered() if _answer(name, "available", True)]


def hint() -> str:
    """What can be given as a planner, for error messages."""
    return f"--planner {', '.join(names())}, {MODELS}"


def find_planner(name: str) -> Planner:
    """The planner of that name, or the language model that the name points to. Raises NotFoundError for any other."""
    from laser_cli.plan.llm.backends import is_model
    from laser_cli.plan.llm.planner import LanguageModelPlanner

    if name in registered():
        return _load(name)
    if is_model(name) or Path(os.path.expanduser(name)).exists():
        return LanguageModelPlanner(name)
    raise NotFoundError(f"there is no planner {name!r}", hint=hint())


def choose(name: str | None, request: PlanRequest, callbacks: PlanCallbacks) -> Planner:
    """The planner of that name; without one, a planner that claims the request, else the rules."""
    if name is not None:
        return find_planner(name)
    for other in registered():
        if other != "rules" and _answer(other, "claims", False, request, tell=callbacks.note):
            callbacks.note(f"planned by {other}, which knows this world (--planner rules does without)")
            return _load(other)
    return _load("rules")


def make_plan(
    name: str | None, request: PlanRequest, callbacks: PlanCallbacks | None = None, *, intermediate: bool = True
) -> Planned:
    """Plan a request with the planner of that name.

    With `intermediate`, far changes get keyframes on their way, unless a number of keyframes was asked for.
    """
    callbacks = callbacks or PlanCallbacks()
    directions = read_directions(request.description)
    asked = replace(request, description=directions.description)
    made = apply_directions(choose(name, asked, callbacks).plan(asked, callbacks), directions, request.description)
    if request.keyframes is not None or not intermediate:
        return made
    return made._replace(plan=with_intermediate_keyframes(made.plan))


def make_guides(
    name: str | None, pairs: Sequence[tuple[str, str]], limits: PlanRequest, callbacks: PlanCallbacks | None = None
) -> list[Guide]:
    """A guide for each pair of prompts by the planner of that name, the rules if None."""
    planner = find_planner(name or "rules")
    if not hasattr(planner, "guides"):
        raise UsageError(f"the planner {name} makes no guides", hint="--planner rules, or guides of your own")
    return planner.guides(pairs, limits, callbacks or PlanCallbacks())


def make_caption(name: str, picture: np.ndarray, limits: PlanRequest, callbacks: PlanCallbacks | None = None) -> str:
    """What a picture (h, w, 3) uint8 shows, by the planner of that name.

    Raises NotFoundError if there is no such planner or it sees no pictures, BadInputError if it gives no caption.
    """
    planner = find_planner(name)
    if name in registered() and not (hasattr(planner, "sees") and planner.sees()):
        raise NotFoundError(f"the planner {name!r} sees no pictures", hint=f"a model that does: {MODELS}")
    return planner.caption(_of_size(picture), limits, callbacks or PlanCallbacks())


def sees(name: str | None) -> bool:
    """Whether a language model of that name can be shown pictures, as far as that is known before it is asked."""
    return name is not None and name not in registered() and find_planner(name).sees()


def _of_size(picture: np.ndarray) -> np.ndarray:
    """A picture at most SEEN px wide and high: models read larger ones in many more tokens and see hardly more."""
    import numpy as np
    from PIL import Image

    if max(picture.shape[:2]) <= SEEN:
        return picture
    small = Image.fromarray(picture)
    small.thumbnail((SEEN, SEEN), Image.Resampling.LANCZOS)
    return np.array(small)


def halfway(begin: str, end: str) -> str | None:
    """The prompt halfway between two others by a planner that knows the world of both; None if there is none."""
    return next((found for name in registered() if (found := _answer(name, "halfway", None, begin, end))), None)


def _answer(name: str, question: str, default: Any, *about: Any, tell: Callable[[str], object] | None = None) -> Any:
    """What a planner says to a question that not all can answer; of another package's that fails, the default."""
    if name in BUILT_IN:
        return getattr(_load(name), question)(*about)

    def ask(found: Any) -> Any:
        method = getattr(_load(name), question, None)
        return method(*about) if method else default

    answer = plugins.ask(plugins.PLANNERS, name, ask)
    if answer.broken and tell:
        tell(f"warning: {plugins.skipped(plugins.PLANNERS, name, answer.broken)}")
    return False if answer.broken else answer.found


@cache
def _load(name: str) -> Planner:
    if name not in BUILT_IN:
        brought: Planner = plugins.require(plugins.PLANNERS, name, lambda found: found())
        return brought
    module, _, attribute = registered()[name].partition(":")
    planner: Planner = getattr(import_module(module), attribute)()
    return planner
