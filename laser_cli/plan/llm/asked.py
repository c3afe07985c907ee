"""What a planner is asked for, and how long and how often it may try."""

from __future__ import annotations

import re
from dataclasses import dataclass

from laser_cli.plan.lexicon import FACES

MOST_KEYFRAMES = 6
"""As many segments as a model may plan: small ones lose their way in more."""
VERSION = "v1"
"""The prompts that real models get."""
TEMPERATURE, TIMEOUT, RETRIES = 0.25, 120.0, 2


@dataclass(frozen=True)
class Asked:
    """A description of change and the limits of planning it; `timeout` in seconds, from the first question on.

    `keyframes` are those after the picture, None leaves them to the planner; so does `easing`. So many `layers` of a
    model go to the GPU, all if None. `prompts` is the version of the prompts; `by_words` holds the answer to the words
    of the description, as far as the rules understand them; `faces` lets the model plan the faces of portraits.
    """

    description: str
    source: str | None = None
    frames: int = 24
    easing: str | None = None
    keyframes: int | None = None
    seed: int = 0
    temperature: float = TEMPERATURE
    timeout: float = TIMEOUT
    retries: int = RETRIES
    layers: int | None = None
    prompts: str = VERSION
    by_words: bool = True
    faces: bool = True

    @property
    def most(self) -> int:
        """As many segments as there may be: each needs a picture of its own."""
        return self.keyframes or max(1, min(MOST_KEYFRAMES, self.frames - 1))

    @property
    def face(self) -> bool:
        """Whether the form has room for a face track: where the words speak of a face or of a person."""
        words = re.findall(r"[a-z]+", f"{self.source or ''} {self.description}".lower())
        return self.faces and any(word in FACES or word.removesuffix("s") in FACES for word in words)
