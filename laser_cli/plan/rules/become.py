"""What a thing, the scene or the picture becomes: other adjectives, another noun, place, time, weather or style."""

from __future__ import annotations

import re

from laser_cli.plan.rules.clauses import adjectives_only, is_scenery, setting_value, style_of
from laser_cli.plan.rules.events import changes_of, environment
from laser_cli.plan.rules.settle import Result, settle
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.edits import (
    add_part,
    fix_article,
    replace_noun,
    set_adjective,
    set_style,
    set_tail,
    tidy,
    with_article,
)
from laser_cli.plan.wording.phrases import (
    NounPhrase,
    adjective_spans,
    locate,
    main_phrase,
    noun_phrases,
    noun_value,
    singular,
    tail_spans,
)

CONTROL_KINDS = {"height": "size", "girth": "size", "opening": "pose", "waking": "pose"}
"""Kinds of attributes that a control is chosen by as for another kind: what alters an outline counts as size."""


def become(prompt: str, who: str, what: str) -> Result:
    """The prompt in which `who` (the subject if empty) has become `what`."""
    extra: list[tuple[str, str | None]] = []
    kinds: set[str] = set()
    moved: list[tuple[str, str]] = []
    core = what
    for span in reversed(tail_spans(what)):
        words = what[span.start : span.end]
        if span.kind in ("setting", "place"):
            moved.append((span.kind, words))
        else:
            extra[:0] = changes_of(span.kind, words)
        core = core[: span.start].rstrip(" ,") + core[span.end :]
    core = tidy(core) or what
    style = style_of(core)
    around = environment(core)
    low = re.sub(r"^(?:very|quite|all) ", "", core.lower())
    if low in ("dark", "light", "bright") and (is_scenery(who) or who.lower() in ("", "it", "outside", "it outside")):
        around = (("time", "at night" if low == "dark" else "by day"),)
    if style and not (who and locate(prompt, who) and not _is_main(prompt, who)):
        prompt, kinds = set_style(prompt, style), {"style"}
    elif around is not None and not _is_whole(prompt, who):
        prompt, changed = settle(prompt, around)
        kinds |= changed
    elif adjectives_only(core):
        prompt, kinds = _adjectives(prompt, who, core)
    else:
        prompt, kinds = _noun(prompt, who, core)
    for kind, words in moved:
        prompt = set_tail(prompt, kind, words)
        kinds.add(kind)
    prompt, changed = settle(prompt, extra)
    return prompt, frozenset(kinds | changed)


def _is_main(prompt: str, who: str) -> bool:
    return locate(prompt, who) == main_phrase(prompt)


def _is_whole(prompt: str, who: str) -> bool:
    """Whether a phrase such as «a summer day» is the picture itself, and not something around its subject."""
    main = main_phrase(prompt)
    return main is not None and who.lower() == prompt.lower() and noun_value(main.head) in lex.SCENERY


def _adjectives(prompt: str, who: str, words: str) -> tuple[str, set[str]]:
    # «its colour changes to blue», «the colour of the hat …»
    who = re.sub(r"^(?:the|its|his|her|their) (?:colou?r|pattern|look|size)(?: of)?\b ?", "", who, flags=re.IGNORECASE)
    target = locate(prompt, who)
    if target is None:
        if who and is_part(who):
            noun = re.sub(r"^(?:the|his|her|its|their|a|an) ", "", who, flags=re.IGNORECASE)
            if noun.lower() == "sky":
                return set_tail(prompt, "sky", f"under {with_article(f'{words} sky')}"), {"sky"}
            article = "" if _mass(noun) else with_article(words)[: -len(words)]
            return add_part(prompt, f"with {article}{words} {noun}"), {"colour"}
        target = main_phrase(prompt)
    if target is None:
        return prompt, set()
    kinds: set[str] = set()
    start = target.start
    for span in adjective_spans(words):
        word = words[span.start : span.end]
        word = lex.PLAIN_SIZE.get(word.lower(), lex.PLAIN_QUALITY.get(word.lower(), word))
        target = next((p for p in noun_phrases(prompt) if p.start == start), None) or target
        if (span.kind, span.value) == ("pattern", "plain"):
            prompt = set_adjective(prompt, target, "pattern", None)
        else:
            prompt = set_adjective(prompt, target, span.kind, word)
        kinds.add(CONTROL_KINDS.get(span.kind, span.kind))
    return prompt, kinds


def _mass(noun: str) -> bool:
    last = noun.split()[-1]
    return singular(last) != last.lower() or last in lex.UNCOUNTED


def is_part(who: str) -> bool:
    """Whether words name something that belongs to the picture without being its subject."""
    words = who.lower().split()
    named = noun_phrases(who)
    head = named[0].head if named else words[-1]
    return words[0] in ("his", "her", "its", "their") or head in lex.PARTS or singular(head) != head


def _noun(prompt: str, who: str, what: str) -> tuple[str, set[str]]:
    value, target, main = setting_value(what), locate(prompt, who), main_phrase(prompt)
    around = is_scenery(who) or bool(setting_value(who))
    inside = target is not None and any(
        s.kind == "setting" and s.start <= target.head_start < s.end for s in tail_spans(prompt)
    )
    plain = len([w for w in what.lower().split() if w not in ("a", "an", "the")]) == 1
    if value and plain and (inside or (around and target is None)):
        noun = noun_phrases(what)[0].head if noun_phrases(what) else what
        return set_tail(prompt, "setting", lex.SETTINGS[noun][1]), {"setting"}
    words = what.lower().split()
    if target is not None and not target.determiner and target.head in lex.MASS_NOUNS and len(words) == 1:
        return replace_noun(prompt, target, what, who), {"subject"}
    if target is not None and words[-1] == "one":
        what = f"{what[:-3]}{target.head}"
    if target is not None and target.determiner and words[-1] in lex.MATERIALS and len(words) == 1:
        return set_material(prompt, target, what), {"look"}
    if (
        len(words) == 1
        and words[0] not in lex.SUBJECTS
        and singular(words[0]) == words[0]
        and target
        and not _bare_noun(words[0])
    ):
        made = prompt[: target.body] + what + " " + prompt[target.body :]
        return tidy(fix_article(made, target.start)), {"look"}
    if target is None and around and main is not None and setting_value(who):
        return add_part(prompt, f"in {what}"), {"setting"}
    if target is None and main is not None and re.match(r"(?:his|her|its|their) ", who, re.IGNORECASE):
        return add_part(prompt, f"with {what}", main), {"object"}
    target = target or main
    if target is None:
        return what, {"subject"}
    return replace_noun(prompt, target, what, who), {"setting" if inside else "subject"}


def _bare_noun(word: str) -> bool:
    """Whether a single word without an article is a noun all the same («stone», «ice»)."""
    return word in lex.MASS_NOUNS or word in lex.MATERIALS


def set_material(prompt: str, target: NounPhrase, material: str) -> str:
    """What a thing is made of, told right before its noun: «a stone man»."""
    made = f"{prompt[: target.head_start]}{material} {prompt[target.head_start :]}"
    return tidy(fix_article(made, target.start))
