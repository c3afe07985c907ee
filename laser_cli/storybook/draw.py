"""Draws scenes: batched, resolution-independent, on any device.

A picture is composed back to front: sky, land, shadow and subject, weather; then the style is applied to the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from laser_cli.storybook.backdrop import land, sky
from laser_cli.storybook.canvas import Canvas
from laser_cli.storybook.effects import styled, weather
from laser_cli.storybook.look import SHIPPED, Look
from laser_cli.storybook.scenes import Scene
from laser_cli.storybook.subject import subject


def draw(
    scenes: Sequence[Scene], size: int | None = None, device: torch.device | str = "cpu", look: Look = SHIPPED
) -> Tensor:
    """Pictures of the scenes, float32 [n, 3, size, size] in 0..1; of the look's size unless one is given."""
    return draw_with_masks(scenes, size, device, look)[0]


def draw_with_masks(
    scenes: Sequence[Scene], size: int | None = None, device: torch.device | str = "cpu", look: Look = SHIPPED
) -> tuple[Tensor, Tensor]:
    """Pictures and the subjects' coverage, [n, 3, size, size] and [n, 1, size, size], both in 0..1."""
    canvas = Canvas(scenes, size or look.size, torch.device(device), look)
    picture, mask = subject(canvas, land(canvas, sky(canvas)))
    return styled(canvas, weather(canvas, picture)).clamp(0, 1), mask
