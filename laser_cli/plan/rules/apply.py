"""Doing what a clause says to a prompt, and telling which kinds of attributes it changed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from laser_cli.plan.rules import lexicon as lex
from laser_cli.plan.rules.clauses import Clause, adjectives_only, is_scenery, setting_value, style_of
from laser_cli.plan.rules.edits import (
    add_part,
    fix_article,
    join,
    remove_noun,
    replace_noun,
    set_adjective,
    set_pose,
    set_style,
    set_tail,
    tidy,
    with_article,
)
from laser_cli.plan.rules.events import changes_of, environment
from laser_cli.plan.rules.phrases import (
    NounPhrase,
    adjective_spans,
    locate,
    main_phrase,
    noun_phrases,
    noun_value,
    singular,
    tail_spans,
    tokens,
)

Result = tuple[str, frozenset[str]]
CONTROL_KINDS = {"height": "size", "girth": "size", "opening": "pose", "waking": "pose"}
"""Kinds of attributes that a control is chosen by as for another kind: what alters an outline counts as size."""


def apply_clause(prompt: str, clause: Clause) -> Result:
    """The prompt after a clause, and the kinds of attributes that it touched."""
    made, kinds = _change(prompt, clause)
    made, more = settle(made, clause.settled)
    return without_what_ended(prompt, made), kinds | more


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


def _change(prompt: str, clause: Clause) -> Result:
    none: frozenset[str] = frozenset()
    phrase = locate(prompt, clause.who)
    main = main_phrase(prompt)
    if clause.how in ("settle", "hold"):
        return prompt, none
    if clause.how == "become":
        return _become(prompt, clause.who, clause.what)
    if clause.how == "size":
        target = phrase or (main if not clause.who or not _is_part(clause.who) else None)
        if target:
            return set_adjective(prompt, target, "size", clause.what), frozenset({"size"})
        verb = "growing" if clause.what == "large" else "shrinking"
        return add_part(prompt, f"{clause.who} {verb}"), frozenset({"pose"})
    if clause.how == "place":
        place, _, pose = clause.what.partition(" ")
        if pose and main:
            prompt = set_pose(prompt, phrase or main, pose)
        return set_tail(prompt, "place", f"in the {place}" if place == "middle" else f"on the {place}"), frozenset(
            {"place"}
        )
    if clause.how == "setting":
        noun, _, pose = clause.what.partition("|")
        made = set_tail(prompt, "setting", lex.SETTINGS[noun][1])
        if pose and main:
            made = set_pose(made, main_phrase(made) or main, pose)
        return made, frozenset({"setting", "pose"} if pose else {"setting"})
    if clause.how == "pattern":
        target = phrase or main
        word = None if clause.what == "plain" else clause.what
        return (set_adjective(prompt, target, "pattern", word) if target else prompt), frozenset({"pattern"})
    if clause.how == "wear":
        return _wear(prompt, clause.what, phrase or main)
    if clause.how == "pose":
        return _pose(prompt, clause, phrase, main)
    if clause.how == "gain":
        return _gain(prompt, clause.what, phrase or main)
    if clause.how == "lose":
        return _lose(prompt, clause.what, phrase or main)
    if clause.how == "appear":
        words = (
            clause.who if re.match(r"(?:an?|two|three|some|many) ", clause.who) else re.sub(r"^the ", "", clause.who)
        )
        words = (
            words if words != re.sub(r"^the ", "", clause.who) or singular(words) != words else with_article_once(words)
        )
        return add_part(prompt, f"with {words} {clause.what}"), frozenset({"object"})
    removed = remove_noun(prompt, clause.who)
    return (removed, frozenset({"object"})) if removed else (prompt, none)


def with_article_once(words: str) -> str:
    """The words with «a» or «an», unless they have an article."""
    return words if re.match(r"(?:an?|the|two|three|some|many|his|her|its|their) ", words) else with_article(words)


def _become(prompt: str, who: str, what: str) -> Result:
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
        if who and _is_part(who):
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


def _is_part(who: str) -> bool:
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


def _pose(prompt: str, clause: Clause, phrase: NounPhrase | None, main: NounPhrase | None) -> Result:
    kinds = frozenset({"pose"})
    lids = re.fullmatch(r"(opening|closing) ((?:his|her|its|their|the) [\w-]+)", clause.what)
    part = locate(prompt, lids[2]) if lids else None
    if lids and part and part != main:
        return set_adjective(prompt, part, "opening", "open" if lids[1] == "opening" else "closed"), kinds
    target = phrase
    if target is None and (not clause.who or main is None):
        target = main
    if target is None or main is None:
        return add_part(prompt, f"{clause.who} {clause.what}"), kinds
    return set_pose(prompt, target, clause.what), kinds


def _gain(prompt: str, what: str, target: NounPhrase | None) -> Result:
    known = {"subject"} if target is None else {"object"}
    if target is not None:
        return add_part(prompt, f"with {what}", target), frozenset(known)
    return add_part(prompt, join(f"with {what}").strip(", ")), frozenset(known)


def _wear(prompt: str, clothes: str, target: NounPhrase | None) -> Result:
    """What somebody changes into, in place of what they wore."""
    clothes = re.sub(r"^(?:his|her|their|its|the) ", "", clothes)
    clothes = (
        clothes if re.match(r"an? |some |two ", clothes) or singular(clothes) != clothes else with_article(clothes)
    )
    for phrase in reversed(noun_phrases(prompt)):
        if phrase != target and phrase.head in lex.CLOTHES:
            prompt = remove_noun(prompt, prompt[phrase.start : phrase.end]) or prompt
    main = main_phrase(prompt)
    made = f"{prompt[: main.end]} in {clothes}{prompt[main.end :]}" if main else prompt
    return tidy(made), frozenset({"object"})


def _lose(prompt: str, what: str, target: NounPhrase | None) -> Result:
    noun = re.sub(r"^(?:its|his|her|their|the|all|of) ", "", what.lower())
    nouns = {n for names in lex.PATTERN_NOUNS.values() for n in names} | {"pattern"}
    if target and (noun in nouns or noun.endswith(" pattern")):
        return set_adjective(prompt, target, "pattern", None), frozenset({"pattern"})
    if target and noun in ("colour", "color", "colours", "colors"):
        return set_adjective(prompt, target, "colour", "gray"), frozenset({"colour"})
    if target and noun == "leaves":
        return set_adjective(prompt, target, "leaves", "bare"), frozenset({"leaves"})
    removed = remove_noun(prompt, noun)
    return removed or add_part(prompt, f"without {noun}", target), frozenset({"object"})
