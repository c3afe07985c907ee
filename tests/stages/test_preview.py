"""Previews while a render is under way."""

import numpy as np

from laser_cli.engine.spec import SamplingParams
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages import preview
from laser_cli.stages.animate import animate
from laser_cli.stages.invert import invert_picture
from laser_cli.stages.preview import PreviewWriter

SOURCE = "a red ball in a meadow at noon"


def test_what_is_shown_comes_closer_to_what_it_becomes(storybook, red_ball):
    inversion = invert_picture(storybook, red_ball, SOURCE, 5)
    plan = Plan(source=SOURCE, segments=(Segment(prompt="a blue ball in a meadow at noon", frames=12),))
    shown, ticks = [], iter(range(0, 1000, int(preview.EVERY)))
    writer = PreviewWriter(shown.append, lambda: float(next(ticks)))
    drawn = list(animate(storybook, plan, inversion, SamplingParams(3.0), pace=None, preview=writer))
    assert len(shown) == 4  # after every step but the last
    assert [index for index, _ in shown[0]] == [0, 2, 3, 5, 6, 8, 9, 11]
    far = [np.mean([np.abs(a.astype(float) - drawn[i].array).mean() for i, a in sheet]) for sheet in shown]
    assert far[-1] < far[0]


def test_it_looks_only_now_and_then(storybook, red_ball):
    inversion = invert_picture(storybook, red_ball, SOURCE, 4)
    plan = Plan(source=SOURCE, segments=(Segment(prompt="a blue ball", frames=3),))
    shown = []
    list(
        animate(
            storybook, plan, inversion, SamplingParams(), pace=None, preview=PreviewWriter(shown.append, lambda: 0.0)
        )
    )
    assert len(shown) == 1
