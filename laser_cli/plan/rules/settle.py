"""Time, season and weather set in a prompt, and adjectives taken out that a change contradicts."""

from __future__ import annotations

from collections.abc import Iterable

from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.edits import fix_article, set_tail, tidy
from laser_cli.plan.wording.phrases import adjective_spans, noun_phrases, tail_spans, tokens

Result = tuple[str, frozenset[str]]
"""A prompt, and the kinds of attributes that changed in it."""


def settle(prompt: str, changes: Iterable[tuple[str, str | None]]) -> Result:
    """Set or drop phrases of time, season and weather, one kind after the other."""
    kinds = set()
    for kind, phrase in changes:
        before = prompt
        if kind == "season":
            prompt = _season(prompt, phrase or "")
        elif kind == "snow" and phrase and any(s.value in ("spring", "summer") for s in tail_spans(prompt)):
            prompt = set_tail(set_tail(prompt, "season", None), kind, phrase)
        elif kind == "day":
            if any(s.kind == "time" and s.value == "night" for s in tail_spans(prompt)):
                prompt = set_tail(prompt, "time", phrase)
        else:
            prompt = set_tail(prompt, kind, phrase)
        if prompt != before:
            kinds.add("time" if kind == "day" else kind)
    return prompt, frozenset(kinds)


def _season(prompt: str, season: str) -> str:
    """A new season: winter covers the ground with snow, the others take snow away."""
    spans = tail_spans(prompt)
    named = [s for s in spans if s.kind == "season"]
    if season == "winter":
        if not named:
            return set_tail(prompt, "snow", "covered in snow")
        prompt = set_tail(prompt, "snow", None)
        return set_tail(prompt, "season", "in winter")
    snow = [s for s in spans if s.kind in ("snow", "snowfall")]
    if not named and any(prompt[s.start : s.end].lower() == "in winter" for s in snow):
        return set_tail(set_tail(prompt, "snowfall", None), "snow", f"in {season}")
    for kind in ("snow", "snowfall"):
        prompt = set_tail(prompt, kind, None)
    # without snow the summer is there already: a word that a picture does not show would only move the prompt
    return prompt if snow and not named and season != "autumn" else set_tail(prompt, "season", f"in {season}")


def without_what_ended(before: str, after: str) -> str:
    """The prompt without adjectives that its new words, new things or lost things contradict («a closed open door»)."""
    old, new = ([t[0].lower() for t in tokens(text)] for text in (before, after))
    over: set[str] = set()
    for word in set(new) - set(old):
        over |= lex.ENDS.get(word, frozenset())
    for word in set(old) - set(new):
        over |= lex.ENDS_WITHOUT.get(word, frozenset())
    heads = ({p.head for p in noun_phrases(text)} for text in (before, after))
    known, found = heads
    if len(found) > len(known) and not {"without", "empty"} & (set(new) - set(old)):
        over |= {"empty", "deserted"}
    over &= set(old)
    for phrase in reversed(noun_phrases(after)):
        for span in reversed(adjective_spans(after, phrase)):
            if after[span.start : span.end].lower() in over:
                after = after[: span.start] + after[span.end :].lstrip(" ")
                after = fix_article(after, phrase.start)
    return tidy(after)
