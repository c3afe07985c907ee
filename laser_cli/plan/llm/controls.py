"""The control of a segment by what changes between its two prompts."""

from __future__ import annotations

from laser_cli.plan.rules import control_for, parse_attributes
from laser_cli.plan.rules.become import CONTROL_KINDS
from laser_cli.plan.schema import Control
from laser_cli.plan.wording.phrases import is_participle, noun_phrases, noun_value, tail_spans, tokens


def control_between(before: str, after: str) -> Control:
    """The control for the way from one prompt to the next."""
    known, found = parse_attributes(before), parse_attributes(after)
    kinds = {kind for kind in known | found if known.get(kind) != found.get(kind)}
    kinds = {CONTROL_KINDS.get(kind, kind) for kind in kinds}
    if _things(before) != _things(after):
        kinds.add("object")
    if _doing(before) != _doing(after):
        kinds.add("pose")
    return control_for(kinds)


def _things(prompt: str) -> set[str]:
    """The nouns of a prompt outside its phrases of place, time and weather."""
    tails = tail_spans(prompt)
    phrases = [p for p in noun_phrases(prompt) if not any(t.start <= p.head_start < t.end for t in tails)]
    return {noun_value(phrase.head) for phrase in phrases}


def _doing(prompt: str) -> set[str]:
    return {token[0].lower() for token in tokens(prompt) if is_participle(token[0].lower())}
