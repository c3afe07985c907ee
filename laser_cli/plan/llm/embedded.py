"""The embedded planner: a small model that knows the storybook world by heart, and says so of the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path

from laser_cli.errors import NotFoundError
from laser_cli.plan.lexicon import word_set
from laser_cli.plan.llm.asked import MOST_KEYFRAMES, Asked
from laser_cli.plan.llm.converse import Outcome, Watcher, as_plan
from laser_cli.plan.llm.fill import Keyframe
from laser_cli.plan.llm.find import EMBEDDED, HINT, digest
from laser_cli.plan.llm.gguf import read_model
from laser_cli.plan.llm.mend import Mended, cut
from laser_cli.plan.llm.planner import ask_model, instead, planned, record
from laser_cli.plan.rules import Planned, check_description, plan_by_rules
from laser_cli.plan.schema import share_frames

NAME, PROMPTS = "storybook", "storybook1"
WORDS, NAMED = "storybook.words", "storybook.named"
"""Keys in the file's header: all words of its world, and those of them that name things and their looks."""
STRANGE = 1 / 3
"""The share of words it does not know from which on a text is outside its world."""
REAL = "a real model would do better, --planner FILE.gguf or hf:REPO, and the rules may"
LOOKALIKES = word_set(
    "horse mouse moose pocket socket locket rocker train brain grain drain chair knight light fight flight crown queen "
    "fountain plane cart hearth bat"
)
"""Words of other worlds that a typing error could make of words of this one."""


@dataclass(frozen=True)
class World:
    """The words that the embedded planner knows."""

    words: frozenset[str]
    named: frozenset[str]

    def knows(self, word: str) -> bool:
        """Whether it knows a word, or one that differs by a typing error."""
        if word in self.words or len(word) < 3 or word in LOOKALIKES:
            return word in self.words
        if get_close_matches(word, self.words, 1, 0.8 if len(word) > 3 else 0.85):
            return True
        return any(known[0] == word[0] and sorted(known) == sorted(word) for known in self.words)

    def holds(self, text: str) -> bool:
        """Whether a text is about this world: strange words only as manners, or as looks of things that it knows."""
        if any(letter.isalpha() and not letter.isascii() for letter in text):
            return False
        words = re.findall(r"[a-z]+", text.lower())
        strange = [i for i, word in enumerate(words) if not self.knows(word)]
        if not words or len(strange) >= STRANGE * len(words):
            return False
        return all(words[i].endswith("ly") or (i + 1 < len(words) and words[i + 1] in self.named) for i in strange)


def plan_by_embedded(asked: Asked, watcher: Watcher, path: Path | None = None) -> Planned:
    """The plan of the embedded planner, or of the rules if it gave none; notes say which.

    Outside its world: one segment to the description as written. NotFoundError if this installation has no such file,
    BadInputError where the picture is neither described nor named.
    """
    path = path or EMBEDDED
    check_description(asked.description, asked.source)
    share_frames(asked.frames, [1])
    world = world_of(path)
    named = asked.source or plan_by_rules(asked.description, None, frames=200).plan.source
    if not (world.holds(asked.description) and world.holds(named)):
        return _as_written(asked, named, path)
    if not asked.description.lower().startswith(named.lower()):
        asked = replace(asked, source=named)
    # its own number of keyframes: it learned to make one of every stage
    question = replace(
        asked,
        prompts=PROMPTS,
        by_words=False,
        faces=False,
        keyframes=None,
        frames=max(asked.frames, MOST_KEYFRAMES + 1),
    )

    def judge(answer: str, question: Asked) -> Mended:
        made = as_plan(answer, question)
        if _echoes(made, asked):
            return made
        return replace(made, problems=(*made.problems, *_wrong(made, asked, world)))

    outcome = ask_model(path, question, watcher, judge)
    if outcome.made and _echoes(outcome.made, asked):
        return _as_written(asked, named, path)
    if outcome.made is None:
        return instead(NAME, asked, outcome)
    made = planned(outcome.made, asked, record(NAME, question, outcome, digest(path)))
    count = len(outcome.made.keyframes)
    if asked.keyframes in (None, count):
        return made
    note = f"the embedded planner makes a keyframe of every stage: {count}, not {asked.keyframes}"
    return made._replace(notes=(*made.notes, note))


def at_home(asked: Asked) -> bool:
    """Whether a request is about a portrait of its world, which it knows and the rules do not, and its file is here."""
    texts = [text for text in (asked.description, asked.source) if text]
    if not EMBEDDED.is_file() or not any(re.search(r"\bportrait\b", text, re.IGNORECASE) for text in texts):
        return False
    world = world_of(EMBEDDED)
    return all(world.holds(text) for text in texts)


def world_of(path: Path) -> World:
    """The words in a planner's header; NotFoundError if it is missing or no embedded planner."""
    if not path.is_file():
        why = "this installation comes without its file"
        raise NotFoundError(f"there is no planner {NAME!r}", why=why, hint=HINT)
    header, _ = read_model(path)
    words, named = (str(header.values.get(key, "")).split() for key in (WORDS, NAMED))
    if not words:
        raise NotFoundError(f"{path} is no embedded planner", why="it does not say which words it knows", hint=HINT)
    return World(frozenset(words), frozenset(named))


def _as_written(asked: Asked, source: str, path: Path) -> Planned:
    """One segment to the description, word for word."""
    whole = replace(asked, source=source)
    keyframe = Keyframe(prompt="as written", control="hybrid", strength=40, share=1, easing="ease")
    prompt, lost = cut(asked.description)
    made = Mended(source, (keyframe.model_copy(update={"prompt": prompt}),))
    planner = record(NAME, replace(whole, prompts=PROMPTS), Outcome(made, 1), digest(path))
    plan, notes = planned(made, whole, planner.model_copy(update=dict.fromkeys(("attempts", "seed", "temperature"))))
    told = [f"outside the storybook world: the description is used as the last prompt, word for word; {REAL}"]
    told += [f"it was longer than 77 tokens: cut before {lost!r}"] if lost else []
    told += [] if asked.source else [f"taken for what the picture shows: {source}"]
    return Planned(plan, (*notes, *told))


def _wrong(made: Mended, asked: Asked, world: World) -> Iterator[str]:
    """What no answer of a trained model has: words from nowhere, a source that was not named."""
    said = f"{asked.description} {asked.source or ''}".lower()
    if " ".join(made.source.lower().split()) not in " ".join(said.split()):
        yield f"it took {made.source!r} for what the picture shows"
    known = world.words | set(re.findall(r"[a-z]+", said))
    for keyframe in made.keyframes:
        if strange := [word for word in re.findall(r"[^\W\d_]+", keyframe.prompt.lower()) if word not in known]:
            yield f"its prompt has {strange[0]!r}, which is no word of its world or of the request"


def _echoes(made: Mended, asked: Asked) -> bool:
    """Whether an answer only repeats the description: so it was taught for what lies outside its world."""
    prompts = [keyframe.prompt for keyframe in made.keyframes]
    return len(prompts) == 1 and SequenceMatcher(None, prompts[0].lower(), asked.description.lower()).ratio() > 0.85
