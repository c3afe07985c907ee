"""Time, season and weather: what happens by itself, and what is told on the way («turns blue at night»)."""

from __future__ import annotations

import re

from laser_cli.plan import lexicon as lex
from laser_cli.plan.edits import tidy
from laser_cli.plan.lexicon import word_set
from laser_cli.plan.phrases import noun_phrases, tail_spans, tokens
from laser_cli.plan.verbs import COMING, ENDING, Parts

_RAINS = word_set("rain raindrops shower showers drizzle storm rainstorm thunderstorm downpour")
_SNOWS = word_set("snow snowflakes snowfall flakes snowstorm blizzard")
_FOGS = word_set("fog mist haze")
AIR_NOUNS = _RAINS | _SNOWS | _FOGS | {"clouds", "cloud", "sky", "sun", "moon", "stars"}
_AGAIN = ["it", "weather", "sky", "scene", "everything", "outside"]


def environment(words: str) -> tuple[tuple[str, str | None], ...] | None:
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


def adjuncts(rest: str) -> tuple[tuple[tuple[str, str | None], ...], str]:
    """Time, season and weather told after the verb («turns blue at night»), and the rest without them."""
    settled: list[tuple[str, str | None]] = []
    for span in reversed(tail_spans(rest)):
        if span.kind in ("place", "setting"):
            continue
        settled[:0] = told(span.kind, rest[span.start : span.end])
        rest = rest[: span.start].rstrip(" ,") + rest[span.end :]
    return tuple(settled), tidy(rest)


def told(kind: str, phrase: str) -> list[tuple[str, str | None]]:
    """The changes that a phrase of the lexicon stands for."""
    phrase = phrase.lower()
    if kind == "snow" and phrase == "in winter":
        return [("season", "winter")]
    if kind == "season":
        return [("season", next(s for s in lex.SEASONS if s in phrase))]
    drops = {"rain": [("snowfall", None)], "snowfall": [("rain", None)]}.get(kind, [])
    dry = [*lex.DRY] if kind == "sky" and phrase in lex.SKY["clear"] else []
    sky: list[tuple[str, str | None]] = [("sky", None)] if kind in ("rain", "snowfall") else []
    return [*drops, *dry, *sky, (kind, phrase)]


def read_event(parts: Parts) -> tuple[tuple[str, str | None], ...] | None:
    """Changes of time, season and weather that happen by themselves: «night falls», «it starts to snow»."""
    verb, rest = parts.verb, parts.rest.lower()
    # «a boat at noon» is a boat: only the first noun counts
    named = noun_phrases(parts.who)
    head = named[0].head if named else parts.who.lower()
    heavy = bool(re.search(r"\b(?:heavily|hard|heavy)\b", f"{parts.who} {rest}".lower())) or head in (
        "storm",
        "rainstorm",
        "snowstorm",
        "blizzard",
        "downpour",
    )
    light = (
        bool(re.search(r"\b(?:lightly|a little|a bit|light)\b", f"{parts.who} {rest}".lower()))
        or head == "drizzle"
        or verb == "drizzle"
    )
    rain = (
        *lex.RAINING[:1],
        ("rain", "in heavy rain" if heavy or verb == "pour" else "in light rain" if light else "in the rain"),
        ("sky", None),
    )
    snow = (
        *lex.SNOWING[:1],
        ("snowfall", "in heavy snowfall" if heavy else "in light snowfall" if light else "in falling snow"),
        ("sky", None),
    )
    if head in ("", "it") and verb in ("rain", "pour", "drizzle") and not rest.startswith("into"):
        return rain
    if head in ("", "it") and verb == "snow":
        return snow
    if head in ("", "it") and verb in ENDING and rest.startswith(("raining", "snowing", "pouring", "drizzling")):
        return (("snowfall" if rest.startswith("snow") else "rain", None),)
    if verb in ("be", "get", "become") and re.match(
        r"(?:all |fully |deeply )?(?:covered|blanketed|buried|wrapped) (?:in|with|by|under) "
        r"(?:deep |white |fresh |the )*snow",
        rest,
    ):
        return lex.WINTER
    if head == "sun" or (head in ("", "sun") and rest.startswith("sun")):
        if verb in ("set", "sink") or (verb in ("go", "move") and rest.startswith("down")):
            return (("time", "at sunset"),)
        if verb == "rise" or (verb in ("come", "go") and rest.startswith("up")):
            return (("time", "at sunrise"),)
        if verb in ("come", "shine", "break", "appear", "return"):
            return (*lex.DRY, ("sky", "under a clear sky"))
    if head in ("moon", "stars") and verb in ("rise", "come", "appear", "shine", "emerge"):
        return (("time", "at night"),)
    if head == "day" and verb == "break":
        return (("time", "at dawn"),)
    passing = re.match(r"(?:from .+? )?(?:in)?to (.+)", rest)
    if (
        passing
        and verb in ("pass", "move", "go")
        and (head == "time" or head in lex.TIME_NOUNS)
        and (later := environment(passing[1]))
    ):
        return later
    if head == "day" and verb in ("end", "fade"):
        return (("time", "at night"),)
    coming = verb in COMING | {"be"} and (verb != "be" or rest in ("here", "coming"))
    if coming and head in lex.SEASON_NOUNS and verb != "fall":
        return (("season", lex.SEASON_NOUNS[head]),)
    if coming and head in lex.TIME_NOUNS and not rest.startswith("into"):
        return (("time", lex.TIME_NOUNS[head][1]),)
    if verb in ("cover", "blanket", "bury", "settle", "lie", "fill") and head == "snow":
        return lex.WINTER
    if verb in ("melt", "thaw", "vanish", "disappear") and head == "snow" and not rest.startswith(("into", "to ")):
        return lex.SUMMER
    if head in _RAINS | _SNOWS and verb in ENDING | {"go"} - {"melt"}:
        return (("snowfall", None),) if head in _SNOWS else (("rain", None),)
    if head in _RAINS and verb in COMING | {"pour", "rage", "hit", "break"}:
        return rain
    if head in _SNOWS and verb in COMING | {"pour", "rage", "hit", "drift", "swirl", "float"}:
        return snow
    if head in ("clouds", "cloud") and verb == "drift" and not re.match(r"away|off|apart|out", rest):
        return (("sky", "under a cloudy sky"),)
    if head in _FOGS and verb in COMING | {"rise", "cover", "drift", "thicken"}:
        return (("fog", "in the mist" if head == "mist" else "in the fog"),)
    if head in _FOGS and verb in ENDING | {"burn"}:
        return (("fog", None),)
    if head in ("clouds", "cloud"):
        if verb in ENDING | {"break"}:
            return (*lex.DRY, ("sky", "under a clear sky"))
        if verb in COMING | {"cover", "drift", "appear"}:
            return (("sky", "under an overcast sky"),)
    if head == "sky" and verb in ("clear", "brighten"):
        return (*lex.DRY, ("sky", "under a clear sky"))
    if head == "sky" and verb == "darken":
        return (("time", "at night"),)
    return None
