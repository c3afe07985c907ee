"""The rule planner: a description of change becomes keyframe prompts by editing the source prompt in place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from laser_cli.errors import BadInputError
from laser_cli.plan.directions import apply_directions, read_directions
from laser_cli.plan.easing import Easing
from laser_cli.plan.length import cut
from laser_cli.plan.request import PlanCallbacks, Planned, Planner, PlanRequest, check_description
from laser_cli.plan.rules.apply import apply_clause
from laser_cli.plan.rules.clauses import Clause, is_scenery
from laser_cli.plan.rules.faces import is_faceless, needs_face
from laser_cli.plan.rules.languages import in_english
from laser_cli.plan.rules.spelling import corrected
from laser_cli.plan.rules.stages import read_stage, split_stages
from laser_cli.plan.schema import (
    MAX_PROMPT,
    RULES,
    STRENGTHS,
    Control,
    Plan,
    Segment,
    share_frames,
)
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.edits import add_part, set_tail, with_article
from laser_cli.plan.wording.phrases import main_phrase, singular, tail_spans

NOT_UNDERSTOOD = "the rules did not understand the description: it is used as the last prompt, word for word"
_NO_SUBJECT = frozenset(["its", "his", "her", "their", "it", "he", "she", "they", "this", "that", "nothing"])
"""First words of phrases that do not say what a picture shows."""


STORY = 12
"""Stages from which on a description is a story, of which only the main ones are shown."""
_AGAIN = re.compile(r"\b(?:again|back|once more|returns?|as before)\b", re.IGNORECASE)
_PLAIN_TAILS = {"time": "noon", "sky": "clear", "place": "middle"}
"""What a prompt that says nothing of these kinds is taken to show."""


@dataclass(frozen=True)
class _Keyframe:
    prompt: str
    control: Control
    back: bool = False


class RulePlanner(Planner):
    """Plans by tables and rules alone: fast, the same every time, in English."""

    def plan(self, request: PlanRequest, callbacks: PlanCallbacks) -> Planned:
        """Plan a request; a note says if it has another number of keyframes than was asked for."""
        made = plan_by_rules(request.description, request.source, request.frames, request.easing or "linear")
        for line in _reading(request.description, made.plan.prompts):
            callbacks.explain(line)
        found = len(made.plan.segments)
        if request.keyframes in (None, found):
            return made
        note = f"the rules make a keyframe of every change they find: {found}, not {request.keyframes}"
        return made._replace(notes=(*made.notes, note))


def plan_by_rules(description: str, source: str | None = None, frames: int = 24, easing: str = "linear") -> Planned:
    """Plan a description of change; notes say what was not understood.

    Raises BadInputError where the picture is neither described by `source` nor named in the description.
    """
    check_description(description.strip(), source)
    directions = read_directions(description)
    return apply_directions(_plan(directions.description, source, frames, easing), directions, description)


def _plan(description: str, source: str | None, frames: int, easing: str) -> Planned:
    """The plan of a description without directions."""
    description, spelling = corrected(in_english(" ".join(description.split())))
    source = " ".join(source.split()) if source else None
    check_description(description, source)
    if easing not in get_args(Easing):
        raise BadInputError(f"unknown easing {easing!r}", hint=f"one of {', '.join(get_args(Easing))}")
    stages = split_stages(description)
    source = source or _named_source(stages)
    if source is None:
        raise BadInputError(
            "the description does not say what the picture shows",
            why="it speaks of a change only, and the prompts are made from a description of the picture",
            hint='say it with --source-prompt, for example --source-prompt "a cottage in a meadow at noon"',
        )
    keyframes, notes = _keyframes(stages, source)
    notes = [*spelling, *notes]
    if not keyframes and any("has a face" in note for note in notes):
        raise BadInputError(
            "the picture shows no face",
            why=f"{source!r} names nobody, and {description!r} speaks of nothing else",
            hint="say who is in the picture with --source-prompt",
        )
    if not keyframes:
        keyframes = [_Keyframe(description, "hybrid")]
        notes = [*spelling, NOT_UNDERSTOOD]
    if len(keyframes) > STORY:
        keyframes, note = _main_stages(keyframes, source, frames)
        notes.append(note)
    keyframes, cuts = _short_enough(keyframes)
    notes += cuts
    lengths = share_frames(frames, [1] * len(keyframes))
    segments = tuple(
        Segment(
            prompt=k.prompt,
            control=k.control,
            strength=STRENGTHS[k.control],
            frames=n,
            easing=cast(Easing, easing),
            back=k.back,
        )
        for k, n in zip(keyframes, lengths, strict=True)
    )
    return Planned(Plan(description=description, source=source, segments=segments, planner=RULES), tuple(notes))


def _keyframes(stages: list[str], source: str) -> tuple[list[_Keyframe], list[str]]:
    """One keyframe for each stage, and notes; no keyframes if no stage was understood."""
    keyframes: list[_Keyframe] = []
    notes: list[str] = []
    understood = False
    prompt, after = source, None
    for stage in stages:
        clauses, left = read_stage(stage, prompt, after)
        kinds: set[str] = set()
        before = prompt
        shown = [c for c in clauses if not (needs_face(c) and is_faceless(prompt))]
        if len(shown) < len(clauses):
            notes.append(f"nobody in {prompt!r} has a face: left out of {stage!r}")
            understood = True
            if not shown and not left:
                continue
        for clause in shown:
            prompt, changed = apply_clause(prompt, clause)
            kinds |= changed
        if left and clauses:
            notes.append(f"not understood, and left out: {left!r}")
        elif left:
            prompt = add_part(prompt, left)
            kinds.add("subject")
            notes.append(f"not understood, and added to the prompt as it is: {left!r}")
        elif not kinds and not all(c.how == "hold" for c in clauses):
            notes.append(f"nothing changes in: {stage!r}")
        understood = understood or bool(clauses)
        after = clauses[-1] if clauses else after
        if prompt != before and _in_words_of(prompt, source, bool(_AGAIN.search(stage))) == source:
            prompt = source
        back = prompt == source != before
        keyframes.append(_Keyframe(prompt, control_for(kinds), back))
    return (keyframes, notes) if understood else ([], notes)


def _main_stages(keyframes: list[_Keyframe], source: str, frames: int) -> tuple[list[_Keyframe], str]:
    """The keyframes that the most changes lead to, as many as fit into the frames, the last one always; and a note."""
    count = max(1, min(STORY, (frames - 1) // 2))
    before = [source, *(k.prompt for k in keyframes)]
    news = [len(set(k.prompt.split()) ^ set(old.split())) for k, old in zip(keyframes, before, strict=False)]
    size = len(keyframes) / count
    groups = [range(round(i * size), round((i + 1) * size)) for i in range(count)]
    chosen = [max(group, key=lambda i: (news[i], i)) for group in groups[:-1]]
    kept = [keyframes[i] for i in (*chosen, len(keyframes) - 1)]
    return kept, f"the description has {len(keyframes)} stages: the plan shows {count} of them"


def _short_enough(keyframes: list[_Keyframe]) -> tuple[list[_Keyframe], list[str]]:
    """The keyframes with prompts that a text encoder reads to the end, and a note for each that was cut."""
    kept, notes = [], []
    for number, keyframe in enumerate(keyframes, 1):
        prompt, lost = cut(keyframe.prompt)
        if lost and not keyframe.back:
            notes.append(f"keyframe {number} was longer than 77 tokens: cut before {_shortened(lost)!r}")
            keyframe = replace(keyframe, prompt=prompt)
        kept.append(keyframe)
    return kept, notes


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _in_words_of(prompt: str, source: str, again: bool) -> str:
    """The prompt with the source's own words of place, time and weather where it says the same in others.

    With `again` it also leaves out what goes without saying in the source, such as the day.
    """
    said = {span.kind: span for span in tail_spans(source)}
    for span in tail_spans(prompt):
        theirs = said.get(span.kind)
        if theirs is not None and theirs.value == span.value:
            prompt = set_tail(prompt, span.kind, source[theirs.start : theirs.end])
        elif theirs is None and again and _PLAIN_TAILS.get(span.kind) == span.value:
            plain = set_tail(prompt, span.kind, None)
            prompt = plain if plain == source else prompt
    return prompt


def control_for(kinds: set[str]) -> Control:
    """The control that lets these kinds of attributes change and holds the rest."""
    if not kinds:
        return "hold"
    if kinds & {"subject", "object"}:
        return "hybrid"
    return "motion" if kinds & {"size", "place", "pose"} else "texture"


def _named_source(stages: list[str]) -> str | None:
    """What the description itself calls the picture: the first thing that it says changes."""
    after: Clause | None = None
    for stage in stages:
        clauses, _ = read_stage(stage, None, after)
        for clause in clauses:
            after = clause
            who = _as_picture(clause.who)
            if who and (clause.how not in ("settle", "appear", "vanish") or _is_new(clause)):
                return who
    return None


def _is_new(clause: Clause) -> bool:
    """Whether the weather comes to something mentioned for the first time: «a garden is covered in snow»."""
    return clause.how == "settle" and bool(re.match(r"an? ", clause.who, re.IGNORECASE)) and not is_scenery(clause.who)


def _as_picture(who: str) -> str | None:
    """«the horse» -> «a horse»; None for pronouns, parts and the weather."""
    words = who.strip(" ,").split()
    if not words or words[0].lower() in _NO_SUBJECT:
        return None
    main = main_phrase(who)
    if main is not None and main.start == 0 and main.head in lex.PICTURE:
        return None
    if main is None or len(who) > MAX_PROMPT or (is_scenery(who) and main.determiner not in ("a", "an")):
        return None
    text = " ".join(words)
    if words[0].lower() == "the":
        rest = re.sub(r"^the\s+", "", text, flags=re.IGNORECASE)
        plural = singular(main.head) != main.head or rest.split()[0].lower() in ("two", "three", "four", "five")
        return rest if plural else with_article(rest)
    return text


def _reading(description: str, prompts: Sequence[str]) -> Iterator[str]:
    """How the rules read a description, stage by stage, for `--explain`."""
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
