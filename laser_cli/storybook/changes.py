"""Descriptions of change in the storybook world, each with the true scene after every stage."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from laser_cli.storybook.scenes import COLOURS, PATTERNS, PLACES, SETTINGS, SIZES, STYLES, TIMES, Scene, pure
from laser_cli.storybook.shapes import SUBJECTS
from laser_cli.storybook.words import (
    PATTERN_WORDS,
    SUBJECT_WORDS,
    TIME_WORDS,
    Voice,
    article,
    caption,
    colour_words,
    nearest,
)

# Amounts that captions name without doubt: «in the rain», «in heavy rain», «covered in snow», «under an overcast sky».
STEADY, HEAVY, DEEP, OVERCAST, FAIR = 0.65, 0.95, 1.0, 0.95, 0.15

KINDS = ("subject", "colour", "pattern", "setting", "time", "weather", "size", "place", "style")


@dataclass(frozen=True)
class Change:
    """A source scene, a description of what becomes of it, and the true scene after each stage; the last is the end."""

    source: Scene
    source_prompt: str
    description: str
    stages: tuple[Scene, ...]
    kinds: tuple[tuple[str, ...], ...]

    @property
    def names_source(self) -> bool:
        """Whether the description holds the whole source prompt, so that it can stand alone."""
        return self.description.startswith(self.source_prompt)


@dataclass(frozen=True)
class _Told:
    """The scene after a change, and words for it; ``own`` words follow the subject's name, others are whole clauses."""

    scene: Scene
    kinds: tuple[str, ...]
    words: str
    own: bool


Maker = Callable[[random.Random, Scene], _Told | None]


def sample_change(rng: random.Random) -> Change:
    """A change at random: one to three stages with one or two changes each."""
    source = _source(rng)
    prompt = caption(source, Voice(rng if rng.random() < 0.5 else None))
    count = rng.choice((1, 1, 2, 2, 3))
    whole = rng.random() < 0.3 and prompt.startswith(("a ", "an "))
    scene, stages, kinds, texts = source, [], [], []
    for i in range(count):
        told = _stage(rng, scene, first_own=whole and i == 0)
        texts.append(_stage_words(rng, scene, told, prompt if whole and i == 0 else "", i))
        scene = told[-1].scene
        stages.append(scene)
        kinds.append(tuple(kind for t in told for kind in t.kinds))
    return Change(source, prompt, _sequence(rng, texts, whole), tuple(stages), tuple(kinds))


def _source(rng: random.Random) -> Scene:
    """A scene whose every attribute is a pure extreme, so that its caption says exactly what it is."""
    weather = rng.random()
    snow = DEEP if rng.random() < 0.18 else 0.0
    rain, snowfall = STEADY if weather < 0.12 else 0.0, STEADY if 0.12 <= weather < 0.24 else 0.0
    overcast = weather > 0.88 and not snow
    return Scene(
        subject=pure(rng.choice(list(SUBJECTS))),
        pattern=pure(rng.choice(PATTERNS)) if rng.random() < 0.4 else (),
        setting=pure(rng.choice(SETTINGS)),
        style=pure(rng.choice(STYLES)) if rng.random() < 0.25 else (),
        rain=rain,
        snowfall=snowfall,
        snow=snow,
        clouds=0.85 if rain + snowfall else OVERCAST if overcast else FAIR,
        hour=rng.choice(list(TIMES.values())),
        size=rng.choice(list(SIZES.values())),
        place=rng.choice(list(PLACES.values())),
        sway=rng.random(),
    ).with_colour(rng.choice(list(COLOURS)))


def _other(rng: random.Random, names: Sequence[str], present: str) -> str:
    return rng.choice([name for name in names if name != present])


def _subject(rng: random.Random, scene: Scene) -> _Told:
    """Another subject, in half of the cases with a look of its own."""
    name = _other(rng, list(SUBJECTS), scene.subject[0][0])
    made, kinds, look = replace(scene, subject=pure(name)), ["subject"], []
    if rng.random() < 0.2 and _size_name(made) != "large":
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
        time = _other(rng, list(TIMES), _time_name(scene))
        made, words = replace(made, hour=TIMES[time]), f"{words} {rng.choice(TIME_WORDS[time])}"
        kinds.append("time")
    return _Told(made, tuple(kinds), words, own=True)


def _colour(rng: random.Random, scene: Scene) -> _Told:
    now = colour_words(scene)
    name = _other(rng, list(COLOURS), now)
    verbs = ["turns", "becomes", "gradually turns", "changes to", "gets", f"turns from {now} to", "slowly becomes"]
    return _Told(scene.with_colour(name), ("colour",), f"{rng.choice(verbs)} {name}", own=True)


def _pattern(rng: random.Random, scene: Scene) -> _Told:
    now = scene.pattern[0][0] if scene.pattern else ""
    nouns = {
        "striped": ("stripes",),
        "dotted": ("dots", "spots", "polka dots"),
        "checkered": ("a checkered pattern", "checks"),
    }
    if now and rng.random() < 0.3:
        words = rng.choice((f"loses its {rng.choice(nouns[now]).removeprefix('a ')}", "becomes plain"))
        return _Told(replace(scene, pattern=()), ("pattern",), words, own=True)
    name = _other(rng, PATTERNS, now)
    adjective, noun = rng.choice(PATTERN_WORDS[name]), rng.choice(nouns[name])
    words = rng.choice((f"becomes {adjective}", f"turns {adjective}", f"gets {noun}", f"is covered in {noun}"))
    return _Told(replace(scene, pattern=pure(name)), ("pattern",), words, own=True)


def _size(rng: random.Random, scene: Scene) -> _Told:
    large = scene.size < 0.5 or (scene.size == 0.5 and rng.random() < 0.5)
    grown = ("grows", "gets bigger", "becomes huge", "grows larger", "becomes large", "swells")
    shrunk = ("shrinks", "gets smaller", "becomes tiny", "becomes small", "shrinks down")
    return _Told(
        replace(scene, size=1.0 if large else 0.0), ("size",), rng.choice(grown if large else shrunk), own=True
    )


def _place(rng: random.Random, scene: Scene) -> _Told:
    name = _other(rng, list(PLACES), nearest(scene.place, PLACES))
    side = rng.choice(("middle", "centre", "center")) if name == "middle" else name
    verb = rng.choice(("moves", "drifts", "slides", "rolls", "floats", "glides", "slowly moves"))
    return _Told(replace(scene, place=PLACES[name]), ("place",), f"{verb} to the {side}", own=True)


def _setting(rng: random.Random, scene: Scene) -> _Told:
    old = scene.setting[0][0]
    name = _other(rng, SETTINGS, old)
    names = {"meadow": "a meadow", "desert": "a desert", "sea": "the sea", "city": "a city", "mountains": "mountains"}
    goal = rng.choice((names[name], "the " + name))
    made = replace(scene, setting=pure(name))
    if rng.random() < 0.4:
        return _Told(made, ("setting",), f"{rng.choice(('moves', 'travels', 'goes'))} to the {name}", own=True)
    what = rng.choice(("the scene", "the background", "the landscape", "the setting", "the " + old))
    verb = rng.choice(("turns into", "changes to", "becomes")) if not what.endswith("mountains") else "turn into"
    return _Told(made, ("setting",), f"{what} {verb} {goal}", own=False)


def _time(rng: random.Random, scene: Scene) -> _Told:
    name = _other(rng, list(TIMES), _time_name(scene))
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
    return _Told(replace(scene, hour=TIMES[name]), ("time",), rng.choice(words[name]), own=False)


def _weather(rng: random.Random, scene: Scene) -> _Told:
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
    return _Told(made, ("weather",), rng.choice(words), own=False)


def _season(rng: random.Random, scene: Scene) -> _Told | None:
    """A time and a weather in one: «summer turns to a snowy night»."""
    if _time_name(scene) == "night" or scene.snow:
        return None
    snowy = replace(scene, hour=TIMES["night"], snow=DEEP, snowfall=STEADY, rain=0.0, clouds=0.85)
    wintry = replace(scene, hour=TIMES["night"], snow=DEEP)
    rainy = replace(scene, hour=TIMES["night"], rain=STEADY, snowfall=0.0, clouds=0.85)
    able = [(snowy, "a snowy night"), (wintry, "a winter night")]
    made, goal = rng.choice(able if scene.rain else [*able, (rainy, "a rainy night")])
    start = rng.choice(("summer", "the day", "it", "the scene", "the warm day"))
    return _Told(
        made,
        ("time", "weather"),
        f"{start} {rng.choice(('turns to', 'turns into', 'becomes', 'changes to'))} {goal}",
        own=False,
    )


def _style(rng: random.Random, scene: Scene) -> _Told:
    name = _other(rng, STYLES, scene.style[0][0] if scene.style else "")
    names = {
        "flat": ("a flat drawing", "a flat illustration"),
        "sketch": ("a sketch", "a pencil sketch", "a pencil drawing"),
    }
    names["watercolour"] = ("a watercolour", "a watercolor", "a watercolour painting")
    what = rng.choice(("the picture", "the image", "the whole picture", "the scene"))
    verb = rng.choice(("turns into", "becomes", "changes into", "is now"))
    return _Told(replace(scene, style=pure(name)), ("style",), f"{what} {verb} {rng.choice(names[name])}", own=False)


_OWN: tuple[Maker, ...] = (_subject, _subject, _colour, _colour, _pattern, _size, _place)
_AROUND: tuple[Maker, ...] = (_time, _time, _weather, _weather, _setting, _season, _style)


def _stage(rng: random.Random, scene: Scene, first_own: bool) -> list[_Told]:
    told: list[_Told] = []
    wanted = 2 if rng.random() < 0.4 else 1
    while len(told) < wanted:
        makers = _OWN if (first_own and not told) or rng.random() < 0.5 else _AROUND
        made = rng.choice(makers)(rng, told[-1].scene if told else scene)
        # the second change must not undo or repeat the first
        if made is not None and not (told and set(made.kinds) & set(told[0].kinds)):
            told.append(made)
    return told


def _stage_words(rng: random.Random, scene: Scene, told: list[_Told], whole: str, index: int) -> str:
    """The words of a stage: its changes joined by «and», «while» or «as»."""
    named = _naming(rng, scene, index)
    if whole:
        named = whole + ("," if "," in whole else "")
    clauses, subject = [], named
    for change in told:
        clauses.append(f"{subject} {change.words}".strip() if change.own else change.words)
        subject = "it" if change.own or whole else named
    if len(clauses) == 1:
        return _placed(rng, clauses[0], told[0], whole)
    if told[0].own and told[1].own:
        return f"{clauses[0]} and {rng.choice(('', 'it '))}{told[1].words}"
    joint = rng.choice((" while ", " as ", " and "))
    if not whole and rng.random() < 0.25:
        return f"{rng.choice(('as', 'while', 'when'))} {clauses[1]}, {clauses[0]}"
    return f"{clauses[0]}{joint}{clauses[1]}"


def _placed(rng: random.Random, clause: str, change: _Told, whole: str) -> str:
    """Now and then an adjunct in place of a clause: «as night falls», «in winter»."""
    if change.own or whole or rng.random() > 0.15:
        return clause
    if clause in ("winter comes", "winter arrives"):
        return "in winter"
    return f"as {clause}" if clause.startswith(("night", "dusk", "dawn", "the sun")) else clause


def _naming(rng: random.Random, scene: Scene, index: int) -> str:
    """What the subject is called: by name, with its colour, or as «it»; later on it may go unsaid."""
    name = rng.choice(SUBJECT_WORDS[scene.subject[0][0]])
    names = [f"the {name}", f"the {name}", f"the {colour_words(scene)} {name}", "it"]
    return rng.choice([*names, ""] if index else names)


def _sequence(rng: random.Random, texts: list[str], whole: bool) -> str:
    if len(texts) == 1:
        return texts[0]
    joints = [
        rng.choice((", then ", ". Then ", " and then ", "; then ", ", and then ", ". After that, ")) for _ in texts[1:]
    ]
    if len(texts) == 3 and rng.random() < 0.5:
        joints[-1] = rng.choice((" and finally ", ", and finally ", ". Finally, "))
    start = rng.choice(("", "", "first ", "first, ")) if not whole else ""
    text = start + texts[0]
    for joint, part in zip(joints, texts[1:], strict=True):
        text += joint + part
    return text + rng.choice(("", "", "."))


def _time_name(scene: Scene) -> str:
    return nearest(scene.hour, TIMES, 24.0)


def _size_name(scene: Scene) -> str:
    return nearest(scene.size, SIZES)
