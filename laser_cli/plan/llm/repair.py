"""Turn a model's answer into keyframes: repair what is safe to repair, and list the problems to ask it about again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from laser_cli.plan.length import CLIP_TOKENS, clip_tokens, cut
from laser_cli.plan.llm.draft import Draft, DraftKeyframe
from laser_cli.plan.llm.goals import Goals, goals_of, says
from laser_cli.plan.request import PlanRequest
from laser_cli.plan.rules.phrases import main_phrase


def repair(draft: Draft, request: PlanRequest, *, by_words: bool = True) -> Draft:
    """Clean and repair a draft: equal neighbours, order, subject, goal words, length of prompts.

    With `by_words` it has to show what the rules are sure that the description asks for.
    """
    source = request.source or _clean(draft.source)
    keyframes = tuple(_with_prompt(k, _clean(k.prompt)) for k in draft.keyframes)
    draft = replace(draft, source=source, keyframes=keyframes)
    sure = goals_of(request.description, source) if by_words else Goals()
    for step in (_without_repeats, _in_order, _with_subject, _with_goals, _short_enough):
        draft = step(draft, sure)
    problems = [*draft.problems]
    if not draft.keyframes:
        problems.append("nothing changes: every prompt is the same as the source")
    elif request.keyframes and len(draft.keyframes) != request.keyframes:
        found = len(draft.keyframes)
        problems.append(f"{request.keyframes} keyframes with prompts of their own are needed, there are {found}")
    return replace(draft, problems=tuple(problems))


def _clean(text: str) -> str:
    """Without the quotes, stars and full stops that models put around prompts."""
    return re.sub(r"^[\s\"'`*#>-]+|[\s\"'`*.,;]+$", "", " ".join(text.split()))


def _with_prompt(keyframe: DraftKeyframe, prompt: str) -> DraftKeyframe:
    return replace(keyframe, prompt=prompt)


def _same(a: str, b: str) -> bool:
    return re.sub(r"\W+", " ", a).strip().casefold() == re.sub(r"\W+", " ", b).strip().casefold()


def _without_repeats(made: Draft, sure: Goals) -> Draft:
    """No empty prompt, and none like the one before it unless it says that it holds; its time goes to its neighbour."""
    kept: list[DraftKeyframe] = []
    notes = list(made.repairs)
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
    return replace(made, keyframes=tuple(kept), repairs=tuple(notes))


def _longer(keyframe: DraftKeyframe, owed: int) -> DraftKeyframe:
    return replace(keyframe, share=keyframe.share + owed) if owed else keyframe


def _in_order(made: Draft, sure: Goals) -> Draft:
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
        return replace(
            made, keyframes=shuffled, repairs=(*made.repairs, "the keyframes are put in the order asked for")
        )
    if ordered:
        return made
    order = ", then ".join(" and ".join(words) for _, words in distinct)
    problem = f"the order is wrong: the keyframes have to show {order}"
    return replace(made, problems=(*made.problems, problem))


def _distinct(source: str, sure: Goals) -> list[tuple[int, list[str]]]:
    """The stages by number, each with the words that neither the source nor a stage before it has."""
    stages, known = [], [source]
    for i, goals in enumerate(sure.goals):
        words = [word for word in goals if not any(says(text, word) for text in known)]
        known.append(" ".join(goals))
        if words:
            stages.append((i, words))
    return stages


def _ordered(keyframes: Sequence[DraftKeyframe], source: str, sure: Goals) -> bool:
    first = []
    for _, words in _distinct(source, sure):
        found = next((i for i, k in enumerate(keyframes) if any(says(k.prompt, word) for word in words)), None)
        if found is not None:
            first.append(found)
    return first == sorted(first)


def _with_subject(made: Draft, sure: Goals) -> Draft:
    """Every prompt names the subject, unless the description changes it."""
    main = main_phrase(made.source)
    if not sure.subject or main is None:
        return made
    named = made.source[main.start : main.end]
    kept, notes = [], list(made.repairs)
    for number, keyframe in enumerate(made.keyframes, 1):
        if not says(keyframe.prompt, main.head):
            notes.append(f"keyframe {number} did not name {named!r}")
            keyframe = _with_prompt(keyframe, f"{named}, {keyframe.prompt}")
        kept.append(keyframe)
    return replace(made, keyframes=tuple(kept), repairs=tuple(notes))


def _with_goals(made: Draft, sure: Goals) -> Draft:
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
        notes = (*made.repairs, f"the last prompt did not say {missing!r}")
        made = replace(made, keyframes=(*made.keyframes[:-1], last), repairs=notes)
    return replace(made, problems=(*made.problems, *problems))


def _short_enough(made: Draft, sure: Goals) -> Draft:
    """No prompt longer than a text encoder reads; the goal words of the last stay."""
    kept, notes = [], list(made.repairs)
    goals = sure.goals[-1] if sure.goals else ()
    for number, keyframe in enumerate(made.keyframes, 1):
        prompt, lost = cut(keyframe.prompt)
        if lost:
            notes.append(f"keyframe {number} was longer than 77 tokens: cut before {lost!r}")
            missing = " ".join(word for word in goals if says(lost, word) and not says(prompt, word))
            if missing and number == len(made.keyframes):
                prompt = f"{cut(prompt, CLIP_TOKENS - clip_tokens(missing) - 1)[0]}, {missing}"
        kept.append(_with_prompt(keyframe, prompt))
    return replace(made, keyframes=tuple(kept), repairs=tuple(notes))
