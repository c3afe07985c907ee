"""Making a plan's keyframes of a filled-in form: what is safe to mend is mended, the rest is a problem to ask about."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from laser_cli.plan.llm.asked import Asked
from laser_cli.plan.llm.faces import face_track
from laser_cli.plan.llm.fill import Filled, Keyframe
from laser_cli.plan.llm.wanted import Wanted, says, wanted
from laser_cli.plan.phrases import main_phrase
from laser_cli.plan.schema import FacePoint

CLIP_TOKENS = 75
"""What a text encoder with 77 tokens reads beside the marks for beginning and end."""


@dataclass(frozen=True)
class Mended:
    """Source, keyframes and face track; what was mended (for people), and what is still wrong (for the model)."""

    source: str
    keyframes: tuple[Keyframe, ...]
    face: tuple[FacePoint, ...] = ()
    mended: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def mend(filled: Filled, asked: Asked) -> Mended:
    """The answer cleaned and mended: equal neighbours, order, subject, goal words, length of prompts, face track."""
    source = asked.source or _clean(filled.source)
    face, notes = face_track(filled.face)
    made = Mended(source, tuple(_with_prompt(k, _clean(k.prompt)) for k in filled.segments), face, notes)
    sure = wanted(asked.description, source) if asked.by_words else Wanted()
    for step in (_without_repeats, _in_order, _with_subject, _with_goals):
        made = step(made, sure)
    made = _short_enough(made, sure)
    problems = [*made.problems]
    if not made.keyframes:
        problems.append("nothing changes: every prompt is the same as the source")
    elif asked.keyframes and len(made.keyframes) != asked.keyframes:
        found = len(made.keyframes)
        problems.append(f"{asked.keyframes} keyframes with prompts of their own are needed, there are {found}")
    return replace(made, problems=tuple(problems))


def clip_tokens(prompt: str) -> int:
    """About as many tokens as CLIP makes of a prompt, rather more: told without its vocabulary.

    It splits at punctuation and digits; common words are one token, long ones two or three, other scripts by the byte.
    """
    pieces = re.findall(r"[a-z]+|[^\W\d_]+|\d|[^\w\s]+|_+", prompt.lower())
    return sum(math.ceil(len(p) / 8) if p.isascii() and p.isalpha() else len(p.encode()) for p in pieces)


def cut(prompt: str, most: int = CLIP_TOKENS) -> tuple[str, str]:
    """A prompt of at most `most` tokens, cut after a word, or after a comma where that is near; and what was cut."""
    words = prompt.split()
    keep = len(words)
    while keep > 1 and clip_tokens(" ".join(words[:keep])) > most:
        keep -= 1
    comma = max((i + 1 for i in range(keep) if words[i].endswith((",", ";"))), default=0)
    if keep < len(words) and comma > 0.7 * keep:
        keep = comma
    kept = " ".join(words[:keep])
    while len(kept) > 1 and clip_tokens(kept) > most:  # one endless word
        kept = kept[:-1]
    return (prompt, "") if kept == prompt else (kept.rstrip(" ,;"), prompt[len(kept) :].strip())


def _clean(text: str) -> str:
    """Without the quotes, stars and full stops that models put around prompts."""
    return re.sub(r"^[\s\"'`*#>-]+|[\s\"'`*.,;]+$", "", " ".join(text.split()))


def _with_prompt(keyframe: Keyframe, prompt: str) -> Keyframe:
    return keyframe.model_copy(update={"prompt": prompt})


def _same(a: str, b: str) -> bool:
    return re.sub(r"\W+", " ", a).strip().casefold() == re.sub(r"\W+", " ", b).strip().casefold()


def _without_repeats(made: Mended, sure: Wanted) -> Mended:
    """No empty prompt, and none like the one before it unless it says that it holds; its time goes to its neighbour."""
    kept: list[Keyframe] = []
    notes = list(made.mended)
    owed, before = 0, made.source
    for number, keyframe in enumerate(made.keyframes, 1):
        repeats = _same(keyframe.prompt, before)
        words = re.search(r"[^\W\d_]{2}", keyframe.prompt)
        if not words or (repeats and keyframe.control != "hold"):
            notes.append(f"keyframe {number} is left out: it shows nothing new")
            owed += keyframe.share
            continue
        kept.append(_longer(keyframe, owed))
        owed, before = 0, keyframe.prompt
    if owed and kept:
        kept[-1] = _longer(kept[-1], owed)
    if all(_same(keyframe.prompt, made.source) for keyframe in kept):
        kept = []
    return replace(made, keyframes=tuple(kept), mended=tuple(notes))


def _longer(keyframe: Keyframe, owed: int) -> Keyframe:
    return keyframe.model_copy(update={"share": keyframe.share + owed}) if owed else keyframe


def _in_order(made: Mended, sure: Wanted) -> Mended:
    """Keyframes in the order of the description's stages; sorted where each says all that another does, and more."""
    distinct = _distinct(made.source, sure)
    goals = distinct[-1][1] if distinct else []
    ordered = _ordered(made.keyframes, made.source, sure)
    at_end = [any(says(k.prompt, word) for word in goals) for k in made.keyframes]
    if ordered and (not any(at_end) or at_end[-1]):
        return made
    reached = [{i for i, words in distinct if any(says(k.prompt, w) for w in words)} for k in made.keyframes]
    sizes = sorted(range(len(reached)), key=lambda i: len(reached[i]))
    chain = [reached[i] for i in sizes]
    nested = all(a < b for a, b in pairwise(chain))
    shuffled = tuple(made.keyframes[i] for i in sizes)
    if nested and _ordered(shuffled, made.source, sure):
        return replace(made, keyframes=shuffled, mended=(*made.mended, "the keyframes are put in the order asked for"))
    if ordered:
        return made
    asked = ", then ".join(" and ".join(words) for _, words in distinct)
    problem = f"the order is wrong: the keyframes have to show {asked}"
    return replace(made, problems=(*made.problems, problem))


def _distinct(source: str, sure: Wanted) -> list[tuple[int, list[str]]]:
    """The stages by number, each with the words that neither the source nor a stage before it has."""
    stages, known = [], [source]
    for i, goals in enumerate(sure.goals):
        words = [word for word in goals if not any(says(text, word) for text in known)]
        known.append(" ".join(goals))
        if words:
            stages.append((i, words))
    return stages


def _ordered(keyframes: Sequence[Keyframe], source: str, sure: Wanted) -> bool:
    first = []
    for _, words in _distinct(source, sure):
        found = next((i for i, k in enumerate(keyframes) if any(says(k.prompt, word) for word in words)), None)
        if found is not None:
            first.append(found)
    return first == sorted(first)


def _with_subject(made: Mended, sure: Wanted) -> Mended:
    """Every prompt names the subject, unless the description changes it."""
    main = main_phrase(made.source)
    if not sure.subject or main is None:
        return made
    named = made.source[main.start : main.end]
    kept, notes = [], list(made.mended)
    for number, keyframe in enumerate(made.keyframes, 1):
        if not says(keyframe.prompt, main.head):
            notes.append(f"keyframe {number} did not name {named!r}")
            keyframe = _with_prompt(keyframe, f"{named}, {keyframe.prompt}")
        kept.append(keyframe)
    return replace(made, keyframes=tuple(kept), mended=tuple(notes))


def _with_goals(made: Mended, sure: Wanted) -> Mended:
    """The last prompt says what the last stage asks for; a stage before it that no prompt shows is a problem."""
    if not made.keyframes or not sure.goals:
        return made
    prompts = [k.prompt for k in made.keyframes]
    unseen = [g for g in sure.goals[:-1] if g and not any(says(p, word) for word in g for p in prompts)]
    problems = [f"no prompt shows {' '.join(goals)!r}" for goals in unseen]
    goals = sure.goals[-1]
    if goals and not any(says(prompts[-1], word) for word in goals):
        missing = " ".join(goals)
        last = _with_prompt(made.keyframes[-1], f"{prompts[-1]}, {missing}")
        notes = (*made.mended, f"the last prompt did not say {missing!r}")
        made = replace(made, keyframes=(*made.keyframes[:-1], last), mended=notes)
    return replace(made, problems=(*made.problems, *problems))


def _short_enough(made: Mended, sure: Wanted) -> Mended:
    """No prompt longer than a text encoder reads; the goal words of the last stay."""
    kept, notes = [], list(made.mended)
    goals = sure.goals[-1] if sure.goals else ()
    for number, keyframe in enumerate(made.keyframes, 1):
        prompt, lost = cut(keyframe.prompt)
        if lost:
            notes.append(f"keyframe {number} was longer than 77 tokens: cut before {lost!r}")
            missing = " ".join(word for word in goals if says(lost, word) and not says(prompt, word))
            if missing and number == len(made.keyframes):
                prompt = f"{cut(prompt, CLIP_TOKENS - clip_tokens(missing) - 1)[0]}, {missing}"
        kept.append(_with_prompt(keyframe, prompt))
    return replace(made, keyframes=tuple(kept), mended=tuple(notes))
