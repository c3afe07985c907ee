"""What one clause of a description means: who changes, how, and into what."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from laser_cli.plan import lexicon as lex
from laser_cli.plan.edits import tidy
from laser_cli.plan.events import AIR_NOUNS, adjuncts, environment, read_event, told
from laser_cli.plan.orders import imperative
from laser_cli.plan.phrases import adjective_spans, is_adjective, noun_phrases, noun_value, singular, tail_spans
from laser_cli.plan.verbs import (
    BECOMING,
    GAINING,
    GROWING,
    SHRINKING,
    STAYING,
    TAKING,
    Parts,
    ing,
    split_verb,
    without_adverbs,
)

How = Literal[
    "become", "size", "place", "setting", "pattern", "pose", "gain", "lose", "appear", "vanish", "settle", "hold"
]  # fmt: skip


_WHERE = ("on", "over", "from", "out", "all", "along", "around", "across", "through")


@dataclass(frozen=True)
class Clause:
    """`who` changes in a way (`how`) to `what`; `settled` are changes of time and weather told on the way."""

    how: How
    who: str = ""
    what: str = ""
    settled: tuple[tuple[str, str | None], ...] = ()


def read_clause(text: str, prompt: str | None = None, after: Clause | None = None) -> Clause | None:
    """The meaning of a clause, or None; `after` is the clause before it, for what goes without saying."""
    text = re.sub(r"^from .+? ((?:in)?to )", r"\1", text, flags=re.IGNORECASE)
    text = re.sub(r"^(it|he|she)'s\b", r"\1 is", text, flags=re.IGNORECASE)
    text = imperative(without_adverbs(text))
    if not text:
        return None
    if match := re.match(r"(add|remove) (.+)", text, re.IGNORECASE):
        return Clause("gain", "", match[2]) if match[1].lower() == "add" else Clause("vanish", match[2])
    parts = split_verb(text, prompt)
    if parts is None:
        return _bare(text, after)
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
    if after is None or after.how in ("settle", "hold", "bare", "vanish") or not after.who:
        return ""
    return "" if after.how == "become" and not adjectives_only(after.what) else after.who


def _action(parts: Parts, timed: bool) -> Clause | None:
    who, verb, rest = parts.who, parts.verb, parts.rest
    low = rest.lower()
    if re.fullmatch(r"nothing(?: else)?", who.lower()) or (verb in STAYING and not _starts_object(low)):
        return Clause("hold", who)
    into = re.match(r"(?:back |up )?(?:from .+? )?(?:in)?to (.+)", rest, re.IGNORECASE)
    walks = (
        verb in lex.MOTIONS | lex.MOVES
        and verb not in BECOMING | GROWING
        and verb not in ("collapse", "crumble", "explode", "wither", "burn", "bloom", "blossom", "break", "shift")
    )
    place = re.match(
        r"(?:over |off |across )?(?:to|towards?|into|on|in) the (?:far )?(left|right|middle|centre|center)\b", low
    )
    if place and (verb in lex.MOVES | lex.MOTIONS | {"shift", "be", "come", "end"}) and verb != "turn":
        value = {"centre": "middle", "center": "middle"}.get(place[1], place[1])
        pose = "" if verb in lex.PLACE_ONLY | {"be", "come", "end"} else ing(verb)
        return Clause("place", who, f"{value} {pose}".strip())
    if verb in lex.MOVES | {"come", "arrive", "end", "be", "find", "reach", "take"}:
        there = [s for s in tail_spans(rest) if s.kind == "setting"]
        if there and (verb != "be" or not low.split()[0].endswith("ing")):
            noun = re.search(rf"({lex.SETTING_NOUN})$", rest[there[0].start : there[0].end], re.IGNORECASE)
            pose = (
                "" if verb in lex.PLACE_ONLY | {"come", "arrive", "end", "be", "find", "reach", "take"} else ing(verb)
            )
            return Clause("setting", who, f"{noun[1].lower() if noun else ''}|{pose}")
    if verb == "give" and low.startswith("way to "):
        return Clause("become", who, rest[7:])
    if verb == "replace" and low.startswith("by "):
        return Clause("become", who, rest[3:])
    if verb == "turn" and re.match(
        r"(?:to (?:the (?:left|right|camera|viewer|side|front|back)|face|look)|its|his|her|their|around|round|away|over"
        r"|upside|towards?)\b",
        low,
    ):
        return Clause("pose", who, f"turning {rest}")
    if into and (verb in BECOMING or (" into " in f" {low}" and not walks)):
        return Clause("become", who, into[1])
    if verb == "become":
        return Clause("become", who, rest) if rest else None
    if verb in GROWING and into and rest.lower().startswith("up into "):
        return Clause("become", who, into[1])
    if verb == "look" and adjectives_only(rest):
        return Clause("become", who, rest)
    if verb in GROWING | SHRINKING or (verb == "double" and low.startswith("in size")):
        return _growth(who, verb, rest)
    if verb in TAKING and (taken := re.match(r"off ((?:his|her|its|their|the) .+)", rest, re.IGNORECASE)):
        return Clause("vanish", taken[1])
    if verb in ("lose", "shed"):
        return Clause("lose", who, rest)
    if verb in GAINING | {"turn", "go", "be", "put"}:
        return _gain(who, verb, rest, timed)
    if verb in ("appear", "emerge"):
        return Clause("appear", who, rest)
    if verb in ("disappear", "vanish", "leave") or (verb == "go" and low.startswith("away")):
        return Clause("vanish", who)
    if verb == "change" and not rest:
        return None
    if verb == "freeze":
        return Clause("become", who, "frozen")
    if verb == "redden":
        return Clause("become", who, "red")
    if verb == "age":
        return Clause("become", who, "old")
    if (
        verb in lex.MOTIONS | lex.MOVES
        or parts.guessed
        or verb in ("rise", "melt", "fade", "shine", "flood", "rot", "break", "open", "crack", "hide")
    ):
        return Clause("pose", who, f"{ing(verb)} {rest}".strip())
    vague = ("be", "have", "get", "happen", "give", "turn", "become", "change", "find", "take", "put")
    return Clause("pose", who, f"{ing(verb)} {rest}") if rest and verb not in vague else None


def _growth(who: str, verb: str, rest: str) -> Clause:
    words = [
        w
        for w in rest.lower().split()
        if w not in ("and", "in", "size", "much", "until", "it", "is", "very", "down", "up", "a", "lot")
    ]
    if words != rest.lower().split() and re.fullmatch(r"up(?: .*)?", rest.lower()):
        return Clause("pose", who, f"{ing(verb)} {rest}")
    large = verb not in SHRINKING
    if all(w in lex.PLAIN_SIZE or w in ("big", "large", "small", "huge", "tiny") for w in words):
        return Clause("size", who, "large" if large else "small")
    if all(is_adjective(w) for w in words):
        return Clause("become", who, rest)
    if large and verb == "grow" and noun_phrases(rest) and words[0] not in _WHERE:
        return Clause("gain", who, rest)
    return Clause("size", who, "large" if large else "small")


def _gain(who: str, verb: str, rest: str, timed: bool) -> Clause | None:
    low = re.sub(r"^(?:covered (?:in|with) |its |some |on )", "", rest.lower())
    for value, nouns in lex.PATTERN_NOUNS.items():
        if any(re.fullmatch(rf"(?:[\w-]+ )?{re.escape(noun)}", low) for noun in nouns):
            return Clause("pattern", who, value)
    if not low:
        return Clause("settle", who) if timed else None
    if verb == "wear" or (verb == "put" and low != rest.lower()):
        return Clause("pose", who, "wearing " + re.sub(r"^on ", "", rest))
    if verb in ("get", "go", "turn") and low.split()[0] in ("up", "down", "out", "in", "off", "away", "to", "on"):
        return Clause("pose", who, f"{ing(verb)} {rest}")
    if verb in ("get", "turn", "go", "be") and (
        adjectives_only(rest) or environment(rest) or low in ("dark", "light", "bright")
    ):
        return Clause("become", who, rest)
    words = low.split()
    if verb in ("get", "turn", "be") and len(words) == 1 and (verb != "be" or not words[0].endswith(("ing", "ed"))):
        return Clause("become", who, rest)
    if verb == "turn" and len(words) <= 3 and words[0] in ("a", "an"):
        return Clause("become", who, rest)  # «turns a deep shade»
    done = (
        re.fullmatch(r"(?:being )?(?:painted|dyed|coloured|colored) (.+)|(\w+ed)", low)
        if verb in ("be", "get")
        else None
    )
    if done:
        return Clause("become", who, done[1] or done[2])
    if verb == "be" and noun_phrases(rest) and words[0] in ("a", "an"):
        return Clause("become", who, rest)
    if verb in GAINING and noun_phrases(rest):
        return Clause("gain", who, rest)
    return None


def _starts_object(low: str) -> bool:
    return bool(low) and low.split()[0] in ("a", "an", "the", "his", "her", "its", "up")


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
    own = r"(?:(?!(?:with|in|on|and|by|of|a|an|the)\b)[\w-]+ ){0,3}?"
    found = re.fullmatch(rf"(?:(an?) )?({own}(?:{lex.STYLE_NOUN}))", plain, re.IGNORECASE)
    if not found:
        return None
    article = found[1] or ("an" if found[2][0].lower() in "aeiou" else "a")
    return f"{article} {found[2]}"


def _bare(text: str, after: Clause | None) -> Clause | None:
    """A clause without a verb: «at night», «blue and striped», «a watercolour», or one more thing to become."""
    spans = [s for s in tail_spans(text) if s.kind != "setting" and s.kind != "place"]
    left = text
    settled: list[tuple[str, str | None]] = []
    for span in reversed(spans):
        settled[:0] = told(span.kind, text[span.start : span.end])
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
    return bool(phrases) and phrases[-1].head in lex.SCENERY | AIR_NOUNS | set(lex.TIME_NOUNS)


def setting_value(who: str) -> str:
    """The setting that a noun phrase names, or nothing."""
    phrases = noun_phrases(who)
    head = phrases[0].head if phrases else who.lower().strip()
    return lex.SETTINGS.get(head, lex.SETTINGS.get(noun_value(head), ("", "")))[0]
