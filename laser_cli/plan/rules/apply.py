"""What a clause does to a prompt, and which kinds of attributes it changes."""

from __future__ import annotations

import re
from collections.abc import Callable

from laser_cli.plan.rules.become import become, is_part
from laser_cli.plan.rules.clauses import Clause, How
from laser_cli.plan.rules.settle import Result, settle, without_what_ended
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.edits import (
    add_part,
    join,
    remove_noun,
    set_adjective,
    set_pose,
    set_tail,
    tidy,
    with_article,
)
from laser_cli.plan.wording.phrases import NounPhrase, locate, main_phrase, noun_phrases, singular


def apply_clause(prompt: str, clause: Clause) -> Result:
    """The prompt after a clause, and the kinds of attributes that it changed."""
    made, kinds = _CHANGES[clause.how](prompt, clause, locate(prompt, clause.who))
    made, more = settle(made, clause.settled)
    return without_what_ended(prompt, made), kinds | more


def _nothing(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    return prompt, frozenset()


def _become(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    return become(prompt, clause.who, clause.what)


def _size(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    target = phrase or (None if clause.who and is_part(clause.who) else main_phrase(prompt))
    if target:
        return set_adjective(prompt, target, "size", clause.what), frozenset({"size"})
    verb = "growing" if clause.what == "large" else "shrinking"
    return add_part(prompt, f"{clause.who} {verb}"), frozenset({"pose"})


def _place(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    place, _, pose = clause.what.partition(" ")
    target = phrase or main_phrase(prompt)
    if pose and target:
        prompt = set_pose(prompt, target, pose)
    words = f"in the {place}" if place == "middle" else f"on the {place}"
    return set_tail(prompt, "place", words), frozenset({"place"})


def _setting(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    noun, _, pose = clause.what.partition("|")
    made = set_tail(prompt, "setting", lex.SETTINGS[noun][1])
    main = main_phrase(made)
    if pose and main:
        made = set_pose(made, main, pose)
    return made, frozenset({"setting", "pose"} if pose else {"setting"})


def _pattern(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    target = phrase or main_phrase(prompt)
    word = None if clause.what == "plain" else clause.what
    return (set_adjective(prompt, target, "pattern", word) if target else prompt), frozenset({"pattern"})


def _pose(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    kinds, main = frozenset({"pose"}), main_phrase(prompt)
    lids = re.fullmatch(r"(opening|closing) ((?:his|her|its|their|the) [\w-]+)", clause.what)
    part = locate(prompt, lids[2]) if lids else None
    if lids and part and part != main:
        return set_adjective(prompt, part, "opening", "open" if lids[1] == "opening" else "closed"), kinds
    target = main if phrase is None and not clause.who else phrase
    if target is None or main is None:
        return add_part(prompt, f"{clause.who} {clause.what}"), kinds
    return set_pose(prompt, target, clause.what), kinds


def _wear(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    """What somebody changes into, in place of what they wore."""
    clothes = re.sub(r"^(?:his|her|their|its|the) ", "", clause.what)
    counted = re.match(r"an? |some |two ", clothes) or singular(clothes) != clothes
    clothes = clothes if counted else with_article(clothes)
    wearer = phrase or main_phrase(prompt)
    for worn in reversed(noun_phrases(prompt)):
        if worn != wearer and worn.head in lex.CLOTHES:
            prompt = remove_noun(prompt, prompt[worn.start : worn.end]) or prompt
    main = main_phrase(prompt)
    made = f"{prompt[: main.end]} in {clothes}{prompt[main.end :]}" if main else prompt
    return tidy(made), frozenset({"object"})


def _gain(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    target = phrase or main_phrase(prompt)
    if target is None:
        return add_part(prompt, join(f"with {clause.what}").strip(", ")), frozenset({"subject"})
    return add_part(prompt, f"with {clause.what}", target), frozenset({"object"})


def _lose(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    target = phrase or main_phrase(prompt)
    noun = re.sub(r"^(?:its|his|her|their|the|all|of) ", "", clause.what.lower())
    nouns = {n for names in lex.PATTERN_NOUNS.values() for n in names} | {"pattern"}
    if target and (noun in nouns or noun.endswith(" pattern")):
        return set_adjective(prompt, target, "pattern", None), frozenset({"pattern"})
    if target and noun in ("colour", "color", "colours", "colors"):
        return set_adjective(prompt, target, "colour", "gray"), frozenset({"colour"})
    if target and noun == "leaves":
        return set_adjective(prompt, target, "leaves", "bare"), frozenset({"leaves"})
    removed = remove_noun(prompt, noun)
    return removed or add_part(prompt, f"without {noun}", target), frozenset({"object"})


def _appear(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    words = re.sub(r"^the ", "", clause.who)
    counted = words == clause.who and re.match(r"(?:an?|two|three|some|many|his|her|its|their) ", words)
    words = words if counted or singular(words) != words else with_article(words)
    return add_part(prompt, f"with {words} {clause.what}"), frozenset({"object"})


def _vanish(prompt: str, clause: Clause, phrase: NounPhrase | None) -> Result:
    removed = remove_noun(prompt, clause.who)
    return (removed, frozenset({"object"})) if removed else (prompt, frozenset())


_CHANGES: dict[How, Callable[[str, Clause, NounPhrase | None], Result]] = {
    "become": _become,
    "size": _size,
    "place": _place,
    "setting": _setting,
    "pattern": _pattern,
    "pose": _pose,
    "wear": _wear,
    "gain": _gain,
    "lose": _lose,
    "appear": _appear,
    "vanish": _vanish,
    "settle": _nothing,
    "hold": _nothing,
}
