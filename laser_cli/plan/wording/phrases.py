"""Reading a prompt: its style, noun phrases and attributes, each with the place where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.lexicon import alternatives

ADJECTIVE_ORDER = ("size", *lex.QUALITIES, "colour", "pattern")
_TOKEN = re.compile(r"[^\W_][\w'’-]*|[^\w\s]")


@dataclass(frozen=True)
class Span:
    """Words of a text that say something: ``text[start:end]`` gives the attribute ``kind`` its ``value``."""

    kind: str
    value: str
    start: int
    end: int


@dataclass(frozen=True)
class NounPhrase:
    """``text[start:end]``; after the determiner comes the ``body``, and its last word is the ``head``."""

    start: int
    body: int
    head_start: int
    end: int
    head: str
    determiner: str


def tokens(text: str) -> list[re.Match[str]]:
    """Words (with their hyphens and apostrophes) and punctuation marks."""
    return list(_TOKEN.finditer(text))


@cache
def _tail_phrases() -> dict[str, tuple[str, str]]:
    tables = {"time": lex.TIMES, "place": lex.PLACES, "rain": lex.RAIN, "snowfall": lex.SNOWFALL, "snow": lex.SNOW}
    tables |= {"sky": lex.SKY, "season": lex.SEASONS, "fog": lex.FOG}
    return {p: (kind, value) for kind, table in tables.items() for value, phrases in table.items() for p in phrases}


@cache
def _tail_pattern() -> re.Pattern[str]:
    prepositions = "in|on|at|by|near|among|below|under|beside|over|across|through|to|into|onto|along|above"
    setting = rf"(?:{prepositions}) (?:(?:a|an|the) (?:(?!of\b)[\w-]+ )?)?(?P<setting>{lex.SETTING_NOUN})"
    return re.compile(rf"(?<![\w-])(?:(?:{alternatives(_tail_phrases())})|{setting})(?![\w-])", re.IGNORECASE)


@cache
def _style_pattern() -> re.Pattern[str]:
    own = r"(?:(?!(?:with|in|on|and|by|of|a|an|the)\b)[\w-]+ ){0,3}?"
    return re.compile(rf"(?<![\w-])(?:almost )?(?:an?|the) {own}(?P<noun>{lex.STYLE_NOUN}) of ", re.IGNORECASE)


@cache
def _adjectives() -> dict[str, tuple[str, str]]:
    known = {word: ("colour", lex.SAME_COLOUR.get(word, word)) for word in lex.COLOURS}
    known |= {p: ("pattern", value) for value, phrases in lex.PATTERNS.items() for p in phrases}
    known |= {p: ("size", value) for value, phrases in lex.SIZES.items() for p in phrases}
    known |= {
        word: (kind, lex.PLAIN_QUALITY.get(word, word)) for kind, words in lex.QUALITIES.items() for word in words
    }
    return known


@cache
def _adjective_pattern() -> re.Pattern[str]:
    colours = alternatives(lex.COLOURS)
    shade = "|".join((*lex.SHADES, *lex.ISH))
    patterns = alternatives(p for phrases in lex.PATTERNS.values() for p in phrases)
    return re.compile(
        rf"(?<![\w-])(?:(?P<colour>(?:(?:{shade})[ -])?(?:{colours}))|(?:faintly |boldly )?(?P<pattern>{patterns})"
        rf"|(?P<other>{alternatives(_adjectives())}))(?![\w-])",
        re.IGNORECASE,
    )


_DIRECTED = re.compile(
    r"\b(?:turn|tilt|lean|look|fac|gaz|glanc|peer|point|inclin)(?:ed|ing|s)?(?: slightly| a little)?\s*$", re.IGNORECASE
)


def tail_spans(text: str) -> list[Span]:
    """The phrases for place, setting, time and weather, in the order of the text."""
    spans = []
    for found in _tail_pattern().finditer(text):
        noun = found["setting"]
        if _DIRECTED.search(text, 0, found.start()):
            continue  # where a head is turned is no place
        kind, value = ("setting", lex.SETTINGS[noun.lower()][0]) if noun else _tail_phrases()[found[0].lower()]
        spans.append(Span(kind, value, found.start(), found.end()))
    return spans


def style_span(text: str) -> Span | None:
    """The phrase that names the style («a sketch of »), its last space included."""
    found = _style_pattern().search(text)
    if not found or not all(s.end <= found.start() for s in tail_spans(text[: found.start()])):
        return None
    before = text[: found.start()]
    for span in reversed(tail_spans(before)):
        before = before[: span.start] + before[span.end :]
    if before.strip(" ,"):
        return None  # a painting that is part of the picture, not its style
    return Span("style", lex.STYLE_NOUNS[found["noun"].lower()], found.start(), found.end())


def adjective_spans(text: str, phrase: NounPhrase | None = None) -> list[Span]:
    """The known adjectives of a noun phrase, its last word left out; without one, all of the text."""
    start, end = (phrase.body, phrase.head_start) if phrase else (0, len(text))
    spans = []
    for found in _adjective_pattern().finditer(text, start, end):
        word = (found["pattern"] or found["other"] or found["colour"]).lower()
        kind, value = _adjectives().get(word, ("colour", word))
        spans.append(Span(kind, value, found.start(), found.end()))
    return spans


def is_adjective(word: str) -> bool:
    """Whether a single word is an adjective that the lexicon knows."""
    word = word.lower()
    return word in _adjectives() or word in lex.SHADES or word in lex.ISH or word in ("faintly", "boldly")


def is_participle(word: str) -> bool:
    """Whether a word looks like «jumping»."""
    return word.endswith("ing") and len(word) > 4 and word not in lex.ING_NOUNS


def noun_phrases(text: str) -> list[NounPhrase]:
    """The noun phrases of a text, in order: determiner, adjectives, noun."""
    phrases: list[NounPhrase] = []
    words: list[re.Match[str]] = []
    style = style_span(text)

    def close() -> None:
        nonlocal words
        while words and words[-1][0].lower() in ("and", ","):
            words.pop()
        det = words[0][0].lower() if words and words[0][0].lower() in lex.DETERMINERS else ""
        if len(words) > bool(det):
            body = words[1] if det else words[0]
            head = words[-1]
            phrases.append(NounPhrase(words[0].start(), body.start(), head.start(), head.end(), head[0].lower(), det))
        words = []

    for token in tokens(text):
        word = token[0].lower()
        if style and style.start <= token.start() < style.end:
            continue
        own = [w[0].lower() for w in words if w[0].lower() not in lex.DETERMINERS]
        only_adjectives = bool(own) and all(is_adjective(w) or is_participle(w) or w in ("and", ",") for w in own)
        if word in ("and", ",") and only_adjectives:
            words.append(token)
        elif word in lex.STOPS or not (word[0].isalnum()):
            close()
        elif word in lex.DETERMINERS:
            close()
            words.append(token)
        elif is_participle(word) and own and not only_adjectives:
            close()
        else:
            words.append(token)
    close()
    return phrases


def main_phrase(text: str) -> NounPhrase | None:
    """The subject: the first noun phrase that is not part of a phrase of place, setting, time or weather."""
    tails = tail_spans(text)
    for phrase in noun_phrases(text):
        if not any(t.start <= phrase.head_start < t.end for t in tails):
            return phrase
    return None


def singular(word: str) -> str:
    """A noun's singular, as far as its ending tells."""
    word = word.lower()
    if word in lex.IRREGULAR_PLURALS:
        return lex.IRREGULAR_PLURALS[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("shes", "ches", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word


@cache
def _subject_names() -> dict[str, str]:
    return {p: value for value, phrases in lex.SUBJECTS.items() for p in phrases}


def noun_value(word: str) -> str:
    """What a noun stands for: synonyms share one value, plurals the singular's."""
    return _subject_names().get(singular(word), singular(word))


def locate(text: str, named: str) -> NounPhrase | None:
    """The noun phrase of a text that `named` refers to, or None; pronouns and words like «animal» mean the subject."""
    main = main_phrase(text)
    wanted = noun_phrases(named)
    words = named.lower().split()
    if not words or (len(words) == 1 and words[0] in lex.GENERIC):
        return main
    if not wanted:
        return None
    head = noun_value((main_phrase(named) or wanted[0]).head)
    for phrase in noun_phrases(text):
        if noun_value(phrase.head) == head:
            return phrase
    # «the building» may be the house that is there; «a building», «wild flowers» and «its people» are others
    return main if head in lex.GENERIC and words[0] in ("the", "this", "that") else None


def parse_attributes(prompt: str) -> dict[str, object]:
    """What a prompt says, as kind -> canonical value; kinds it leaves unsaid are absent."""
    said: dict[str, object] = {}
    style, main = style_span(prompt), main_phrase(prompt)
    if style:
        said["style"] = style.value
    if main:
        said["subject"] = noun_value(main.head)
        for span in adjective_spans(prompt, main):
            said.setdefault(span.kind, span.value)
    for span in tail_spans(prompt):
        said.setdefault(span.kind, span.value)
    return said
