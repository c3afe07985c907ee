"""Changing a prompt in place, word for word, so that the tokens of neighbouring prompts line up."""

from __future__ import annotations

import re

from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.phrases import (
    ADJECTIVE_ORDER,
    NounPhrase,
    adjective_spans,
    is_adjective,
    is_participle,
    locate,
    main_phrase,
    noun_phrases,
    noun_value,
    singular,
    style_span,
    tail_spans,
    tokens,
)

_LOOSE = ("with", "covered", "half", "deep", "in winter", "under", "blanketed")


def join(phrase: str) -> str:
    """A phrase with what joins it to the words before, as captions do."""
    return (", " if phrase.startswith(_LOOSE) else " ") + phrase


def with_article(words: str) -> str:
    """Words after «a» or «an»."""
    silent = re.match(r"(?:[aeio]|u(?!ni|se|[bcfhkrst][aeiou])|hour|honest)(?!ne\b|nce\b)", words, re.IGNORECASE)
    return ("an " if silent else "a ") + words


def fix_article(text: str, at: int) -> str:
    """The text with the «a» or «an» at an offset made to fit the word after it."""
    found = re.compile(r"(an?) (?=(\w[\w-]*))", re.IGNORECASE).match(text, at)
    if not found:
        return text
    fit = with_article(found[2]).split()[0]
    fit = fit.capitalize() if found[1][0].isupper() else fit
    return text[:at] + fit + text[found.end(1) :]


def tidy(text: str) -> str:
    """No doubled spaces or commas, none at either end."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+([,.;])", r"\1", text)
    return re.sub(r"(?:, ?){2,}", ", ", text).strip(" ,;")


def set_tail(text: str, kind: str, phrase: str | None) -> str:
    """Say a place, setting, time or weather: instead of the one there, else where captions say it; None removes it."""
    spans = [s for s in tail_spans(text) if s.kind == kind]
    for span in reversed(spans if phrase is None else spans[1:]):
        before = text[: span.start].rstrip(" ").removesuffix(",")
        text = before + text[span.end :]
    if phrase is None:
        return tidy(text)
    if spans:
        start, end = spans[0].start, spans[0].end
        if start == 0:
            phrase = phrase[0].upper() + phrase[1:] if text[0].isupper() else phrase
            return tidy(phrase + text[end:])
        old, before = text[start:end], text[:start].rstrip(" ")
        comma = before.endswith(",") and join(old).startswith(" ")  # a comma that the old phrase did not bring
        before = before.removesuffix(",")
        return tidy(before + (", " + phrase if comma else join(phrase)) + text[end:])
    at = _tail_place(text, kind)
    return tidy(text[:at].rstrip(" ") + join(phrase) + " " + text[at:].lstrip(" "))


def _tail_place(text: str, kind: str) -> int:
    main = main_phrase(text)
    body_end = len(text.rstrip(" ."))
    if main is None:
        return body_end
    if kind == "place":
        return main.end
    order = lex.TAIL_ORDER.index(kind)
    for span in tail_spans(text):
        if span.start >= main.end and lex.TAIL_ORDER.index(span.kind) > order:
            return len(text[: span.start].rstrip(" ,"))
    return body_end


def set_adjective(text: str, phrase: NounPhrase, kind: str, word: str | None) -> str:
    """Give a noun phrase an adjective: instead of the one of its kind, else where captions say it; None removes it."""
    spans = adjective_spans(text, phrase)
    same = [s for s in spans if s.kind == kind]
    if word is None:
        for span in reversed(same):
            text = text[: span.start] + text[span.end :].lstrip(" ")
    elif same:
        text = text[: same[0].start] + word + text[same[0].end :]
    else:
        rank = _rank(kind)
        at = max((s.end for s in spans if _rank(s.kind) < rank), default=phrase.body)
        later = min((s.start for s in spans if _rank(s.kind) > rank), default=len(text))
        if at > later:  # adjectives in an order of their own
            at = later
        text = f"{text[:at]} {word} {text[at:]}" if at > phrase.body else f"{text[:at]}{word} {text[at:]}"
    return tidy(fix_article(text, phrase.start))


def _rank(kind: str) -> int:
    return ADJECTIVE_ORDER.index(kind)


def set_style(text: str, style: str) -> str:
    """Tell the picture in a style («a sketch»): instead of the one there, else before the subject."""
    there = style_span(text)
    words = style.rstrip() + " of "
    if there:
        return tidy(text[: there.start] + words + text[there.end :])
    main = main_phrase(text)
    at = main.start if main else 0
    rest = text[at:]
    if at == 0 and main and main.determiner in ("a", "an", "the"):
        rest = rest[0].lower() + rest[1:]
    return tidy(text[:at] + words + rest)


def replace_noun(text: str, phrase: NounPhrase, new: str, named: str = "") -> str:
    """Put another noun phrase in the place of one; size, colour and pattern stay unless the new one tells its own.

    `new` may bring words after its noun («a man with a hat»); `named` is what the description called the old one.
    """
    incoming = main_phrase(new)
    if incoming is None:
        return tidy(text[: phrase.start] + new + text[phrase.end :])
    old_spans = adjective_spans(text, phrase)
    new_kinds = {s.kind for s in adjective_spans(new, incoming)}
    own_words = [t[0] for t in tokens(new[incoming.body : incoming.head_start]) if not is_adjective(t[0])]
    called = named.lower()
    kept = []
    for span in old_spans:
        word = text[span.start : span.end]
        stays = span.kind in ("size", "colour", "pattern") or noun_value(phrase.head) == noun_value(incoming.head)
        if span.kind in new_kinds or not stays:
            continue
        if span.kind in ("colour", "pattern") and noun_value(incoming.head) in lex.SELF_COLOURED:
            continue
        if own_words and span.kind != "size" and word.lower() in called:
            continue  # «the brown bear becomes a polar bear»
        kept.append((span.kind, word))
    body, tail = new[incoming.body : incoming.end], new[incoming.end :]
    determiner = new[incoming.start : incoming.body] or _determiner(text, phrase, incoming)
    if incoming.determiner in ("the", "his", "her", "its", "their") and phrase.determiner in ("a", "an"):
        determiner = (
            "a " if incoming.determiner == "the" and noun_value(incoming.head) not in ("moon", "sun") else determiner
        )
    made = text[: phrase.start] + determiner + body + tail + text[phrase.end :]
    for kind, word in kept:
        target = next((p for p in noun_phrases(made) if p.start == phrase.start), None)
        if target:
            made = set_adjective(made, target, kind, word)
    return tidy(fix_article(made, phrase.start))


def _determiner(text: str, old: NounPhrase, new: NounPhrase) -> str:
    """The old determiner where it fits a new noun that comes without one."""
    plural = singular(new.head) != new.head
    if plural and old.determiner in ("a", "an", "one"):
        return ""
    if new.head in lex.MASS_NOUNS:
        return ""
    return text[old.start : old.body] or ("" if plural else "a ")


def set_pose(text: str, phrase: NounPhrase, pose: str) -> str:
    """Let a noun phrase do something («jumping»): instead of what it does, else right after it."""
    following = tokens(text[phrase.end :])[:2]
    doing = following[0] if following and is_participle(following[0][0].lower()) else None
    before = [t for t in tokens(text[phrase.body : phrase.head_start]) if is_participle(t[0].lower())]
    if before and not doing and " " not in pose:
        start = phrase.body + before[0].start()
        text = text[:start] + pose + text[start + len(before[0][0]) :]
        return tidy(fix_article(text, phrase.start))
    if doing is None:
        return tidy(f"{text[: phrase.end]} {pose} {text[phrase.end :]}")
    start, end = phrase.end + doing.start(), phrase.end + doing.end()
    if len(following) > 1 and _is_object(text, phrase.end + following[1].start()):
        return tidy(f"{text[:start]}{pose} and {text[start:]}")
    if len(following) > 1 and following[1][0].lower() in ("up", "down", "off", "out", "back"):
        end = phrase.end + following[1].end()
    return tidy(text[:start] + pose + text[end:])


def _is_object(text: str, at: int) -> bool:
    return any(p.start == at for p in noun_phrases(text))


def add_part(text: str, words: str, phrase: NounPhrase | None = None) -> str:
    """Say something more: after a noun phrase, else before the weather and the sky, or at the end."""
    if phrase is not None:
        return tidy(f"{text[: phrase.end]} {words} {text[phrase.end :]}")
    end = len(text.rstrip(" ."))
    return tidy(f"{text[:end]}, {words}{text[end:]}")


def remove_noun(text: str, named: str) -> str | None:
    """The text without a noun phrase and the preposition before it; None if it is not there or is the subject."""
    phrase, main = locate(text, named), main_phrase(text)
    if phrase is None or main is None:
        return None
    after = text[phrase.end :]
    if phrase == main:
        if other := re.match(r",?\s+(?:and|with)\s+", after):  # «a cat and a dog» -> «a dog»
            return tidy(text[: phrase.start] + after[other.end() :])
        return _emptied(text, phrase)
    before = re.sub(
        r",?\s*(?:(?:and|with|holding|wearing|covered|full|of|in|on|at|by|near|beside|under|behind|over)\s+)+$",
        "",
        text[: phrase.start],
    )
    return tidy(before + after)


def _emptied(text: str, subject: NounPhrase) -> str | None:
    """The place where the subject was: «a red ball in a meadow at noon» -> «an empty meadow at noon»."""
    setting = next((span for span in tail_spans(text) if span.kind == "setting" and span.start > subject.start), None)
    place = next((p for p in noun_phrases(text) if setting and p.start >= setting.start), None)
    if place is None:
        return None
    noun = text[place.body : place.end]
    empty = noun if noun.lower().startswith("empty") else f"empty {noun}"
    return tidy(
        text[: subject.start]
        + (f"the {empty}" if place.determiner == "the" else with_article(empty))
        + text[place.end :]
    )
