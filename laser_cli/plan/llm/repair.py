"""Repair a draft where that is safe, and list the problems to ask the model about again.

Nothing is ever glued onto a prompt that the model wrote: what is missing is a problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from laser_cli.plan.guide import alike
from laser_cli.plan.length import cut
from laser_cli.plan.llm.draft import Draft, DraftKeyframe
from laser_cli.plan.llm.goals import Goals, content_words, goals_of, says, stem
from laser_cli.plan.request import PlanRequest
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.edits import set_tail
from laser_cli.plan.wording.phrases import main_phrase, tail_spans

COPIED = 3
"""Words from which on a request counts as copied where a prompt holds it."""


def repair(draft: Draft, request: PlanRequest, *, by_words: bool = True) -> Draft:
    """Clean prompts, put them in order, give lost places back, cut what is too long; then collect the problems.

    With `by_words` the draft has to show what the description asks for, as far as words and rules tell.
    """
    source = request.source or _clean(draft.source)
    keyframes = tuple(replace(k, prompt=_clean(k.prompt)) for k in draft.keyframes)
    draft = replace(draft, source=source, keyframes=tuple(k for k in keyframes if re.search(r"[^\W\d_]{2}", k.prompt)))
    goals = goals_of(request.description, source) if by_words else Goals()
    draft = _in_order(draft, goals)
    draft = _without_repeats(draft, goals, request)
    draft = _with_places(draft, request) if by_words else draft
    draft = _short_enough(draft)
    return replace(draft, problems=(*draft.problems, *_problems(draft, request, goals)))


def _clean(text: str) -> str:
    """Without the numbers, quotes, stars and full stops that models put around prompts."""
    return re.sub(r"^(?:\d+[.)]\s*)?[\s\"'`*#>-]+|[\s\"'`*.,;]+$", "", " ".join(text.split()))


def _in_order(draft: Draft, goals: Goals) -> Draft:
    """The keyframes sorted into the order of the stages, if each shows all stages that another shows, and more."""
    if _ordered(draft.keyframes, goals) or len(goals.stages) < 2:
        return draft
    shown = [{i for i, goal in enumerate(goals.stages) if goal.shown_by(k.prompt)} for k in draft.keyframes]
    order = sorted(range(len(shown)), key=lambda i: len(shown[i]))
    nested = all(shown[a] < shown[b] for a, b in pairwise(order))
    keyframes = tuple(draft.keyframes[i] for i in order)
    if not nested or not _ordered(keyframes, goals):
        return draft
    note = "the keyframes are put in the order asked for"
    return replace(draft, keyframes=keyframes, repairs=(*draft.repairs, note))


def _ordered(keyframes: Sequence[DraftKeyframe], goals: Goals) -> bool:
    """Whether the stages are first shown one after the other, and the last one at the end."""
    first = [next((i for i, k in enumerate(keyframes) if goal.shown_by(k.prompt)), None) for goal in goals.stages]
    found = [i for i in first if i is not None]
    at_end = not goals.stages or not keyframes or first[-1] is None or goals.stages[-1].shown_by(keyframes[-1].prompt)
    return found == sorted(found) and at_end


def _without_repeats(draft: Draft, goals: Goals, request: PlanRequest) -> Draft:
    """Without keyframes that repeat what is before them, where enough are left; their time goes to those after them."""
    kept: list[DraftKeyframe] = []
    before, owed = draft.source, 0
    for keyframe in draft.keyframes:
        if repeats(keyframe, before):
            owed += keyframe.share
            continue
        kept.append(replace(keyframe, share=keyframe.share + owed))
        before, owed = keyframe.prompt, 0
    left_out = len(draft.keyframes) - len(kept)
    if not left_out or not kept or len(kept) < (request.keyframes or len(goals.stages)):
        return draft
    kept[-1] = replace(kept[-1], share=kept[-1].share + owed)
    note = f"{left_out} keyframe{'s' if left_out > 1 else ''} left out: nothing new"
    return replace(draft, keyframes=tuple(kept), repairs=(*draft.repairs, note), idle=left_out)


def repeats(keyframe: DraftKeyframe, before: str) -> bool:
    """Whether a keyframe shows what is before it, without saying that it holds."""
    same = {stem(w) for w in content_words(keyframe.prompt)} == {stem(w) for w in content_words(before)}
    return keyframe.control != "hold" and (same or alike(keyframe.prompt, before))


def _with_places(draft: Draft, request: PlanRequest) -> Draft:
    """A setting that a prompt lost though the description names none, given back."""
    settings = [span for span in tail_spans(draft.source) if span.kind == "setting"]
    words = {stem(word) for word in content_words(request.description)}
    if len(settings) != 1 or any(stem(noun) in words for noun in lex.SETTINGS):
        return draft
    place = draft.source[settings[0].start : settings[0].end]
    made, repairs = [], list(draft.repairs)
    main = main_phrase(draft.source)
    for number, keyframe in enumerate(draft.keyframes, 1):
        same = main is not None and says(keyframe.prompt, main.head)
        if same and not any(says(keyframe.prompt, noun) for noun in lex.SETTINGS if says(place, noun)):
            repairs.append(f"keyframe {number} had lost {place!r}")
            keyframe = replace(keyframe, prompt=set_tail(keyframe.prompt, "setting", place))
        made.append(keyframe)
    return replace(draft, keyframes=tuple(made), repairs=tuple(repairs))


def _short_enough(draft: Draft) -> Draft:
    """No prompt longer than a text encoder reads."""
    made, repairs = [], list(draft.repairs)
    for number, keyframe in enumerate(draft.keyframes, 1):
        prompt, lost = cut(keyframe.prompt)
        if lost:
            repairs.append(f"keyframe {number} was longer than 77 tokens: cut before {lost!r}")
        made.append(replace(keyframe, prompt=prompt))
    return replace(draft, keyframes=tuple(made), repairs=tuple(repairs))


def _problems(draft: Draft, request: PlanRequest, goals: Goals) -> Iterator[str]:
    """What is wrong with a draft, in words for the model."""
    prompts = [k.prompt for k in draft.keyframes]
    if not prompts or all(alike(prompt, draft.source) for prompt in prompts):
        yield "nothing changes: every prompt is the same as the source"
        return
    if not request.source and goals.stages and (strange := _invented(draft.source, request.description)):
        yield f"the request does not say that the picture shows {strange!r}"
    for number, (before, keyframe) in enumerate(zip([draft.source, *prompts], draft.keyframes, strict=False), 1):
        if repeats(keyframe, before):
            yield f"keyframe {number} shows nothing new beside the one before it"
    if request.keyframes and len(prompts) != request.keyframes:
        yield f"{request.keyframes} keyframes with prompts of their own are needed, there are {len(prompts)}"
    steps = min(len(goals.stages), request.most)
    if not request.keyframes and len(prompts) < steps:
        yield f"the request has {steps} steps, one after the other: each needs a keyframe of its own"
    for goal in goals.stages[:-1]:
        if not any(goal.shown_by(prompt) for prompt in prompts):
            yield f"no prompt shows {' '.join(goal.words)!r}"
    if goals.stages and not goals.stages[-1].shown_by(prompts[-1]):
        yield f"the last prompt does not show {' '.join(goals.stages[-1].words)!r}"
    elif not _ordered(draft.keyframes, goals):
        yield f"the order is wrong: show {', then '.join(' '.join(goal.words) for goal in goals.stages)}"
    for noun in sorted({noun for goal in goals.stages[-1:] for noun in goal.gone if says(prompts[-1], noun)}):
        yield f"the last prompt still has the {noun}"
    asked = request.description.casefold().strip(" .!")
    for number, prompt in enumerate(prompts, 1):
        if len(asked.split()) >= COPIED and asked in prompt.casefold() and asked not in draft.source.casefold():
            yield f"keyframe {number} repeats the request: describe the picture after it"
        if goals.subject and not says(prompt, goals.subject):
            yield f"keyframe {number} does not name the {goals.subject}"
        if foreign := set(re.findall(r"[^\W\d_]+", prompt.lower())) & lex.word_set("foreign_articles"):
            yield f"keyframe {number} is not in English: it has {sorted(foreign)[0]!r}"


def _invented(source: str, description: str) -> str:
    """The first word of an invented source that the description does not have."""
    return next((word for word in content_words(source) if not says(description, word)), "")
