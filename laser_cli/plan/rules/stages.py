"""Cutting a description into stages that follow one another, and each stage into clauses that happen together."""

from __future__ import annotations

import re

from laser_cli.plan.rules.clauses import Clause, read_clause
from laser_cli.plan.rules.verbs import split_verb

_THEN = (
    r"then|after that|after this|afterwards|afterward|next|finally|lastly|at last|in the end|eventually|later on|later|"
    r"at the end|subsequently|thereafter|followed by|before finally|until finally"
)
# «, then», «and then», «. Then», «; finally», a new sentence
_CUT = re.compile(
    rf"\s*(?:[.!;]+\s+(?:and\s+|but\s+)?(?:{_THEN})?|,?\s*(?:and|but)\s+(?:{_THEN})|,\s*(?:{_THEN})"
    r"|\s(?:then|followed by|until)|\n+)\b[ ,]*"
    r"|\s*(?:->|→|=>|…)\s*",
    re.IGNORECASE,
)
_TOGETHER = re.compile(
    r"^(?:meanwhile|at the same time|simultaneously|all the while|as this happens)\b[ ,]*", re.IGNORECASE
)
_LEAD = re.compile(
    rf"^(?:(?:first of all|first|firstly|at first|initially|to begin with|{_THEN}|and|but|as|while|when|so)\b[ ,]+)+",
    re.IGNORECASE,
)
_JOINT = re.compile(
    r"(,?\s*\b(?:and|while|as|when|whilst|whereas|plus)\b\s+(?:at the same time[, ]+)?|,\s*)", re.IGNORECASE
)
_AFTER = re.compile(r"^(?:after|once|as soon as)\s+(?!that\b|this\b)(.+?),\s*(.+)$", re.IGNORECASE)
_BEFORE = re.compile(r"^(?:before|until)\s+(.+?),\s*(.+)$", re.IGNORECASE)
_TURNED = re.compile(r"^(.+?),?\s+(after|once|as soon as|before)\s+(.+)$", re.IGNORECASE)


def split_stages(description: str) -> list[str]:
    """The parts of a description in the order in which they happen."""
    text = (
        " ".join(description.replace("’", "'").split())
        if "\n" not in description
        else description.replace("’", "'").strip()
    )
    parts: list[str] = []
    for part in _CUT.split(text):
        part = part.strip(" \t\n,.;!")
        if not part:
            continue
        if _TOGETHER.match(part) and parts:
            parts[-1] += " while " + _TOGETHER.sub("", part)
        else:
            parts.append(part)
    return [piece for part in parts for piece in _reordered(_LEAD.sub("", part).strip())]


def _reordered(part: str) -> list[str]:
    """«after A, B» and «B after A» happen as A, B; «A before B» as A, B."""
    first = _AFTER.match(part)
    if first:
        # «after the rain, the sun comes out»: the rain is over, or was never told of
        return [first[1], first[2]] if read_clause(first[1]) and split_verb(first[1]) else [first[2]]
    earlier = _BEFORE.match(part)
    if earlier and split_verb(earlier[1]):
        return [earlier[2], earlier[1]]
    turned = _TURNED.match(part)
    if turned is None:
        return [part]
    if turned[2].lower() == "after" and not split_verb(turned[3]) and turned[3].lower().startswith("the "):
        return [turned[1]]
    one, word, two = turned[1], turned[2].lower(), turned[3]
    if not any(read_clause(c) for c in (one,)) or not _tells_change(two):
        return [part]
    return [one, two] if word == "before" else [two, one]


def _tells_change(text: str) -> bool:
    clause = read_clause(text) if split_verb(text) else None
    return clause is not None and bool(clause.who or clause.what or clause.settled) and len(text.split()) > 1


def read_stage(stage: str, prompt: str | None, after: Clause | None) -> tuple[list[Clause], str]:
    """The clauses of a stage, and the words that were not understood."""
    pieces = _JOINT.split(stage)
    clauses: list[Clause] = []
    texts: list[str] = []
    buffer = glue = ""
    for i in range(0, len(pieces), 2):
        joint = pieces[i - 1] if i else ""
        text = buffer + joint + pieces[i] if buffer else pieces[i]
        glue = glue if buffer else joint
        clause = read_clause(_LEAD.sub("", text.strip()), prompt, clauses[-1] if clauses else after)
        if clause is None and buffer:
            # the words before the joint may have been a fronted phrase that says nothing on its own
            clause = read_clause(_LEAD.sub("", pieces[i].strip()), prompt, clauses[-1] if clauses else after)
            if clause is not None and not clause.who:
                clause = None
        if clause is None:
            buffer = text
            continue
        clauses.append(clause)
        texts.append(text)
        buffer = ""
    if buffer and clauses:
        whole = read_clause(
            _LEAD.sub("", (texts[-1] + glue + buffer).strip()), prompt, clauses[-2] if len(clauses) > 1 else after
        )
        if whole is not None and whole != clauses[-1]:
            clauses[-1], buffer = whole, ""
    return clauses, buffer.strip(" ,")
