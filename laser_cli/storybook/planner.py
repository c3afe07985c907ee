"""The embedded planner: a small language model that knows the storybook world; the rules plan all else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from laser_cli.errors import NotFoundError
from laser_cli.plan.guide import Guide, guide_by_rules
from laser_cli.plan.llm.backends import Opened, open_chat
from laser_cli.plan.llm.conversation import Outcome, converse
from laser_cli.plan.llm.draft import Draft
from laser_cli.plan.llm.forms import Message
from laser_cli.plan.llm.full import FullForm
from laser_cli.plan.llm.gguf import read_model
from laser_cli.plan.llm.planner import by_rules_instead, plan_of_draft, record
from laser_cli.plan.llm.repair import repair
from laser_cli.plan.planners import hint
from laser_cli.plan.request import MOST_KEYFRAMES, PlanCallbacks, Planned, Planner, PlanRequest, check_description
from laser_cli.plan.rules import plan_by_rules
from laser_cli.plan.schema import share_frames

if TYPE_CHECKING:
    import numpy as np

NAME, PROMPTS = "storybook", "storybook1"
EMBEDDED = Path(__file__).resolve().parent / "weights" / "planner" / "planner.gguf"
"""The model, where an installation comes with it."""
WORDS, NAMED = "storybook.words", "storybook.named"
"""Keys in the file's header: all words of its world, and those of them that name things and their looks."""
AGAIN = 2
"""How many more times an answer that repeats itself is asked for."""
STRANGE = 1 / 3
"""The share of unknown words from which on a text is outside its world."""
_LOOKALIKES = (
    "horse mouse moose pocket socket locket rocker train brain grain drain chair knight light fight flight crown queen "
    "fountain plane cart hearth bat"
)
LOOKALIKES = frozenset(_LOOKALIKES.split())
"""Words of other worlds that a typing error could make of words of this one."""


@dataclass(frozen=True)
class World:
    """The words that the embedded planner knows."""

    words: frozenset[str]
    named: frozenset[str]

    def nearest(self, word: str) -> str:
        """The known word that a word is, or differs from by a typing error; empty if there is none."""
        if word in self.words or len(word) < 3 or word in LOOKALIKES:
            return word if word in self.words else ""
        swapped = sorted(known for known in self.words if known[0] == word[0] and sorted(known) == sorted(word))
        near = get_close_matches(word, self.words, 1, 0.8 if len(word) > 3 else 0.85)
        # of short words one letter is a quarter
        short = [known for known in get_close_matches(word, self.words, 3, 0.75) if known[0] == word[0]]
        return next(iter((*swapped, *near, *(short if len(word) == 4 else ()))), "")

    def corrected(self, text: str) -> str:
        """The text in words of this world: nearly known ones put right, strange manners and looks left out."""

        def right(found: re.Match[str]) -> str:
            word = self.nearest(found[0].lower())
            return word.capitalize() if found[0][0].isupper() else word

        return " ".join(re.sub(r"[A-Za-z]+", right, text).split())

    def holds(self, text: str) -> bool:
        """Whether a text is about this world: strange words only as manners, or as looks of things that it knows."""
        if any(letter.isalpha() and not letter.isascii() for letter in text):
            return False
        words = re.findall(r"[a-z]+", text.lower())
        known = [self.nearest(word) for word in words]
        strange = [i for i, word in enumerate(known) if not word]
        if not words or sum(not words[i].endswith("ly") for i in strange) >= STRANGE * len(words):
            return False
        return all(words[i].endswith("ly") or (i + 1 < len(words) and known[i + 1] in self.named) for i in strange)


def question(description: str, source: str | None) -> str:
    """A request as the embedded planner reads it."""
    return f"{source or 'not described; say what it shows, as the request names it'}\n{description}"


class StorybookForm(FullForm):
    """The full form without instructions and examples: the model has learned it. Checks its answers by its world."""

    version = PROMPTS

    def __init__(self, request: PlanRequest, world: World) -> None:
        super().__init__(faces=False)
        self._request, self._world = request, world

    def messages(self, request: PlanRequest) -> list[Message]:
        """The request alone."""
        return [{"role": "user", "content": self.question(request)}]

    def question(self, request: PlanRequest) -> str:
        """The request as it was trained on."""
        return question(request.description, request.source)

    def shared(self, messages: list[Message]) -> tuple[int, ...]:
        """None: there are no instructions."""
        return ()

    def again(self, messages: list[Message], answer: str | None, problems: list[str]) -> list[Message]:
        """The same once more: it knows no words for problems."""
        return messages

    def read(self, answer: str, request: PlanRequest) -> Draft:
        """The draft in an answer, with what is wrong with it unless it only repeats the description."""
        draft = repair(self.draft(answer), request, by_words=False)
        if repeats(draft, self._request):
            return draft
        return replace(draft, problems=(*draft.problems, *_problems(draft, self._request, self._world)))


class StorybookPlanner(Planner):
    """Plans changes of its own world with the model that ships with the package, and all others by the rules."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The model's file."""
        return self._path or EMBEDDED

    def available(self) -> bool:
        """Whether this installation comes with the model."""
        return self.path.is_file()

    def claims(self, request: PlanRequest) -> bool:
        """Whether a request is about a portrait of its world, which it knows and the rules do not."""
        texts = [text for text in (request.description, request.source) if text]
        if not self.available() or not any(re.search(r"\b(?:portrait|face)\b", text, re.IGNORECASE) for text in texts):
            return False
        world = world_of(self.path)
        return all(world.holds(text) for text in texts)

    def halfway(self, begin: str, end: str) -> str | None:
        """The caption of what lies halfway between two of its captions; None for any others."""
        from laser_cli.storybook.read import caption_between

        return caption_between(begin, end)

    def sees(self) -> bool:
        """Whether this installation comes with the classifier that reads pictures of its world."""
        from laser_cli.storybook.classifier import FOLDER

        return FOLDER.is_dir()

    def caption(self, picture: np.ndarray, limits: PlanRequest, callbacks: PlanCallbacks) -> str:
        """The caption of a picture of its world, as its classifier reads it."""
        import torch

        from laser_cli.storybook.classifier import load_classifier
        from laser_cli.storybook.describe import describe

        return describe(load_classifier(), torch.from_numpy(picture.copy()).permute(2, 0, 1) / 255)

    def plan(self, request: PlanRequest, callbacks: PlanCallbacks) -> Planned:
        """Plan a request, by the rules if it is outside the world or the model gives no usable answer; notes say so.

        Raises NotFoundError if this installation has no model, BadInputError where the picture is not named.
        """
        check_description(request.description, request.source)
        share_frames(request.frames, [1])
        world = world_of(self.path)
        inside = world.holds(request.description)
        plain = world.corrected(request.description) if inside else request.description
        named = request.source or plan_by_rules(plain, None, frames=200).plan.source
        if not (inside and world.holds(named)):
            return _outside(request)
        if not plain.lower().startswith(named.lower()):
            request = replace(request, source=named)
        # its own number of keyframes: it learned to make one of every stage
        asked = replace(request, description=plain, keyframes=None, frames=max(request.frames, MOST_KEYFRAMES + 1))
        form = StorybookForm(asked, world)
        outcome, opened = self._ask(asked, callbacks, form)
        if outcome.draft is None:
            return by_rules_instead(NAME, request, outcome)
        if repeats(outcome.draft, asked):
            return _outside(replace(request, description=plain))
        made = plan_of_draft(outcome.draft, request, record(opened._replace(name=NAME), form, request, outcome))
        count = len(outcome.draft.keyframes)
        if request.keyframes in (None, count):
            return made
        note = f"the embedded planner makes a keyframe of every stage: {count}, not {request.keyframes}"
        return made._replace(notes=(*made.notes, note))

    def _ask(self, asked: PlanRequest, callbacks: PlanCallbacks, form: StorybookForm) -> tuple[Outcome, Opened]:
        """The answer; one that repeats itself may have lost a stage, and gives way to one of more keyframes."""
        outcome, opened = ask_model(self.path, asked, callbacks, form)
        for more in range(1, AGAIN + 1):
            if outcome.draft is None or not outcome.draft.idle:
                break
            other, reopened = ask_model(self.path, replace(asked, seed=asked.seed + more), callbacks, form)
            if other.draft is not None and len(other.draft.keyframes) > len(outcome.draft.keyframes):
                outcome, opened = other, reopened
        return outcome, opened

    def guides(self, pairs: Sequence[tuple[str, str]], limits: PlanRequest, callbacks: PlanCallbacks) -> list[Guide]:
        """A guide for each pair of prompts, by the rules: the model knows of changes only."""
        world_of(self.path)
        callbacks.note("the storybook planner plans changes only: the rules make the guide")
        return [guide_by_rules(begin, end) for begin, end in pairs]


def ask_model(
    path: Path, request: PlanRequest, callbacks: PlanCallbacks, form: StorybookForm
) -> tuple[Outcome, Opened]:
    """What the model has to say to a request, and how plans record it."""
    with open_chat(str(path), [request], form, callbacks.note) as opened:
        return converse(opened.model, request, callbacks, form), opened


def world_of(path: Path) -> World:
    """The words in the header of an embedded planner. Raises NotFoundError if the file is missing or is none."""
    if not path.is_file():
        why = "this installation comes without its file"
        raise NotFoundError(f"there is no planner {NAME!r}", why=why, hint=hint())
    header, _ = read_model(path)
    words, named = (str(header.values.get(key, "")).split() for key in (WORDS, NAMED))
    if not words:
        raise NotFoundError(f"{path} is no embedded planner", why="it does not say which words it knows", hint=hint())
    return World(frozenset(words), frozenset(named))


def repeats(draft: Draft, request: PlanRequest) -> bool:
    """Whether an answer only repeats the description: so the model was taught to mark what lies outside its world."""
    prompts = [keyframe.prompt for keyframe in draft.keyframes]
    return len(prompts) == 1 and SequenceMatcher(None, prompts[0].lower(), request.description.lower()).ratio() > 0.85


def _outside(request: PlanRequest) -> Planned:
    """The rules' plan for what is outside the storybook world."""
    why = "outside the storybook world"
    plan, notes = plan_by_rules(request.description, request.source, request.frames, request.easing or "linear")
    planner = plan.planner.model_copy(update={"instead_of": f"{NAME}: {why}"})
    return Planned(plan.model_copy(update={"planner": planner}), (f"{why}: the rules planned it", *notes))


def _problems(draft: Draft, request: PlanRequest, world: World) -> Iterator[str]:
    """What no answer of a trained model has: a source that was not named, strange words, looks that change untold."""
    from laser_cli.storybook.planner_checks import strange_words, untold_looks

    said = f"{request.description} {request.source or ''}".lower()
    if " ".join(draft.source.lower().split()) not in " ".join(said.split()):
        yield f"it took {draft.source!r} for what the picture shows"
    prompts = [keyframe.prompt for keyframe in draft.keyframes]
    yield from strange_words(prompts, world.words | frozenset(re.findall(r"[a-z]+", said)))
    yield from untold_looks(request.description, [draft.source, *prompts])
