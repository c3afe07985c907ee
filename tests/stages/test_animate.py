"""From a plan and a picture to frames."""

import numpy as np
import pytest
import torch

from laser_cli.engine.spec import SamplingParams
from laser_cli.measure.pictures import psnr
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import animate, compose, generate
from laser_cli.stages.invert import invert_picture, to_tensor

SOURCE = "a red ball in a meadow at noon"


@pytest.fixture(scope="module")
def inversion(storybook, red_ball):
    return invert_picture(storybook, red_ball, SOURCE, 6)


def plan(*segments):
    return Plan(source=SOURCE, segments=tuple(Segment(**s) for s in segments))


@pytest.mark.parametrize("guidance", [1.0, 5.0, 15.0])
@pytest.mark.parametrize("control", ["texture", "motion", "hybrid", "hold"])
def test_frame_0_is_the_round_trip(storybook, red_ball, inversion, guidance, control):
    drawn = list(
        animate(
            storybook,
            plan({"prompt": "a blue ball in a meadow at night", "frames": 3, "control": control}),
            inversion,
            SamplingParams(guidance),
        )
    )
    trip = storybook.decode(inversion.trajectory.latents[:1])
    picture = to_tensor(red_ball)
    assert [p.index for p in drawn] == [0, 1, 2]
    assert abs(psnr(to_tensor(drawn[0].array), picture) - psnr(trip, picture)) < 0.1


def test_the_input_itself_is_frame_0_if_asked(storybook, red_ball, inversion):
    drawn = next(
        iter(
            animate(
                storybook,
                plan({"prompt": "a blue ball", "frames": 2}),
                inversion,
                SamplingParams(),
                exact_first=red_ball,
            )
        )
    )
    assert drawn.index == 0 and np.array_equal(drawn.array, red_ball)


def test_segments_share_their_keyframe_and_frames_come_in_order(storybook, inversion):
    p = plan(
        {"prompt": "a blue ball", "frames": 4},
        {"prompt": "a blue cube", "frames": 2, "control": "hybrid"},
        {"prompt": "a cube", "frames": 3, "control": "hold"},
    )
    drawn = [x.index for x in animate(storybook, p, inversion, SamplingParams(batch_size=2))]
    assert drawn == list(range(p.total_frames)) == list(range(7))


def test_hybrid_lets_go_of_the_source_and_texture_keeps_it(storybook, inversion):
    hybrid = compose(storybook, plan({"prompt": "a cat", "frames": 3, "control": "hybrid", "strength": 0.5}), inversion)
    assert hybrid.keyframes[0].strengths == {"texture": 0.5, "motion": 0.5}
    assert hybrid.keyframes[1].strengths == {"texture": 0, "motion": 0}
    texture = compose(storybook, plan({"prompt": "a cat", "frames": 3, "strength": 0.6}), inversion)
    assert [k.strengths for k in texture.keyframes] == [{"texture": 0.6}] * 2


def test_strength_changes_the_picture_and_nothing_is_random(storybook, inversion):
    def end(strength):
        return list(
            animate(
                storybook,
                plan({"prompt": "a blue cube in the desert", "frames": 2, "strength": strength}),
                inversion,
                SamplingParams(),
            )
        )[-1].array

    assert np.array_equal(end(0.9), end(0.9))
    assert not np.array_equal(end(0.9), end(0.1))


def test_report_adds_up_to_the_evaluations_made(storybook, inversion):
    said, before = [], storybook.nfe
    list(
        animate(
            storybook, plan({"prompt": "a blue ball", "frames": 4}), inversion, SamplingParams(), report=said.append
        )
    )
    assert sum(said) == storybook.nfe - before


def test_pictures_from_a_prompt_depend_on_the_seed_alone(storybook):
    a, b = (generate(storybook, SOURCE, 3, 4, 3.0, (128, 128)) for _ in range(2))
    assert np.array_equal(a, b) and a.shape == (128, 128, 3)
    assert not np.array_equal(a, generate(storybook, SOURCE, 4, 4, 3.0, (128, 128)))


def test_sizes_other_than_the_models_own(storybook):
    picture = generate(storybook, SOURCE, 0, 2, 3.0, (96, 136))
    assert picture.shape == (136, 96, 3)
    inversion = invert_picture(storybook, picture, SOURCE, 2)
    assert inversion.trajectory.latents.shape[2:] == (17, 12)
    drawn = list(animate(storybook, plan({"prompt": "a blue ball", "frames": 3}), inversion, SamplingParams()))
    assert all(p.array.shape == (136, 96, 3) for p in drawn)
    assert torch.is_tensor(inversion.trajectory.latents)
