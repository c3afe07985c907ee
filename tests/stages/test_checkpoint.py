"""A render that was broken off goes on to the same pictures."""

import itertools

import numpy as np
import pytest

from laser_cli.engine.spec import SamplingParams
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages import checkpoint
from laser_cli.stages.animate import animate
from laser_cli.stages.checkpoint import Checkpointer
from laser_cli.stages.distances import rms
from laser_cli.stages.invert import invert_picture

SOURCE = "a red ball in a meadow at noon"
PLAN = Plan(source=SOURCE, segments=(Segment(prompt="a blue ball in a meadow at noon", frames=20),))


@pytest.fixture
def checkpointer(tmp_path):
    """Saves after every step: its clock leaps by a saving's interval at every look."""
    ticks = itertools.count(step=checkpoint.EVERY)
    return lambda key="k": Checkpointer(tmp_path / ".a.mp4.laser-render", key, lambda: float(next(ticks)))


@pytest.fixture(scope="module")
def inversion(storybook, red_ball):
    return invert_picture(storybook, red_ball, SOURCE, 3)


def frames(storybook, inversion, checkpointer=None, report=lambda rows: None):
    return [
        p.array
        for p in animate(storybook, PLAN, inversion, SamplingParams(3.0, batch_size=7), None, report, rms, checkpointer)
    ]


@pytest.fixture(scope="module")
def whole(storybook, inversion):
    return frames(storybook, inversion)


# 45 evaluations draft the pace, 117 render, of which 39 make the first state
@pytest.mark.parametrize("broken_after", [90, 110, 140])
def test_broken_off_anywhere_it_ends_in_the_same_pictures(storybook, inversion, whole, checkpointer, broken_after):
    done = 0

    def report(rows):
        nonlocal done
        done += rows
        if done > broken_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frames(storybook, inversion, checkpointer(), report)
    before = storybook.nfe
    again = frames(storybook, inversion, checkpointer())
    assert storybook.nfe - before < 117
    assert all(np.array_equal(a, b) for a, b in zip(whole, again, strict=True))


def test_what_another_run_saved_is_not_used(storybook, inversion, checkpointer):
    frames(storybook, inversion, checkpointer("one"))
    assert checkpointer("one").path.exists()
    assert checkpointer("two").load(storybook.device, 18) is None
    assert checkpointer("one").load(storybook.device, 19) is None
    checkpointer("one").path.write_bytes(b"half a file")
    assert checkpointer("one").load(storybook.device, 18) is None
    checkpointer("one").discard()
    assert not checkpointer("one").path.exists()
