"""The kinds of change a scene can undergo, each told in words of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from laser_cli.storybook.crisp import DEEP, FAIR, HEAVY, OVERCAST, STEADY
from laser_cli.storybook.scenes import COLOURS, PATTERNS, PLACES, SETTINGS, SIZES, STYLES, TIMES, Scene, pure
from laser_cli.storybook.shapes import SUBJECTS
from laser_cli.storybook.words import PATTERN_WORDS, SUBJECT_WORDS, TIME_WORDS, article, colour_words, nearest

KINDS = ("subject", "colour", "pattern", "setting", "time", "weather", "size", "place", "style")


@dataclass(frozen=True)
class Told:
    """The scene after a change, and words for it; ``own`` words follow the subject's name, others are whole clauses."""

    scene: Scene
    kinds: tuple[str, ...]
    words: str
    own: bool


Maker = Callable[[random.Random, Scene], Told | None]


def _other(rng: random.Random, names: Sequence[str], present: str) -> str:
    return rng.choice([name for name in names if name != present])


def subject_change(rng: random.Random, scene: Scene) -> Told:
    """Another subject, in half of the cases with a look of its own."""
    name = _other(rng, list(SUBJECTS), scene.subject[0][0])
    made, kinds, look = replace(scene, subject=pure(name)), ["subject"], []
    if rng.random() < 0.2 and size_name(made) != "large":
        made, look = replace(made, size=1.0), ["large"]
        kinds.append("size")
    if rng.random() < 0.45:
        colour = _other(rng, list(COLOURS), colour_words(scene))
        made, look = made.with_colour(colour), [*look, colour]
        kinds.append("colour")
    if rng.random() < 0.15:
        pattern = _other(rng, PATTERNS, scene.pattern[0][0] if scene.pattern else "")
        made, look = replace(made, pattern=pure(pattern)), [*look, rng.choice(PATTERN_WORDS[pattern])]
        kinds.append("pattern")
    verb = rng.choice(("turns into", "becomes", "transforms into", "changes into", "morphs into", "slowly turns into"))
    words = f"{verb} {article(' '.join([*look, rng.choice(SUBJECT_WORDS[name])]))}"
    if rng.random() < 0.15:
        time = _other(rng, list(TIMES), time_name(scene))
        made, words = replace(made, hour=TIMES[time]), f"{words} {rng.choice(TIME_WORDS[time])}"
        kinds.append("time")
    return Told(made, tuple(kinds), words, own=True)


def colour_change(rng: random.Random, scene: Scene) -> Told:
    now = colour_words(scene)
    name = _other(rng, list(COLOURS), now)
    verbs = ["turns", "becomes", "gradually turns", "changes to", "gets", f"turns from {now} to", "slowly becomes"]
    return Told(scene.with_colour(name), ("colour",), f"{rng.choice(verbs)} {name}", own=True)


def pattern_change(rng: random.Random, scene: Scene) -> Told:
    now = scene.pattern[0][0] if scene.pattern else ""
    nouns = {
        "striped": ("stripes",),
        "dotted": ("dots", "spots", "polka dots"),
        "checkered": ("a checkered pattern", "checks"),
    }
    if now and rng.random() < 0.3:
        words = rng.choice((f"loses its {rng.choice(nouns[now]).removeprefix('a ')}", "becomes plain"))
        return Told(replace(scene, pattern=()), ("pattern",), words, own=True)
    name = _other(rng, PATTERNS, now)
    adjective, noun = rng.choice(PATTERN_WORDS[name]), rng.choice(nouns[name])
    words = rng.choice((f"becomes {adjective}", f"turns {adjective}", f"gets {noun}", f"is covered in {noun}"))
    return Told(replace(scene, pattern=pure(name)), ("pattern",), words, own=True)


def size_change(rng: random.Random, scene: Scene) -> Told:
    large = scene.size < 0.5 or (scene.size == 0.5 and rng.random() < 0.5)
    grown = ("grows", "gets bigger", "becomes huge", "grows larger", "becomes large", "swells")
    shrunk = ("shrinks", "gets smaller", "becomes tiny", "becomes small", "shrinks down")
    return Told(replace(scene, size=1.0 if large else 0.0), ("size",), rng.choice(grown if large else shrunk), own=True)


def place_change(rng: random.Random, scene: Scene) -> Told:
    name = _other(rng, list(PLACES), nearest(scene.place, PLACES))
    side = rng.choice(("middle", "centre", "center")) if name == "middle" else name
    verb = rng.choice(("moves", "drifts", "slides", "rolls", "floats", "glides", "slowly moves"))
    return Told(replace(scene, place=PLACES[name]), ("place",), f"{verb} to the {side}", own=True)


def setting_change(rng: random.Random, scene: Scene) -> Told:
    old = scene.setting[0][0]
    name = _other(rng, SETTINGS, old)
    names = {"meadow": "a meadow", "desert": "a desert", "sea": "the sea", "city": "a city", "mountains": "mountains"}
    goal = rng.choice((names[name], "the " + name))
    made = replace(scene, setting=pure(name))
    if rng.random() < 0.4:
        return Told(made, ("setting",), f"{rng.choice(('moves', 'travels', 'goes'))} to the {name}", own=True)
    what = rng.choice(("the scene", "the background", "the landscape", "the setting", "the " + old))
    verb = rng.choice(("turns into", "changes to", "becomes")) if not what.endswith("mountains") else "turn into"
    return Told(made, ("setting",), f"{what} {verb} {goal}", own=False)


def time_change(rng: random.Random, scene: Scene) -> Told:
    name = _other(rng, list(TIMES), time_name(scene))
    words = {
        "night": (
            "night falls",
            "darkness falls",
            "it gets dark",
            "the moon rises",
            "night comes",
            "the day turns to night",
        ),
        "dawn": ("the sun rises", "dawn breaks", "day breaks", "the sun comes up"),
        "morning": ("morning comes", "the morning arrives", "it becomes morning"),
        "noon": ("noon comes", "it becomes noon", "midday arrives"),
        "afternoon": ("afternoon comes", "the afternoon arrives", "it turns to afternoon"),
        "sunset": ("the sun sets", "the sun goes down", "the sun is setting"),
        "dusk": ("dusk falls", "evening comes", "twilight falls", "dusk comes"),
    }
    return Told(replace(scene, hour=TIMES[name]), ("time",), rng.choice(words[name]), own=False)


def weather_change(rng: random.Random, scene: Scene) -> Told:
    """One of the changes of weather that can happen now."""
    words: tuple[str, ...]
    able: list[tuple[Scene, tuple[str, ...]]] = []
    dry = scene.rain == 0 and scene.snowfall == 0
    if dry:
        rainy, snowy = replace(scene, rain=STEADY, clouds=0.85), replace(scene, snowfall=STEADY, clouds=0.85)
        able.append(
            (
                rainy,
                ("it starts to rain", "it begins to rain", "rain starts to fall", "rain falls", "it starts raining"),
            )
        )
        able.append(
            (snowy, ("it starts to snow", "it begins snowing", "snow begins to fall", "snow falls", "it snows"))
        )
        able.append(
            (
                replace(rainy, rain=HEAVY),
                ("it starts to pour", "heavy rain begins to fall", "it starts to rain heavily"),
            )
        )
    if scene.rain:
        able.append((replace(scene, rain=0.0, clouds=FAIR), ("the rain stops", "it stops raining", "the rain ends")))
    if scene.snowfall:
        able.append(
            (
                replace(scene, snowfall=0.0, clouds=FAIR),
                ("it stops snowing", "the snow stops falling", "the snowfall ends"),
            )
        )
    if not scene.snow:
        words = (
            "snow covers the ground",
            "winter comes",
            "the ground is covered in snow",
            "winter arrives",
            "snow covers everything",
        )
        able.append((replace(scene, snow=DEEP), words))
    elif not scene.snowfall:
        able.append(
            (replace(scene, snow=0.0), ("the snow melts", "summer comes", "spring arrives", "the snow melts away"))
        )
    if dry and scene.clouds < 0.5:
        able.append(
            (
                replace(scene, clouds=OVERCAST),
                ("clouds gather", "dark clouds gather", "clouds roll in", "clouds cover the sky"),
            )
        )
    elif dry and not scene.snow:
        able.append((replace(scene, clouds=0.0), ("the sky clears", "the clouds part", "the clouds disappear")))
    made, words = rng.choice(able)
    return Told(made, ("weather",), rng.choice(words), own=False)


def season_change(rng: random.Random, scene: Scene) -> Told | None:
    """A time and a weather in one: «summer turns to a snowy night»."""
    if time_name(scene) == "night" or scene.snow:
        return None
    snowy = replace(scene, hour=TIMES["night"], snow=DEEP, snowfall=STEADY, rain=0.0, clouds=0.85)
    wintry = replace(scene, hour=TIMES["night"], snow=DEEP)
    rainy = replace(scene, hour=TIMES["night"], rain=STEADY, snowfall=0.0, clouds=0.85)
    able = [(snowy, "a snowy night"), (wintry, "a winter night")]
    made, goal = rng.choice(able if scene.rain else [*able, (rainy, "a rainy night")])
    start = rng.choice(("summer", "the day", "it", "the scene", "the warm day"))
    return Told(
        made,
        ("time", "weather"),
        f"{start} {rng.choice(('turns to', 'turns into', 'becomes', 'changes to'))} {goal}",
        own=False,
    )


def style_change(rng: random.Random, scene: Scene) -> Told:
    name = _other(rng, STYLES, scene.style[0][0] if scene.style else "")
    names = {
        "flat": ("a flat drawing", "a flat illustration"),
        "sketch": ("a sketch", "a pencil sketch", "a pencil drawing"),
    }
    names["watercolour"] = ("a watercolour", "a watercolor", "a watercolour painting")
    what = rng.choice(("the picture", "the image", "the whole picture", "the scene"))
    verb = rng.choice(("turns into", "becomes", "changes into", "is now"))
    return Told(replace(scene, style=pure(name)), ("style",), f"{what} {verb} {rng.choice(names[name])}", own=False)


OWN: tuple[Maker, ...] = (
    subject_change,
    subject_change,
    colour_change,
    colour_change,
    pattern_change,
    size_change,
    place_change,
)
AROUND: tuple[Maker, ...] = (
    time_change,
    time_change,
    weather_change,
    weather_change,
    setting_change,
    season_change,
    style_change,
)


def time_name(scene: Scene) -> str:
    return nearest(scene.hour, TIMES, 24.0)


def size_name(scene: Scene) -> str:
    return nearest(scene.size, SIZES)
