"""Scenes in words: captions with synonyms, varied order and things left unsaid."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from laser_cli.storybook.scenes import (
    COLOURS,
    PATTERNS,
    PLACES,
    SETTINGS,
    SIZES,
    STYLES,
    TIMES,
    WHEEL,
    Mix,
    Scene,
    between_colours,
    colour_distance,
)
from laser_cli.storybook.vocabulary import (
    ISH as ISH,
)
from laser_cli.storybook.vocabulary import (
    PATTERN_WORDS as PATTERN_WORDS,
)
from laser_cli.storybook.vocabulary import (
    PLACE_WORDS as PLACE_WORDS,
)
from laser_cli.storybook.vocabulary import (
    RAIN_WORDS as RAIN_WORDS,
)
from laser_cli.storybook.vocabulary import (
    SETTING_WORDS as SETTING_WORDS,
)
from laser_cli.storybook.vocabulary import (
    SIZE_WORDS as SIZE_WORDS,
)
from laser_cli.storybook.vocabulary import (
    SKY_WORDS as SKY_WORDS,
)
from laser_cli.storybook.vocabulary import (
    SNOW_WORDS as SNOW_WORDS,
)
from laser_cli.storybook.vocabulary import (
    SNOWFALL_WORDS as SNOWFALL_WORDS,
)
from laser_cli.storybook.vocabulary import (
    STYLE_WORDS as STYLE_WORDS,
)
from laser_cli.storybook.vocabulary import (
    SUBJECT_WORDS as SUBJECT_WORDS,
)
from laser_cli.storybook.vocabulary import (
    TIME_WORDS as TIME_WORDS,
)


@dataclass(frozen=True)
class Voice:
    """How a caption is told: without a generator in the first phrases and a fixed order, else as it chooses."""

    rng: random.Random | None = None
    omit: float = 0.0

    def pick(self, phrases: tuple[str, ...]) -> str:
        if self.rng is None or self.rng.random() < 0.5:
            return phrases[0]
        return self.rng.choice(phrases)

    def chance(self, p: float) -> bool:
        return self.rng is not None and self.rng.random() < p


def article(words: str) -> str:
    return ("an " if words[:1] in "aeiou" else "a ") + words


def level(amount: float, names: tuple[str, str, str], low: float = 0.45, high: float = 0.8) -> str:
    return names[0] if amount < low else names[1] if amount < high else names[2]


def nearest(value: float, table: dict[str, float], period: float | None = None) -> str:
    def gap(name: str) -> float:
        d = abs(value - table[name])
        return min(d, period - d) if period else d

    return min(table, key=gap)


def colour_words(scene: Scene) -> str:
    """The colour's nearest name, or the mixed name of two neighbours («reddish orange») when it lies between them."""
    colours = _all_colours()
    return min(colours, key=lambda name: colour_distance(scene, colours[name]))


@cache
def _all_colours() -> dict[str, tuple[float, float, float]]:
    colours = dict(COLOURS)
    for a, b in zip(WHEEL, (*WHEEL[1:], WHEEL[0]), strict=True):
        colours[f"{ISH[a]} {b}"] = between_colours(a, b, 0.5)
    return colours


def two(mix: Mix) -> tuple[str, str, float]:
    """The two strongest names of a mixture and the share of the second."""
    ranked = sorted(mix, key=lambda item: -item[1])
    if len(ranked) == 1:
        return ranked[0][0], "", 0.0
    (a, p), (b, q) = ranked[:2]
    return a, b, q / (p + q)


def caption(scene: Scene, voice: Voice | None = None, unsaid: frozenset[str] = frozenset()) -> str:
    """One sentence about a scene; defaults stay unsaid unless the voice says otherwise.

    `unsaid` attributes are never told: colour, setting, time.
    """
    voice = voice or Voice()
    start = _style(scene, voice)
    around = {"setting": _setting(scene, voice), "time": _time(scene, voice)}
    told = [words for kind, words in around.items() if kind not in unsaid]
    tail = [_place(scene, voice), *told, *_weather(scene, voice)]
    tail = [t for t in tail if t and not voice.chance(voice.omit)]
    if voice.chance(0.3):
        assert voice.rng is not None
        voice.rng.shuffle(tail)
    head = _subject(scene, voice, unsaid)
    if voice.chance(0.12) and not start and tail:
        return f"{tail[-1]}, {', '.join([head, *tail[:-1]])}" if len(tail) > 1 else f"{tail[0]}, {head}"
    return " ".join(filter(None, [start, head])) + "".join(_join(t) for t in tail)


def _join(phrase: str) -> str:
    loose = phrase.startswith(("with", "covered", "half", "deep", "in winter", "under"))
    return (", " if loose else " ") + phrase


def _subject(scene: Scene, voice: Voice, unsaid: frozenset[str]) -> str:
    a, b, share = two(scene.subject)
    size = ""
    name = nearest(scene.size, SIZES)
    if name != "medium" or voice.chance(0.1):
        size = "" if voice.chance(voice.omit) else voice.pick(SIZE_WORDS[name])
    colour = "" if voice.chance(voice.omit) or "colour" in unsaid else colour_words(scene)
    pattern = ""
    if scene.pattern:
        kind, weight = max(scene.pattern, key=lambda item: item[1])
        if weight > 0.15 and not voice.chance(voice.omit):
            pattern = ("faintly " if weight < 0.6 else "") + voice.pick(PATTERN_WORDS[kind])
    elif voice.chance(0.06):
        pattern = "plain"
    look = " ".join(filter(None, [size, colour, pattern]))
    first, second = voice.pick(SUBJECT_WORDS[a]), voice.pick(SUBJECT_WORDS[b]) if b else ""
    if share < 0.15:
        return article(f"{look} {first}".strip())
    if share > 0.38:
        return f"something {look} halfway between {article(first)} and {article(second)}".replace("  ", " ")
    return f"{article(f'{look} {first}'.strip())} turning into {article(second)}"


def _style(scene: Scene, voice: Voice) -> str:
    if not scene.style:
        return ""
    kind, weight = max(scene.style, key=lambda item: item[1])
    if weight < 0.2 or voice.chance(voice.omit):
        return ""
    words = voice.pick(STYLE_WORDS[kind])
    return words if weight > 0.6 else words.replace("a ", "almost a ", 1)


def _place(scene: Scene, voice: Voice) -> str:
    spots = {**PLACES, "half left": -0.5, "half right": 0.5}
    name = nearest(scene.place, spots)
    if name.startswith("half"):
        return f"a little to the {name[5:]}"
    return "" if name == "middle" and not voice.chance(0.15) else voice.pick(PLACE_WORDS[name])


def _setting(scene: Scene, voice: Voice) -> str:
    a, b, share = two(scene.setting)
    if share < 0.2:
        return voice.pick(SETTING_WORDS[a])
    nouns = {"meadow": "meadow", "desert": "desert", "sea": "sea", "city": "city", "mountains": "mountains"}
    return f"between {nouns[a]} and {nouns[b]}"


def _time(scene: Scene, voice: Voice) -> str:
    name = nearest(scene.hour, TIMES, 24.0)
    after = (scene.hour - TIMES[name] + 12) % 24 - 12
    words = voice.pick(TIME_WORDS[name])
    if abs(after) < 0.9 or name in ("night",):
        return words if abs(after) < 2.2 else ("late at night" if after > 0 else "in the late evening")
    return ("after " if after > 0 else "before ") + name if name in ("dawn", "noon", "sunset", "dusk") else words


def _weather(scene: Scene, voice: Voice) -> list[str]:
    said = []
    if scene.rain > 0.1:
        said.append(voice.pick(RAIN_WORDS[level(scene.rain, ("light", "steady", "heavy"))]))
    if scene.snowfall > 0.1:
        said.append(voice.pick(SNOWFALL_WORDS[level(scene.snowfall, ("light", "steady", "heavy"))]))
    if scene.snow > 0.12:
        said.append(voice.pick(SNOW_WORDS[level(scene.snow, ("some", "half", "deep"), 0.4, 0.72)]))
    if not said and scene.clouds > 0.6:
        said.append(voice.pick(SKY_WORDS["overcast" if scene.clouds > 0.85 else "cloudy"]))
    elif not said and scene.clouds < 0.1 and voice.chance(0.3):
        said.append(voice.pick(SKY_WORDS["clear"]))
    return said


assert (
    set(SETTING_WORDS) == set(SETTINGS)
    and set(STYLE_WORDS) == set(STYLES)
    and set(PATTERN_WORDS) == {"plain", *PATTERNS}
)
