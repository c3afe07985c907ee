"""Puppets in words: captions with synonyms, varied order and things left unsaid."""

from __future__ import annotations

from laser_cli.storybook.puppets import EXPRESSIONS, SKINS, Puppet
from laser_cli.storybook.scenes import Mix
from laser_cli.storybook.words import Voice, article, nearest, two

START_WORDS = ("a portrait of a person", "a cartoon portrait of a person", "a portrait", "a face")
HAIR_WORDS = {
    "short": ("short {} hair",),
    "long": ("long {} hair",),
    "curly": ("curly {} hair", "{} curls"),
    "bun": ("{} hair in a bun", "a {} bun"),
    "bald": ("a bald head", "no hair"),
}
HAIR_COLOUR_WORDS = {
    "black": ("black", "dark"),
    "brown": ("brown",),
    "blonde": ("blonde", "blond"),
    "red": ("red", "ginger"),
    "gray": ("gray", "grey", "white"),
}
HAT_WORDS = {"cap": ("cap",), "beanie": ("beanie", "woolly hat"), "top hat": ("top hat",)}
EXPRESSION_WORDS: dict[str, tuple[str, ...]] = {
    "smiling": ("smiling", "with a smile", "happy"),
    "laughing": ("laughing", "with a big laugh"),
    "sad": ("sad", "looking sad"),
    "frowning": ("frowning", "with a frown"),
    "angry": ("angry", "looking angry"),
    "surprised": ("surprised", "looking surprised", "astonished"),
    "open": ("with an open mouth", "mouth open"),
    "asleep": ("with closed eyes", "eyes closed", "asleep"),
    "wink left": ("winking with the right eye",),
    "wink right": ("winking with the left eye",),
    "pucker": ("puckering the lips", "pouting"),
    "puff": ("with puffed cheeks", "puffing the cheeks"),
    "look up": ("eyes looking up", "glancing up"),
    "look down": ("eyes looking down", "glancing down"),
    "look left": ("eyes looking left", "glancing left"),
    "look right": ("eyes looking right", "glancing right"),
}
"""What is said of an expression; sides are the viewer's."""
NEUTRAL_WORDS = ("with a neutral face", "with a calm face", "expressionless")
TURN_WORDS = {"left": ("turned to the left", "facing left"), "right": ("turned to the right", "facing right")}
NOD_WORDS = {"up": ("head raised", "chin up"), "down": ("head lowered", "chin down")}
TILT_WORDS = {"left": ("head tilted to the left",), "right": ("head tilted to the right",)}


def face_caption(puppet: Puppet, voice: Voice | None = None, unsaid: frozenset[str] = frozenset()) -> str:
    """One sentence about a puppet; `unsaid` attributes are never told: skin, hair, eyes, expression, background."""
    voice = voice or Voice()
    looks = {"skin": _skin(puppet, voice), "hair": _hair(puppet, voice), "eyes": _eyes(puppet, voice)}
    worn = [w for kind, w in looks.items() if w and kind not in unsaid]
    worn = [w for w in worn if not voice.chance(voice.omit)]
    if puppet.glasses > 0.25 and not voice.chance(voice.omit):
        worn.append("glasses" if puppet.glasses > 0.6 else "faint glasses")
    if puppet.hat and not voice.chance(voice.omit):
        worn.append(_hat(puppet, voice))
    shown = [] if "expression" in unsaid else _expression(puppet, voice)
    behind = "" if "background" in unsaid else _background(puppet, voice)
    tail = [*shown, *_pose(puppet, voice), behind]
    tail = [t for t in tail if t and not voice.chance(voice.omit)]
    if voice.chance(0.3):
        assert voice.rng is not None
        voice.rng.shuffle(worn)
        voice.rng.shuffle(tail)
    start = voice.pick(START_WORDS)
    told = f"{start} with {_listed(worn)}" if worn else start
    return ", ".join([told, *tail])


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]


def _mixed(mix: Mix, between: str = "-") -> str:
    a, b, share = two(mix)
    return a if share < 0.2 else f"{a}{between}{b}"


def _skin(puppet: Puppet, voice: Voice) -> str:
    return f"{nearest(puppet.skin, SKINS)} skin"


def _hair(puppet: Puppet, voice: Voice) -> str:
    style, other, share = two(puppet.hair)
    if share > 0.2 and "bald" in (style, other):
        return f"thin {_mixed(puppet.hair_colour)} hair"
    a, b, mixed = two(puppet.hair_colour)
    colour = voice.pick(HAIR_COLOUR_WORDS[a]) if mixed < 0.2 else f"{a}-{b}"
    return voice.pick(HAIR_WORDS[style]).format(colour)


def _eyes(puppet: Puppet, voice: Voice) -> str:
    return f"{_mixed(puppet.eyes)} eyes"


def _hat(puppet: Puppet, voice: Voice) -> str:
    kind, share = max(puppet.hat, key=lambda item: item[1])
    words = f"{_mixed(puppet.hat_colour)} {voice.pick(HAT_WORDS[kind])}"
    return article(words if share > 0.6 else f"faint {words}")


def _background(puppet: Puppet, voice: Voice) -> str:
    return f"on {article(_mixed(puppet.background))} background"


def _pose(puppet: Puppet, voice: Voice) -> list[str]:
    said = []
    for angle, slight, words in (
        (puppet.yaw, 17.0, (TURN_WORDS["left"], TURN_WORDS["right"])),
        (puppet.pitch, 11.0, (NOD_WORDS["down"], NOD_WORDS["up"])),
        (puppet.roll, 11.0, (TILT_WORDS["left"], TILT_WORDS["right"])),
    ):
        if abs(angle) > 0.3 * slight:
            told = voice.pick(words[angle > 0])
            said.append(f"{told} a little" if abs(angle) < slight else told)
    if not said and voice.chance(0.3):
        said.append("facing forward")
    return said


def _expression(puppet: Puppet, voice: Voice) -> list[str]:
    """The named expressions that together account for the blendshapes, the fullest first."""
    left, said = dict(puppet.expression), []
    for name in sorted(EXPRESSIONS, key=lambda n: -len(EXPRESSIONS[n])):
        need = EXPRESSIONS[name]
        strength = min(left.get(shape, 0.0) / value for shape, value in need.items())
        if strength < 0.25:
            continue
        for shape, value in need.items():
            left[shape] -= value * min(1.0, strength)
        words = voice.pick(EXPRESSION_WORDS[name])
        said.append(words if strength > 0.6 else f"slightly {words}")
    if not said and not left:
        said.append(voice.pick(NEUTRAL_WORDS))
    return said
