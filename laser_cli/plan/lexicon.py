"""Words that the rule planner knows: kinds of attributes, their values and the phrases for them.

The storybook's captions are known by their own words (storybook.vocabulary), others stand here beside them.
"""

from __future__ import annotations

from collections.abc import Mapping

from laser_cli.storybook.vocabulary import (
    PLACE_WORDS,
    RAIN_WORDS,
    SIZE_WORDS,
    SKY_WORDS,
    SNOW_WORDS,
    SNOWFALL_WORDS,
    SUBJECT_WORDS,
    TIME_WORDS,
)


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


def _and(known: Mapping[str, tuple[str, ...]], more: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """A table of phrases with more of them, for its own values and for new ones."""
    return {value: (*known.get(value, ()), *more.get(value, ())) for value in (*known, *more)}


# The order in which a prompt tells the kinds that follow its subject.
TAIL_ORDER = ("place", "setting", "season", "time", "rain", "snowfall", "fog", "snow", "sky")

SUBJECTS = SUBJECT_WORDS
GENERIC = word_set(
    "it he she they him her them this that one something someone thing object shape animal creature pet person "
    "man woman figure boy girl child kid guy lady hero flower character subject people building vehicle plant toy "
    "beast pup"
)
"""Words for whatever the subject is."""
SCENERY = word_set(
    "scene scenery background landscape world place setting surroundings environment location view everything "
    "weather season time day night sky light ground land it all sun summer winter spring autumn rain snow dawn "
    "dusk morning evening noon afternoon sunset"
)
"""Words for what is around the subject."""
FACES = word_set(
    "portrait headshot selfie face head mouth lip eye eyebrow brow cheek chin eyelid smile smiling frown frowning wink "
    "winking blink blinking laugh laughing grin pout he she his her him person people man men woman women boy girl "
    "child children kid baby toddler teenager lady gentleman guy king queen prince princess knight wizard witch pirate "
    "soldier sailor astronaut doctor nurse teacher student chef farmer actor actress singer dancer bride groom clown "
    "elf fairy monk nun priest grandmother grandfather grandma grandpa granny mother father mum mom dad sister brother "
    "son daughter friend warrior robot android cyborg statue mask puppet doll vampire zombie mermaid angel viking "
    "samurai geisha cowboy detective policeman firefighter"
)
"""Words of pictures that may show a face."""
PICTURE = word_set("picture image style photo photograph painting drawing frame all everything it scene")

COLOURS = words(
    "red orange yellow green teal blue purple pink brown white gray black grey golden gold silver violet crimson "
    "scarlet turquoise magenta cyan beige ivory navy maroon lavender indigo amber copper bronze emerald lime "
    "olive rainbow-coloured multicoloured colourful colorful"
)
COLOUR_SHADES = ("dark", "light", "pale", "bright", "deep", "pastel", "neon", "soft", "blood", "jet")
ISH = words("reddish orangish yellowish greenish tealish bluish purplish pinkish brownish greyish")
SAME_COLOUR = {"grey": "gray", "gold": "golden"}

PATTERNS = {
    "striped": ("striped", "stripy"),
    "dotted": ("dotted", "spotted", "polka-dot", "polka-dotted"),
    "checkered": ("checkered", "chequered"),
    "plain": ("plain", "plain-coloured"),
}
PATTERN_NOUNS = {
    "striped": ("stripes", "a striped pattern", "stripes all over"),
    "dotted": ("dots", "polka dots", "spots", "a dotted pattern"),
    "checkered": ("checks", "squares", "a checkered pattern", "a chequered pattern", "a checkerboard pattern"),
    "plain": ("a plain surface",),
}
SIZES = _and(
    SIZE_WORDS,
    {
        "small": ("smaller", "minuscule"),
        "large": ("larger", "bigger", "giant", "gigantic", "enormous"),
    },
)
PLAIN_SIZE = {"smaller": "small", "larger": "large", "bigger": "big"}

# Adjectives that exclude one another; an age replaces an age.
QUALITIES = {
    "age": words("young old elderly ancient new aged older younger middle-aged"),
    "mood": words("happy sad angry cheerful gloomy calm scared surprised smiling crying frowning excited tired"),
    "height": words("tall short taller shorter"),
    "girth": words("thin fat slim thick fatter thinner"),
    "light": words("bright dark glowing dim shining shiny lit brighter darker"),
    "wetness": words("wet dry"),
    "heat": words("hot cold frozen icy burning molten"),
    "opening": words("open closed"),
    "filling": words("empty full"),
    "state": words("clean dirty broken intact ruined rusty whole cracked abandoned dead alive withered"),
    "leaves": words("bare leafy green-leaved blooming blossoming"),
    "waking": words("asleep awake sleeping sleepy"),
    "length": words("long curly straight wavy bald"),
    "coat": words("fluffy furry shaggy smooth"),
    "beauty": words("beautiful ugly"),
}
PLAIN_QUALITY = {
    "older": "old",
    "younger": "young",
    "taller": "tall",
    "shorter": "short",
    "brighter": "bright",
    "darker": "dark",
    "fatter": "fat",
    "thinner": "thin",
}

# noun -> (value, phrase)
SETTINGS = {
    "meadow": ("meadow", "in a meadow"),
    "field": ("meadow", "in a field"),
    "grass": ("meadow", "on the grass"),
    "desert": ("desert", "in the desert"),
    "sand": ("desert", "on the sand"),
    "dunes": ("desert", "among dunes"),
    "sea": ("sea", "by the sea"),
    "seaside": ("sea", "by the sea"),
    "ocean": ("sea", "on the ocean"),
    "city": ("city", "in the city"),
    "town": ("city", "in a town"),
    "street": ("city", "on a street"),
    "mountains": ("mountains", "in the mountains"),
    "forest": ("forest", "in a forest"),
    "woods": ("forest", "in the woods"),
    "jungle": ("jungle", "in the jungle"),
    "beach": ("beach", "on the beach"),
    "park": ("park", "in a park"),
    "garden": ("garden", "in a garden"),
    "village": ("village", "in a village"),
    "valley": ("valley", "in a valley"),
    "hill": ("hill", "on a hill"),
    "lake": ("lake", "by a lake"),
    "river": ("river", "by a river"),
    "swamp": ("swamp", "in a swamp"),
    "farm": ("farm", "on a farm"),
    "island": ("island", "on an island"),
    "countryside": ("countryside", "in the countryside"),
    "room": ("room", "in a room"),
    "kitchen": ("kitchen", "in a kitchen"),
    "space": ("space", "in space"),
    "outer space": ("space", "in outer space"),
}
SETTING_NOUN = "|".join(sorted(map(str, SETTINGS), key=len, reverse=True))

TIMES = _and(
    TIME_WORDS,
    {
        "night": ("late at night", "in the late evening", "at midnight"),
        "dawn": ("before dawn", "after dawn", "before sunrise", "after sunrise"),
        "morning": ("in the early morning",),
        "noon": ("before noon", "after noon", "during the day", "in daylight"),
        "afternoon": ("in the late afternoon",),
        "sunset": ("before sunset", "after sunset"),
        "dusk": ("in the evening", "before dusk", "after dusk"),
    },
)
# noun -> (value, phrase)
TIME_NOUNS = {
    "night": ("night", "at night"),
    "nighttime": ("night", "at night"),
    "night-time": ("night", "at night"),
    "nightfall": ("night", "at night"),
    "darkness": ("night", "at night"),
    "midnight": ("night", "at midnight"),
    "day": ("noon", "by day"),
    "daytime": ("noon", "by day"),
    "daylight": ("noon", "by day"),
    "dawn": ("dawn", "at dawn"),
    "sunrise": ("dawn", "at sunrise"),
    "daybreak": ("dawn", "at daybreak"),
    "morning": ("morning", "in the morning"),
    "noon": ("noon", "at noon"),
    "midday": ("noon", "at midday"),
    "afternoon": ("afternoon", "in the afternoon"),
    "sunset": ("sunset", "at sunset"),
    "sundown": ("sunset", "at sundown"),
    "evening": ("dusk", "in the evening"),
    "dusk": ("dusk", "at dusk"),
    "twilight": ("dusk", "at twilight"),
}
SEASON_NOUNS = {"spring": "spring", "springtime": "spring", "summer": "summer", "summertime": "summer"} | {
    "autumn": "autumn",
    "fall": "autumn",
    "winter": "winter",
    "wintertime": "winter",
}
SEASONS = {
    name: (f"in {name}", f"in the {name}", f"on a {name} day", f"during {name}")
    for name in ("spring", "summer", "autumn")
}
PLACES = _and(
    PLACE_WORDS,
    {
        "left": ("at the left", "on the left side", "to the left side"),
        "right": ("at the right", "on the right side", "to the right side"),
        "half left": ("a little to the left",),
        "half right": ("a little to the right",),
    },
)
RAIN = _and(
    RAIN_WORDS,
    {
        "steady": ("in rain", "on a rainy day"),
        "heavy": ("in a storm", "in a thunderstorm", "in a rainstorm"),
    },
)
SNOWFALL = _and(
    SNOWFALL_WORDS,
    {
        "steady": ("on a snowy day",),
        "heavy": ("in a blizzard",),
    },
)
SNOW = _and(
    SNOW_WORDS,
    {
        "deep": ("covered with snow", "in the snow", "blanketed in snow"),
    },
)
SKY = _and(
    SKY_WORDS,
    {
        "clear": ("under a blue sky", "on a sunny day", "in the sunshine", "under a clear blue sky"),
        "overcast": ("under a dark sky", "under a stormy sky"),
        "starry": ("under a starry sky", "under the stars"),
    },
)
FOG = {"fog": ("in the fog", "in fog", "in the mist", "in mist", "in thick fog")}

# Styles: last word of the noun phrase -> value; what stands before it belongs to the style.
STYLE_NOUNS = {
    "watercolour": "watercolour",
    "watercolor": "watercolour",
    "watercolour painting": "watercolour",
    "watercolor painting": "watercolour",
    "flat drawing": "flat",
    "flat illustration": "flat",
    "pencil sketch": "sketch",
    "pencil drawing": "sketch",
    "sketch": "sketch",
} | {
    name: name
    for name in [
        "oil painting",
        "painting",
        "photo",
        "photograph",
        "cartoon",
        "comic",
        "mosaic",
        "drawing",
        "illustration",
        "engraving",
        "woodcut",
        "portrait",
        "close-up",
        "picture",
        "render",
        "collage",
        "print",
        "painting in oil",
        "fresco",
        "cartoon drawing",
        "line drawing",
    ]
}
STYLE_NOUN = "|".join(sorted(map(str, STYLE_NOUNS), key=len, reverse=True))

# Words that one adjective of the day or the season stands for: kind -> phrase, None takes the kind away.
Settled = tuple[tuple[str, str | None], ...]
DRY: Settled = (("rain", None), ("snowfall", None))
SNOWING: Settled = (("rain", None), ("snowfall", "in falling snow"), ("sky", None))
RAINING: Settled = (("snowfall", None), ("rain", "in the rain"), ("sky", None))
STORMING: Settled = (("snowfall", None), ("rain", "in heavy rain"), ("sky", None))
WINTER: Settled = (("snow", "covered in snow"),)
SUMMER: Settled = (("snowfall", None), ("snow", None))
AIR: dict[str, Settled] = {
    "snowy": (*SNOWING, *WINTER),
    "snow": SNOWING,
    "snowfall": SNOWING,
    "snowstorm": (("rain", None), ("snowfall", "in a snowstorm"), ("sky", None)),
    "blizzard": (("rain", None), ("snowfall", "in a blizzard"), ("sky", None)),
    "rainy": RAINING,
    "rain": RAINING,
    "storm": STORMING,
    "stormy": STORMING,
    "thunderstorm": (("snowfall", None), ("rain", "in a thunderstorm"), ("sky", None)),
    "downpour": STORMING,
    "drizzle": (("snowfall", None), ("rain", "in a drizzle"), ("sky", None)),
    "clear": (*DRY, ("sky", "under a clear sky")),
    "sunny": (*DRY, ("sky", "under a clear sky")),
    "sunshine": (*DRY, ("sky", "under a clear sky")),
    "cloudy": (("sky", "under a cloudy sky"),),
    "overcast": (("sky", "under an overcast sky"),),
    "gloomy": (("sky", "under an overcast sky"),),
    "starry": (("sky", "under a starry sky"),),
    "foggy": (("fog", "in the fog"),),
    "fog": (("fog", "in the fog"),),
    "misty": (("fog", "in the mist"),),
    "mist": (("fog", "in the mist"),),
    "wintry": WINTER,
}
AIR_FILLERS = word_set(
    "a an the of and full beautiful dark cold warm hot quiet moonlit golden bright calm sky weather day in"
)

# Verbs of pose and movement: they need no object, and their -ing form can stand after a noun.
MOTIONS = word_set(
    "howl roar wilt pop hatch erupt grin chirp buzz swirl twirl creep sprint skip twinkle splash drip boil "
    "jump sit stand walk run fly swim dance smile laugh cry wave nod look turn lie sleep crawl climb fall leap "
    "hop bounce spin rotate swing sway roll float drift slide glide ride kneel bow stretch yawn bark meow eat "
    "drink read sing play fight kick throw catch lift raise lower open close wink blink frown point reach bend "
    "lean crouch gallop trot stalk pounce flap soar dive land hover glow burn bloom blossom wither melt crash "
    "rise sink flow ripple shake tremble wag light hold carry push pull pick blow breathe speak talk sail drive "
    "travel race rush march step shout scream hug kiss clap cheer rest wake flicker sparkle shine explode "
    "collapse crumble rustle scatter gather flutter"
)
MOVES = word_set("move go drift roll slide float glide shift travel fly walk run swim hop jump sail drive")
PLACE_ONLY = word_set("move go drift roll slide float glide shift travel")
IRREGULAR = {"lie": "lying", "die": "dying", "tie": "tying", "has": "have", "is": "be"}
ING_NOUNS = word_set(
    "building king ring wing wedding painting evening morning ceiling clothing string spring swing thing "
    "something being sibling duckling darling lightning railing sling pudding earring everything dumpling"
)
