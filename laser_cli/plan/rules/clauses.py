"""What one clause of a description means: who changes, how, and into what; `actions.yaml` has the patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from laser_cli.plan.rules.events import adjuncts, changes_of, environment, read_event
from laser_cli.plan.rules.orders import rewritten
from laser_cli.plan.rules.table import Row, read_row
from laser_cli.plan.rules.verbs import Parts, ing, split_verb, without_adverbs
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.edits import tidy
from laser_cli.plan.wording.lexicon import Changes
from laser_cli.plan.wording.phrases import (
    adjective_spans,
    noun_phrases,
    noun_value,
    singular,
    tail_spans,
)

How = Literal[
    "become", "size", "place", "setting", "pattern", "pose", "wear", "gain", "lose", "appear", "vanish", "settle",
    "hold",
]  # fmt: skip


@dataclass(frozen=True)
class Clause:
    """`who` changes in a way (`how`) to `what`; `settled` are changes of time and weather told on the way."""

    how: How
    who: str = ""
    what: str = ""
    settled: Changes = ()


def read_clause(text: str, prompt: str | None = None, after: Clause | None = None) -> Clause | None:
    """The meaning of a clause, or None; `after` is the clause before it, for a subject that is left out."""
    text = re.sub(r"^from .+? ((?:in)?to )", r"\1", text, flags=re.IGNORECASE)
    text = re.sub(r"^(it|he|she)'s\b", r"\1 is", text, flags=re.IGNORECASE)
    text = rewritten(without_adverbs(text))
    if not text:
        return None
    if match := re.match(r"(add|remove) (.+)", text, re.IGNORECASE):
        return Clause("gain", "", match[2]) if match[1].lower() == "add" else Clause("vanish", match[2])
    fronted = next((s for s in tail_spans(text) if s.start == 0 and s.kind not in ("place", "setting")), None)
    if fronted and split_verb(left := text[fronted.end :].strip(" ,")):  # «in spring its fur turns brown»
        clause = read_clause(left, prompt, after)
        told = changes_of(fronted.kind, text[: fronted.end])
        return clause and replace(clause, settled=(*told, *clause.settled))
    parts = split_verb(text, prompt)
    if parts is None:
        return _without_verb(text, after)
    event = read_event(parts)
    if event is not None:
        extra, _ = adjuncts(parts.rest)
        return Clause("settle", parts.who, settled=(*event, *(e for e in extra if e not in event)))
    settled, rest = adjuncts(parts.rest)
    who = parts.who or _same_subject(after)
    if who.lower() == "they" and after and singular(after.who.split(" ")[-1]) != after.who.split(" ")[-1]:
        who = after.who
    clause = _action(Parts(who, parts.verb, rest, parts.guessed), bool(settled))
    return clause and replace(clause, settled=(*clause.settled, *settled))


def _same_subject(after: Clause | None) -> str:
    if after is None or after.how in ("settle", "hold", "vanish") or not after.who:
        return ""
    return "" if after.how == "become" and not adjectives_only(after.what) else after.who


@cache
def _actions() -> tuple[Row, ...]:
    return tuple(map(read_row, lex.read_table("actions.yaml")))


def _action(parts: Parts, timed: bool) -> Clause | None:
    """What the first fitting row of the actions says of a clause; `timed` where it also tells of time or weather."""
    who, verb, rest = parts.who, parts.verb, parts.rest
    named = noun_phrases(who)
    head = named[0].head if named else who.lower()
    for row in _actions():
        found = row.match(head, verb, rest)
        if found is None or not _holds(row.says.get("if"), rest, timed):
            continue
        how = row.says["how"]
        if how == "none":
            return None
        if how == "place":
            return _place(who, verb, found[1].lower())
        if how in ("setting", "pattern"):
            if clause := _setting(who, verb, rest) if how == "setting" else _pattern(who, rest):
                return clause
            continue
        groups = ["", *(group or "" for group in found.groups())]
        what = row.says.get("to", "").format(*groups, rest=rest, ing=ing(verb)).strip()
        return Clause(how, row.says["subject"].format(*groups) if "subject" in row.says else who, what)
    return Clause("pose", who, ing(verb)) if parts.guessed else None


def _holds(condition: str | None, rest: str, timed: bool) -> bool:
    """Whether the `if` of a row holds for the words after the verb."""
    if condition == "adjectives":
        return adjectives_only(rest)
    if condition == "air":
        return environment(rest) is not None
    return bool(noun_phrases(rest)) if condition == "nouns" else timed or condition is None


def _place(who: str, verb: str, place: str) -> Clause:
    value = {"centre": "middle", "center": "middle"}.get(place, place)
    pose = "" if verb in lex.PLACE_ONLY | {"be", "come", "end"} else ing(verb)
    return Clause("place", who, f"{value} {pose}".strip())


def _setting(who: str, verb: str, rest: str) -> Clause | None:
    """«comes to the beach», «is in a forest»; None where the words name no setting."""
    there = [s for s in tail_spans(rest) if s.kind == "setting"]
    if not there:
        return None
    noun = re.search(rf"({lex.SETTING_NOUN})$", rest[there[0].start : there[0].end], re.IGNORECASE)
    pose = ing(verb) if verb in lex.MOVES - lex.PLACE_ONLY else ""
    return Clause("setting", who, f"{noun[1].lower() if noun else ''}|{pose}")


def _pattern(who: str, rest: str) -> Clause | None:
    """«gets stripes», «is covered in dots»; None where the words name no pattern."""
    low = re.sub(r"^(?:covered (?:in|with) |its |some |on )", "", rest.lower())
    for value, nouns in lex.PATTERN_NOUNS.items():
        if re.fullmatch(rf"(?:[\w-]+ )?(?:{lex.alternatives(nouns)})", low):
            return Clause("pattern", who, value)
    return None


def adjectives_only(words: str) -> bool:
    """Whether words are adjectives of the lexicon and nothing else («blue and striped»)."""
    left = tidy(re.sub(r"\b(?:and|very|quite|a|an|bit|even|colour|color|in)\b|,", " ", _without_spans(words)))
    return not left and bool(adjective_spans(words))


def _without_spans(words: str) -> str:
    for span in reversed(adjective_spans(words)):
        words = words[: span.start] + words[span.end :]
    return words


def style_of(words: str) -> str | None:
    """The style's name with its article, if that is what the words are («watercolour» -> «a watercolour»)."""
    plain = re.sub(r"^(?:in |as |the |style of )+", "", words.strip(), flags=re.IGNORECASE)
    plain = re.sub(r" style$", "", plain, flags=re.IGNORECASE)
    if named := lex.STYLE_NAMES.get(re.sub(r"^an? ", "", plain.lower())):
        return named
    own = r"(?:(?!(?:with|in|on|and|by|of|a|an|the)\b)[\w-]+ ){0,3}?"
    found = re.fullmatch(rf"(?:(an?) )?({own}(?:{lex.STYLE_NOUN}))", plain, re.IGNORECASE)
    if not found:
        return None
    article = found[1] or ("an" if found[2][0].lower() in "aeiou" else "a")
    return f"{article} {found[2]}"


def _without_verb(text: str, after: Clause | None) -> Clause | None:
    """A clause without a verb: «at night», «blue and striped», «a watercolour», or one more thing to become."""
    spans = [s for s in tail_spans(text) if s.kind != "setting" and s.kind != "place"]
    left = text
    settled: list[tuple[str, str | None]] = []
    for span in reversed(spans):
        settled[:0] = changes_of(span.kind, text[span.start : span.end])
        left = left[: span.start] + left[span.end :]
    if re.match(r"with (?:an? |his |her |its |two )", left) and not adjectives_only(left[5:]):
        return Clause("gain", _same_subject(after), left[5:], tuple(settled))
    left = tidy(re.sub(r"^(?:the same|all|and|of|with|into|to|,)\b", "", tidy(left)))
    if not left:
        return Clause("settle", settled=tuple(settled)) if settled else None
    there = tail_spans(left)
    if len(there) == 1 and tidy(left[: there[0].start] + left[there[0].end :]) == "":
        kind, value = there[0].kind, there[0].value
        if kind == "place" and " " not in value:
            return Clause("place", "", value, tuple(settled))
        if kind == "setting":
            noun = re.search(rf"({lex.SETTING_NOUN})$", left, re.IGNORECASE)
            return Clause("setting", "", f"{noun[1].lower() if noun else ''}|", tuple(settled))
    around = environment(re.sub(r"^(?:in)?to ", "", left))
    if around is not None:
        return Clause("settle", settled=(*around, *settled))
    if style_of(left):
        return Clause("become", "picture", left, tuple(settled))
    if adjectives_only(left):
        return Clause("become", _same_subject(after), left, tuple(settled))
    left = re.sub(r"^(?:in)?to ", "", left)
    phrases = noun_phrases(left)
    if after is not None and after.how == "become" and phrases and phrases[0].start == 0:
        return Clause("become", "", left, tuple(settled))
    if after is not None and after.how == "become" and len(left.split()) == 1 and singular(left) == left:
        return Clause("become", after.who, left, tuple(settled))
    return None


def is_scenery(who: str) -> bool:
    """Whether words speak of what is around the subject: the weather, the day, the scene."""
    phrases = noun_phrases(who)
    return bool(phrases) and phrases[-1].head in lex.SCENERY | lex.AIR_NOUNS | set(lex.TIME_NOUNS)


def setting_value(who: str) -> str:
    """The setting that a noun phrase names, or nothing."""
    phrases = noun_phrases(who)
    head = phrases[0].head if phrases else who.lower().strip()
    return lex.SETTINGS.get(head, lex.SETTINGS.get(noun_value(head), ("", "")))[0]
