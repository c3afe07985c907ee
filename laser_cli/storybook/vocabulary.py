"""The words of the storybook world, by attribute and value; captions are written and read with them.

No library is imported, so that captions can be read without torch.
"""

from __future__ import annotations

BLENDSHAPES: tuple[str, ...] = (
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "cheekPuff",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "jawOpen",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthPucker",
    "mouthSmileLeft",
    "mouthSmileRight",
)
"""The shapes that a puppet's face moves by, of ARKit's 52."""

ISH = {
    "red": "reddish",
    "orange": "orangish",
    "yellow": "yellowish",
    "green": "greenish",
    "teal": "tealish",
    "blue": "bluish",
    "purple": "purplish",
    "pink": "pinkish",
}

# The first phrase of each is the plain one; the others are its synonyms.
SUBJECT_WORDS = {
    "ball": ("ball", "sphere"),
    "cube": ("cube", "box", "block"),
    "star": ("star",),
    "heart": ("heart",),
    "tree": ("tree",),
    "house": ("house", "cottage", "cabin"),
    "mushroom": ("mushroom", "toadstool"),
    "boat": ("boat", "sailboat", "ship"),
    "fish": ("fish",),
    "cat": ("cat", "kitten", "kitty"),
    "flower": ("flower", "blossom"),
    "balloon": ("balloon",),
    "car": ("car", "automobile"),
    "bird": ("bird",),
    "rocket": ("rocket", "spaceship"),
    "cup": ("cup", "mug"),
}
PATTERN_WORDS = {
    "plain": ("plain", "plain-coloured"),
    "striped": ("striped", "stripy"),
    "dotted": ("dotted", "spotted", "polka-dot"),
    "checkered": ("checkered", "chequered"),
}
SETTING_WORDS = {
    "meadow": ("in a meadow", "in a field", "on the grass"),
    "desert": ("in the desert", "on the sand", "among dunes"),
    "sea": ("by the sea", "at sea", "on the ocean"),
    "city": ("in the city", "in a town", "on a street"),
    "mountains": ("in the mountains", "below the mountains"),
}
TIME_WORDS = {
    "night": ("at night", "by night", "under the moon"),
    "dawn": ("at dawn", "at sunrise", "at daybreak"),
    "morning": ("in the morning",),
    "noon": ("at noon", "at midday", "by day"),
    "afternoon": ("in the afternoon",),
    "sunset": ("at sunset", "at sundown"),
    "dusk": ("at dusk", "at twilight"),
}
SIZE_WORDS = {"small": ("small", "little", "tiny"), "medium": ("medium-sized",), "large": ("large", "big", "huge")}
PLACE_WORDS = {
    "left": ("on the left", "to the left"),
    "middle": ("in the middle", "in the centre", "in the center"),
    "right": ("on the right", "to the right"),
}
STYLE_WORDS = {
    "flat": ("a flat drawing of", "a flat illustration of"),
    "sketch": ("a sketch of", "a pencil sketch of", "a pencil drawing of"),
    "watercolour": ("a watercolour of", "a watercolor of", "a watercolour painting of"),
}
SKY_WORDS = {
    "clear": ("under a clear sky",),
    "cloudy": ("under a cloudy sky", "on a cloudy day"),
    "overcast": ("under an overcast sky",),
}
RAIN_WORDS = {
    "light": ("in light rain", "in a drizzle"),
    "steady": ("in the rain",),
    "heavy": ("in heavy rain", "in pouring rain"),
}
SNOWFALL_WORDS = {
    "light": ("in light snowfall", "with a few snowflakes"),
    "steady": ("in falling snow", "with snow falling"),
    "heavy": ("in heavy snowfall", "in a snowstorm"),
}
SNOW_WORDS = {
    "some": ("with a little snow on the ground", "with some snow"),
    "half": ("half covered in snow",),
    "deep": ("covered in snow", "in winter", "deep in snow"),
}
