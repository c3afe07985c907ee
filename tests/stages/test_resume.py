"""A render that was broken off goes on to the same pictures."""

import itertools

import numpy as np
import pytest

from laser_cli.engine.render import Manner
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages import resume
from laser_cli.stages.animate import animate
from laser_cli.stages.distances import rms
from laser_cli.stages.invert import invert_picture
from laser_cli.stages.resume import Keeper

SOURCE = "a red ball in a meadow at noon"
PLAN = Plan(source=SOURCE, segments=(Segment(prompt="a blue ball in a meadow at noon", frames=20),))


@pytest.fixture
def keeper(tmp_path):
    """Saves after every step: its clock leaps by a saving's interval at every look."""
    ticks = itertools.count(step=resume.EVERY)
    return lambda key="k": Keeper(tmp_path / ".a.mp4.laser-render", key, lambda: float(next(ticks)))


@pytest.fixture(scope="module")
def inversion(storybook, red_ball):
    return invert_picture(storybook, red_ball, SOURCE, 3)


def frames(storybook, inversion, keeper=None, report=lambda rows: None):
    return [p.array for p in animate(storybook, PLAN, inversion, Manner(3.0, chunk=7), None, report, rms, keeper)]


@pytest.fixture(scope="module")
def whole(storybook, inversion):
    return frames(storybook, inversion)


# 15 evaluations draft the pace, 117 render
@pytest.mark.parametrize("broken_after", [60, 100, 125])
def test_broken_off_anywhere_it_ends_in_the_same_pictures(storybook, inversion, whole, keeper, broken_after):
    done = 0

    def report(rows):
        nonlocal done
        done += rows
        if done > broken_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frames(storybook, inversion, keeper(), report)
    before = storybook.rows
    again = frames(storybook, inversion, keeper())
    assert storybook.rows - before < 117
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))


def test_what_another_run_saved_is_not_used(storybook, inversion, keeper):
    frames(storybook, inversion, keeper("one"))
    assert keeper("one").path.exists()
    assert keeper("two").load(storybook.device, 18) is None
    assert keeper("one").load(storybook.device, 19) is None
    keeper("one").path.write_bytes(b"half a file")
    assert keeper("one").load(storybook.device, 18) is None
    keeper("one").forget()
    assert not keeper("one").path.exists()
