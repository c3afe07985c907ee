"""Inversion files of others, checked before a model is loaded: what they say, their shapes, and every number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.errors import BadInputError, parsing
from laser_cli.jobs.merge import Layer

if TYPE_CHECKING:
    import numpy as np

AGAIN = "make it again with: laser invert IMAGE -o FILE.safetensors"
LARGEST = 1e4
"""No latent or embedding of any model comes near this."""
MOST_STEPS = 1000
RANKS = {"latents": 4, "states": 3, "prompt_embeds": 3, "pooled": 2, "image_embeds": 3, "mask": 2}
"""Dimensions of the tensors that a file may hold."""


def inversion_layer(file: Path) -> Layer:
    """An animation takes as many steps as its inversion, and is as pinned as that.

    BadInputError unless the file is an inversion whose tensors have the shapes that it says and plausible numbers.
    """
    from safetensors import safe_open

    with parsing(f"cannot read the inversion {file}", hint=AGAIN), safe_open(file, "np") as opened:
        about: dict[str, str] = opened.metadata() or {}
        shapes = {key: opened.get_slice(key).get_shape() for key in opened.keys()}  # noqa: SIM118
    steps = about.get("steps", "")
    if not re.fullmatch(r"[0-9]{1,6}", steps) or "method" not in about or "latents" not in shapes:
        raise BadInputError(f"{file} is not an inversion of laser", hint=AGAIN)
    for key, shape in shapes.items():
        if key not in RANKS or len(shape) != RANKS[key] or 0 in shape:
            raise _damaged(file, f"it holds {key} of the shape {tuple(shape)}")
    if not 1 <= int(steps) <= MOST_STEPS or shapes["latents"][0] != int(steps) + 1:
        raise _damaged(file, f"it says {steps} steps and holds {shapes['latents'][0] - 1}")
    for key in shapes:
        _check_numbers(file, key)
    return Layer(str(file), {"steps": int(steps), "method": about["method"]}, source="inversion")


def _check_numbers(file: Path, key: str) -> None:
    with parsing(f"cannot read the inversion {file}", hint=AGAIN):
        values = _numbers(file, key)
    import numpy as np

    # at once where all is well: a sum over the file tells of every NaN and infinity in it
    for part in values:
        if part.dtype != np.bool_ and not float(np.abs(part.astype(np.float32)).max()) <= LARGEST:
            raise _damaged(file, f"its {key} hold numbers that none can be: not a number, infinite or huge")


def _numbers(file: Path, key: str) -> np.ndarray[Any, Any]:
    """A tensor; numpy knows no bfloat16, which torch reads for it."""
    from safetensors import safe_open

    with safe_open(file, "np") as opened:
        if opened.get_slice(key).get_dtype() != "BF16":
            values: np.ndarray[Any, Any] = opened.get_tensor(key)
            return values
    with safe_open(file, "pt") as opened:
        wide: np.ndarray[Any, Any] = opened.get_tensor(key).float().numpy()
        return wide


def _damaged(file: Path, why: str) -> BadInputError:
    return BadInputError(f"the inversion {file} is damaged", why=why, hint=AGAIN)
