"""What people do to descriptions: typing errors, words that nobody knows, and wishes from outside the world."""

from __future__ import annotations

import random
import re

_SYLLABLES = (
    "bli",
    "dor",
    "fen",
    "gra",
    "lu",
    "mon",
    "nar",
    "pel",
    "qui",
    "ros",
    "sta",
    "tem",
    "vor",
    "wix",
    "yal",
    "zu",
)
_QUALITIES = ("beautiful", "lovely", "old", "shiny", "magic", "strange", "funny", "famous", "cute", "mysterious")
_MANNERS = ("suddenly", "magically", "quietly", "softly", "gently", "quickly", "happily", "mysteriously")
_THINGS = (
    "dragon", "castle", "violin", "astronaut", "teapot", "lighthouse", "waterfall", "train", "robot", "wizard",
    "bicycle", "elephant", "clock", "bridge", "candle", "penguin", "guitar", "statue", "airplane", "river",
    "grandmother", "soldier", "piano", "spider", "lion", "market", "engine", "fountain", "letter", "umbrella",
)  # fmt: skip
_DOINGS = (
    "explodes", "starts to dance", "breathes fire", "opens slowly", "waves goodbye", "begins to sing", "jumps over it",
    "becomes transparent", "crumbles to dust", "starts running", "takes a bow", "blows bubbles", "fills with water",
    "reads a newspaper", "melts into gold", "drinks coffee", "plays chess", "learns to fly", "goes home", "freezes",
)  # fmt: skip
_WHERE = ("in a kitchen", "on a stage", "in a library", "under water", "on the roof", "in a garden", "in space", "")


def mistyped(rng: random.Random, text: str, spare: str = "") -> str:
    """A text with one typing error in a longer word, not within `spare`: swapped, missing, doubled or wrong letters."""
    words = [m for m in re.finditer(r"[a-z]{4,}", text) if m.start() >= len(spare)]
    if not words:
        return text
    word = rng.choice(words)
    i = rng.randrange(word.start() + 1, word.end() - 1)
    changed = rng.choice(
        (text[i + 1] + text[i], text[i + 1], text[i] * 2 + text[i + 1], rng.choice("aeiorstnl") + text[i + 1])
    )
    return text[:i] + changed + text[i + 2 :]


def made_up(rng: random.Random) -> str:
    """A word that does not exist."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 2, 3))))


def embellished(rng: random.Random, text: str, nouns: frozenset[str], spare: str = "") -> str:
    """A text with a word more that changes nothing: a quality of a known thing, or a manner; not within `spare`."""
    places = [m for m in re.finditer(r"(?<=\bthe )[a-z]+", text) if m[0] in nouns and m.start() >= len(spare)]
    if places and rng.random() < 0.7:
        word = rng.choice(_QUALITIES) if rng.random() < 0.5 else made_up(rng)
        at = rng.choice(places).start()
        return f"{text[:at]}{word} {text[at:]}"
    manner = rng.choice(_MANNERS) if rng.random() < 0.6 else made_up(rng) + "ly"
    return f"{text} {manner}" if text[-1:].isalpha() else text


def elsewhere(rng: random.Random) -> tuple[str, str]:
    """A description of things that the world does not hold, and what its picture shows."""
    thing = rng.choice(_THINGS) if rng.random() < 0.7 else made_up(rng)
    other = rng.choice(_THINGS) if rng.random() < 0.7 else made_up(rng)
    one, two = rng.sample(_DOINGS, 2)
    article = "an" if thing[0] in "aeiou" else "a"
    description = rng.choice(
        (
            f"the {thing} {one}",
            f"the {thing} {one} and {two}",
            f"the {thing} {one} while the {other} {two}",
            f"the {thing} turns into the {other}",
            f"the {thing} {one}, then the {other} {two}",
            f"{article} {thing} {one}",
        )
    )
    return description, f"{article} {thing} {rng.choice(_WHERE)}".strip()
