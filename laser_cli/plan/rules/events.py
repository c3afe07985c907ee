"""Time, season and weather: what happens by itself (`events.yaml`), and what a clause says beside its verb."""

from __future__ import annotations

import re
from functools import cache

from laser_cli.plan.rules.table import Row, read_row
from laser_cli.plan.rules.verbs import Parts
from laser_cli.plan.wording import lexicon as lex
from laser_cli.plan.wording.edits import tidy
from laser_cli.plan.wording.lexicon import Changes
from laser_cli.plan.wording.phrases import noun_phrases, tail_spans, tokens

_HEAVY = frozenset(("storm", "rainstorm", "snowstorm", "blizzard", "downpour"))


@cache
def _events() -> tuple[Row, ...]:
    table = lex.read_table("events.yaml")
    outcomes = table["outcomes"]
    return tuple(read_row({**row, "gives": outcomes.get(str(row["gives"]), row["gives"])}) for row in table["events"])


def read_event(parts: Parts) -> Changes | None:
    """Changes of time, season and weather that happen by themselves: «night falls», «it starts to snow»."""
    verb, rest = parts.verb, parts.rest.lower()
    # «a boat at noon» is a boat: only the first noun counts
    named = noun_phrases(parts.who)
    head = named[0].head if named else parts.who.lower()
    if not head and rest.startswith("sun"):  # «out comes the sun»
        head = "sun"
    event = next((event for event in _events() if event.match(head, verb, rest)), None)
    if event is None:
        return None
    gives = event.says["gives"]
    if gives == "{passing}":
        passed = re.search(r"(?:in)?to (.+)", rest)
        return environment(passed[1]) if passed else None
    hard = _intensity(f"{parts.who} {rest}".lower(), head, verb)
    values = {
        "rain": {"heavy": "in heavy rain", "light": "in light rain"}.get(hard, "in the rain"),
        "snowfall": {"heavy": "in heavy snowfall", "light": "in light snowfall"}.get(hard, "in falling snow"),
        "season": lex.SEASON_NOUNS.get(head, ""),
        "time": lex.TIME_NOUNS.get(head, ("", ""))[1],
    }
    return tuple((kind, phrase and phrase.format(**values)) for kind, phrase in gives.items())


def _intensity(text: str, head: str, verb: str) -> str:
    """How hard it rains or snows: heavy, light or nothing."""
    if re.search(r"\b(?:heavily|hard|heavy)\b", text) or head in _HEAVY or verb == "pour":
        return "heavy"
    drizzles = re.search(r"\b(?:lightly|a little|a bit|light)\b", text) or "drizzle" in (head, verb)
    return "light" if drizzles else ""


def environment(words: str) -> Changes | None:
    """What a phrase such as «a snowy night» or «rain» says about time, season and weather; None if it says more."""
    air: list[tuple[str, str | None]] = []
    moment: list[tuple[str, str | None]] = []
    said = [t[0].lower() for t in tokens(words) if t[0] != ","]
    day = [w for w in said if w in ("day", "daytime", "daylight")]
    for word in said:
        if word in lex.AIR:
            air.extend(lex.AIR[word])
        elif word in lex.SEASON_NOUNS:
            air.append(("season", lex.SEASON_NOUNS[word]))
        elif word in lex.TIME_NOUNS and word not in day:
            moment.append(("time", lex.TIME_NOUNS[word][1]))
        elif word not in lex.AIR_FILLERS and word not in day:
            return None
    if day and not moment:
        # «a rainy day» may still be its morning, but not its night
        moment.append(("day" if air else "time", "by day"))
    return (*air, *moment) or None


def adjuncts(rest: str) -> tuple[Changes, str]:
    """Time, season and weather told after the verb («turns blue at night»), and the rest without them."""
    settled: list[tuple[str, str | None]] = []
    for span in reversed(tail_spans(rest)):
        if span.kind in ("place", "setting"):
            continue
        settled[:0] = changes_of(span.kind, rest[span.start : span.end])
        rest = rest[: span.start].rstrip(" ,") + rest[span.end :]
    return tuple(settled), tidy(rest)


def changes_of(kind: str, phrase: str) -> list[tuple[str, str | None]]:
    """The changes that a phrase of the lexicon stands for."""
    phrase = phrase.lower()
    if kind == "snow" and phrase == "in winter":
        return [("season", "winter")]
    if kind == "season":
        return [("season", next(s for s in lex.SEASONS if s in phrase))]
    drops: Changes = {"rain": (("snowfall", None),), "snowfall": (("rain", None),)}.get(kind, ())
    dry = lex.DRY if kind == "sky" and phrase in lex.SKY["clear"] else ()
    sky: Changes = (("sky", None),) if kind in ("rain", "snowfall") else ()
    return [*drops, *dry, *sky, (kind, phrase)]
