"""From a plan and a picture to frames."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from laser_cli.engine.render import render
from laser_cli.engine.spec import SamplingParams
from laser_cli.measure.pictures import psnr
from laser_cli.models.options import PromptStyle
from laser_cli.plan.schema import Plan, Segment
from laser_cli.stages.animate import Direction, animate, compose, generate
from laser_cli.stages.invert import invert_picture, to_tensor
from laser_cli.stages.wording import unweighted
from tests.stages.test_interpolate import tiny_model

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


@pytest.mark.parametrize("method", ["direct", "fixed-point"])
def test_and_back_again_ends_in_the_picture_itself(method):
    """A segment that leads to the source's prompt ends in the source, and nothing pops on the way there."""
    model = tiny_model()
    y, x = np.mgrid[0:16, 0:16]
    picture = np.stack([8 * x + 60, 12 * y, 255 - 4 * x - 4 * y], axis=-1).clip(0, 255).astype(np.uint8)
    back = plan({"prompt": "a blue ball", "frames": 4}, {"prompt": SOURCE, "frames": 5, "control": "hold"})
    inverted = invert_picture(model, picture, SOURCE, 4, method)
    spec = compose(model, back, inverted)
    assert [keyframe.trajectory is not None for keyframe in spec.keyframes] == [True, False, True]
    near = replace(spec.frames[-1], t=1 - 1e-4)
    drawn = [p.array for p in animate(model, back, inverted, SamplingParams(6.0), picture, pace=None)]
    assert np.array_equal(drawn[0], picture) and np.array_equal(drawn[-1], picture)
    assert not np.array_equal(drawn[3], picture)
    steps = render(model.backbone, model.schedule.levels(4), replace(spec, frames=[near]), SamplingParams(6.0))
    with torch.inference_mode():
        frame = next(s.finished.latents[0] for s in steps if s.finished and s.finished.keyframe < 0)
    assert float((frame - inverted.trajectory.latents[0]).abs().max()) < 0.05


def test_a_negative_prompt_is_what_guidance_leads_away_from_and_frame_0_stays_the_picture():
    model = tiny_model()
    picture = np.full((16, 16, 3), (200, 120, 40), np.uint8)
    asked = plan({"prompt": "a blue ball", "frames": 3})
    inverted = invert_picture(model, picture, SOURCE, 3)
    ways = {
        negative: [
            p.array
            for p in animate(model, asked, inverted, SamplingParams(6.0), picture, direction=Direction(negative))
        ]
        for negative in (None, "", "a cat at night")
    }
    assert all(np.array_equal(frames[0], picture) for frames in ways.values())
    ends = [frames[-1].astype(int) for frames in ways.values()]
    assert all(np.abs(a - b).max() > 1 for i, a in enumerate(ends) for b in ends[:i])


def test_frames_that_are_wanted_are_those_that_they_are_among_all(storybook, red_ball, inversion):
    two = plan({"prompt": "a blue ball", "frames": 4}, {"prompt": "a blue cube", "frames": 4, "control": "hybrid"})
    params = SamplingParams(2.0)
    whole = {p.index: p.array for p in animate(storybook, two, inversion, params, red_ball)}
    some = {p.index: p.array for p in animate(storybook, two, inversion, params, red_ball, wanted={0, 2, 5})}
    assert list(some) == [0, 2, 5]
    for index, array in some.items():
        assert abs(array.astype(int) - whole[index]).max() <= 1  # the batch shows in the last bits


@pytest.mark.parametrize("control", ["words", "local"])
def test_words_tell_how_each_prompt_relates_to_the_sources(storybook, inversion, control):
    spec = compose(storybook, plan({"prompt": "a blue ball", "frames": 3, "control": control}), inversion)
    source, end = (keyframe.words for keyframe in spec.keyframes)
    assert source.mapper.shape == (1, 77, 77) and torch.equal(source.mapper[0], torch.eye(77))
    assert not source.changed.any() and end.changed.sum() >= 1 and end.weights.eq(1).all()
    assert compose(storybook, plan({"prompt": "a blue ball", "frames": 3}), inversion).keyframes[1].words is None


def test_weights_of_words_are_those_of_their_maps_and_not_of_their_embeddings(storybook, inversion):
    weighted = replace(storybook, prompts=PromptStyle(weighted=True))
    two = plan({"prompt": "a (blue:1.5) ball", "frames": 3, "control": "words"})
    end = compose(weighted, two, inversion).keyframes[1]
    assert sorted(set(end.words.weights.flatten().tolist())) == [1, 1.5]
    plain = compose(storybook, plan({"prompt": "a blue ball", "frames": 3}), inversion).keyframes[1]
    assert torch.equal(end.conditioning.prompt_embeds, plain.conditioning.prompt_embeds)
    assert unweighted("a (blue:1.5) \\(small\\) [ball]") == "a blue \\(small\\) ball"


def test_what_changes_in_the_subject_alone_keeps_the_picture_around_it(storybook, inversion):
    def local(prompt, control="texture", local=False):
        two = plan({"prompt": prompt, "frames": 3, "control": control})
        spec = compose(storybook, two, inversion, Direction(local=local))
        return ["words.local" in k.strengths and k.words is not None for k in spec.keyframes]

    assert local("a blue ball in a meadow at noon", local=True) == [True, True]
    assert local("a blue cat in a meadow at noon", "hybrid", local=True) == [True, True]
    for prompt in ("a red ball in a meadow at night", "a large red ball in a meadow at noon", SOURCE):
        assert local(prompt, local=True) == [False, False]
    assert local("a blue ball in a meadow at noon") == [False, False]
    assert local("a blue ball in a meadow at noon", "hold", local=True) == [False, False]
