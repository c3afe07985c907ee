"""Finding the verb of a clause: «the ball slowly turns into a cube» -> the ball, turn, into a cube."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.phrases import is_adjective, is_participle, locate, noun_phrases, singular, tokens

_NEVER_BEFORE = frozenset(["a", "an", "the", "his", "her", "its", "their", "with", "of", "in", "at", "by", "on", "no"])
"""What stands before a noun and never before a verb."""
_PLURAL_SUBJECTS = frozenset(["they", "people", "to", "will", "and", "i", "you", "we"]) | lex.SAME_PLURAL


@dataclass(frozen=True)
class Parts:
    """A clause as who, verb (base form) and the rest; ``guessed`` when the verb is not one the lexicon knows."""

    who: str
    verb: str
    rest: str
    guessed: bool = False


def ing(verb: str) -> str:
    """The -ing form of a base form: jump -> jumping, sit -> sitting, fly -> flying, lie -> lying."""
    if verb in lex.ING_FORMS:
        return lex.ING_FORMS[verb]
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        return verb[:-1] + "ing"
    short = re.fullmatch(r"(?:[^aeiou]|qu)*[aeiou][^aeiouwxy]", verb) or verb in ("begin", "forget")
    return verb + verb[-1] + "ing" if short else verb + "ing"


def base_of_ing(form: str) -> str:
    """The base form of a participle that the lexicon knows: smiling -> smile; else the participle."""
    return _forms().get(form, form)


def is_verb_form(word: str) -> bool:
    """Whether a word is a form of a verb that the lexicon knows."""
    return word.lower() in _forms()


def base(form: str) -> str:
    """A guess at the base form of an unknown verb in the third person: crumbles -> crumble, barks -> bark."""
    if form.endswith("ies") and len(form) > 4:
        return form[:-3] + "y"
    if form.endswith(("shes", "ches", "sses", "xes", "zzes", "oes")):
        return form[:-2]
    return form[:-1]


@cache
def _forms() -> dict[str, str]:
    forms = dict(lex.IRREGULAR_FORMS)
    for verb in sorted(lex.VERBS):
        third = (
            verb[:-1] + "ies"
            if re.search(r"[^aeiou]y$", verb)
            else verb + ("es" if re.search(r"(?:s|x|sh|ch|o)$", verb) else "s")
        )
        past = (
            verb + "d" if verb.endswith("e") else verb[:-1] + "ied" if re.search(r"[^aeiou]y$", verb) else verb + "ed"
        )
        for form in (verb, third, past, ing(verb)):
            forms.setdefault(form, verb)
    return forms


_MANNERS = re.compile(
    r"\b(?:little by little|bit by bit|step by step|one by one|one after (?:an)?other|one after the other|by itself"
    r"|all at once|at once|more and more|at the same time"
    r"|(?:over|with|through) (?:the )?(?:years|centuries|decades|ages|time))\b",
    re.IGNORECASE,
)


def without_adverbs(text: str) -> str:
    """The text without words that only tell how or when a change comes."""
    words = [w for w in _MANNERS.sub("", text).split() if w.lower().strip(",") not in lex.ADVERBS]
    return " ".join(words).strip(" ,.;!")


def split_verb(text: str, prompt: str | None = None) -> Parts | None:
    """The parts of a clause, or None without a verb; `prompt` tells which nouns may be followed by an unknown verb."""
    found = tokens(text)
    for i, token in enumerate(found):
        word = token[0].lower()
        verb = _forms().get(word)
        if verb is None or not _may_be_verb(found, i, verb):
            continue
        who, rest = text[: token.start()].strip(" ,"), text[token.end() :].strip(" ,")
        return _through_helpers(who, verb, rest)
    return _guess(text, found, prompt)


def _may_be_verb(found: list[re.Match[str]], i: int, verb: str) -> bool:
    word = found[i][0].lower()
    before = found[i - 1][0].lower() if i else ""
    after = found[i + 1][0].lower() if i + 1 < len(found) else ""
    following = None if is_adjective(after) or after in ("rain", "snow", "falling") else _forms().get(after)
    if word.endswith("s") and following == after and verb != "be":
        return False  # «the city lights come on», «leaves fall»
    if i == 0:
        # «light rain falls», «waves crash», «rain stops»: a noun that looks like a verb
        return not (verb == "light" or (following and verb in lex.MOTIONS | {"rain", "snow", "leave"}))
    if before in _NEVER_BEFORE:
        return False
    if is_participle(word) and before not in ("is", "are"):
        return False  # «a man walking a dog turns …»
    if word == verb and verb != "be":  # a base form needs a plural or a helper before it
        heads = [phrase.head for phrase in noun_phrases(found[0].string[: found[i].start()])]
        if heads and singular(heads[0]) != heads[0]:
            return True  # «the lights in the house go out»
        return singular(before) != before or before in _PLURAL_SUBJECTS
    return not (word.endswith("ed") and before not in ("it", "is", "are") and not before.isalpha())


def _through_helpers(who: str, verb: str, rest: str) -> Parts:
    """Look through «starts to», «begins …ing», «is …ing»."""
    if verb in ("start", "begin", "come", "go", "be", "continue", "get"):
        told = rest.removeprefix("to ") if verb != "be" else rest
        word = told.split(" ", 1)[0].lower().strip(",") if told else ""
        inner = _forms().get(word)
        helper = rest.startswith("to ") if verb not in ("start", "begin", "be") else True
        passive = verb == "be" and word in ("turned", "changed", "transformed", "replaced", "morphed", "converted")
        if inner and helper and (told != rest or is_participle(word) or passive or word in ("snowing", "raining")):
            return Parts(who, inner, told[len(word) :].strip(" ,"))
        if not inner and verb in ("start", "begin") and word and (told != rest or is_participle(word)):
            return Parts(who, _unknown_base(word), told[len(word) :].strip(" ,"), guessed=True)
    return Parts(who, verb, rest)


def _unknown_base(word: str) -> str:
    if not is_participle(word):
        return word
    stem = word[:-3]
    return stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem


def _guess(text: str, found: list[re.Match[str]], prompt: str | None) -> Parts | None:
    """A word in -s right after a noun that the prompt knows, or after «the X» / «a X», taken for a verb."""
    for i, token in enumerate(found):
        word = token[0].lower()
        if i == 0 or not word.isalpha() or not word.endswith("s") or word.endswith(("ss", "us", "is")) or len(word) < 4:
            continue
        who = text[: token.start()].strip(" ,")
        named = tokens(who)
        pronoun = len(named) == 1 and named[0][0].lower() in ("it", "he", "she")
        plain = len(named) >= 2 and named[0][0].lower() in ("a", "an", "the", "his", "her", "its")
        known = prompt is not None and locate(prompt, who) is not None
        air = len(named) == 1 and named[0][0].lower() in lex.MASS_NOUNS | lex.AIR_NOUNS
        nouns = [t[0].lower() for t in named if not is_adjective(t[0])]
        if (
            pronoun
            or air
            or (plain and len(nouns) == 2)
            or (plain and known and not is_adjective(named[-1][0]) and len(nouns) >= 2)
        ):
            return Parts(who, base(word), text[token.end() :].strip(" ,"), guessed=True)
    return None
