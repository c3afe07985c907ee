"""The anchors-and-frames loop on the embedded model at a few steps."""

import pytest
import torch
from laser_cli.engine.hooks import attention, plain

from laser_cli.engine.invert import Trajectory
from laser_cli.engine.render import Between, Keyframe, Manner, Score, State, evaluations, render
from laser_cli.engine.sample import denoise
from laser_cli.engine.schedule import noise_like

STEPS = 4


@pytest.fixture(scope="module")
def score(storybook):
    """A made-up stored trajectory: the way back to it is anything but what the model would do by itself."""
    levels = storybook.schedule.levels(STEPS)
    z = [noise_like((storybook.vae.config.latent_channels, 16, 16), i) for i in range(STEPS + 1)]
    states = storybook.encode_prompts(
        ["a red ball in a meadow", "a blue ball in a meadow", "a blue cube in the desert"]
    )
    source = Trajectory(torch.stack(z), states[:1])
    keyframes = [Keyframe(states[:1], 0.8, 0.0), Keyframe(states[1:2], 0.8, 0.0), Keyframe(states[2:], 0.0, 0.6)]
    frames = [Between(1, t) for t in (0.25, 0.5, 0.75)] + [Between(2, t) for t in (0.3, 0.6)]
    return levels, Score(source, keyframes, frames)


@torch.inference_mode()
def finished(model, levels, score, manner):
    before, out, rows = model.rows, {}, 0
    for step in render(model.unet, model.eps, levels, score, manner):
        rows += step.rows
        if step.drawn is not None:
            for i, one in enumerate(step.drawn.latents):
                out["key", step.drawn.keyframe] = one
                if step.drawn.keyframe < 0:
                    del out["key", -1]
                    out["frame", step.drawn.first + i] = one
    assert rows == model.rows - before
    return out


@pytest.mark.parametrize("guidance", [1.0, 4.0, 30.0])
def test_the_source_is_its_stored_trajectory_at_any_guidance(storybook, score, guidance):
    levels, s = score
    out = finished(storybook, levels, s, Manner(guidance))
    assert torch.allclose(out["key", 0], s.source.latents[0], atol=1e-5)


def test_chunk_size_does_not_change_a_frame(storybook, score):
    levels, s = score
    one, many = (finished(storybook, levels, s, Manner(3.0, chunk=c)) for c in (1, 8))
    assert one.keys() == many.keys() and len(one) == 8
    for key, latents in one.items():
        assert torch.allclose(latents, many[key], atol=2e-3), key


@pytest.mark.parametrize("warmup", [0.5, 1.0])
def test_a_frame_at_the_end_of_its_segment_is_the_keyframe(storybook, score, warmup):
    levels, s = score
    ends = Score(s.source, s.keyframes, [Between(1, 1.0), Between(2, 0.0), Between(2, 1.0)])
    out = finished(storybook, levels, ends, Manner(3.0, warmup))
    for frame, keyframe in ((0, 1), (1, 1), (2, 2)):
        assert torch.allclose(out["frame", frame], out["key", keyframe], atol=2e-3)


def test_a_frame_just_after_the_source_is_close_to_it(storybook, score):
    levels, s = score
    near = Score(s.source, s.keyframes, [Between(1, 1e-4), Between(1, 0.9)])
    out = finished(storybook, levels, near, Manner(7.5))
    gap = lambda k: float((out["frame", k] - s.source.latents[0]).abs().max())  # noqa: E731
    assert gap(0) < 0.05 < gap(1)


def test_memory_of_a_step_does_not_outlive_it_and_evaluations_are_as_promised(storybook, score):
    levels, s = score
    before = storybook.rows
    finished(storybook, levels, s, Manner(3.0))
    assert storybook.rows - before == evaluations(8, STEPS, 3.0) == STEPS * (1 + 7 * 2)
    before = storybook.rows
    finished(storybook, levels, s, Manner(1.0))
    assert storybook.rows - before == evaluations(8, STEPS, 1.0) == STEPS * 8


def test_without_injection_and_interpolation_a_keyframe_is_plain_guided_sampling(storybook, score):
    levels, s = score
    states = s.keyframes[1].states
    alone = Score(s.source, [Keyframe(s.source.states), Keyframe(states)], [])
    out = finished(storybook, levels, alone, Manner(3.0))
    with torch.inference_mode():
        *_, expected = denoise(storybook.eps, s.source.noise, levels, states, s.source.states, 3.0)
    assert torch.allclose(out["key", 1], expected[0], atol=2e-3)


def test_the_processors_are_restored_when_the_render_is_abandoned(storybook, score):
    levels, s = score
    before = dict(storybook.unet.attn_processors)
    with torch.inference_mode():
        steps = render(storybook.unet, storybook.eps, levels, s, Manner())
        next(steps)
        assert storybook.unet.attn_processors != before
        steps.close()
    assert storybook.unet.attn_processors == before


def test_hooked_plain_attention_changes_nothing(storybook, score):
    levels, s = score
    with torch.inference_mode():
        expected = storybook.eps(s.source.noise, levels[0], s.source.states)
        with attention(storybook.unet, plain):
            assert torch.allclose(storybook.eps(s.source.noise, levels[0], s.source.states), expected, atol=1e-4)


def test_going_on_from_any_step_gives_the_same_pictures(storybook, score):
    levels, s = score
    whole, states = {}, []
    with torch.inference_mode():
        for step in render(storybook.unet, storybook.eps, levels, s, Manner(3.0)):
            if step.state:
                states.append(State(step.state.done, step.state.anchors.clone(), step.state.frames.clone()))
            if step.drawn:
                whole[step.drawn.keyframe, step.drawn.first] = step.drawn.latents.clone()
        assert [state.done for state in states] == list(range(1, STEPS))
        for state in states:
            before, again = storybook.rows, {}
            for step in render(storybook.unet, storybook.eps, levels, s, Manner(3.0), state):
                if step.drawn:
                    again[step.drawn.keyframe, step.drawn.first] = step.drawn.latents.clone()
            assert storybook.rows - before == evaluations(8, STEPS - state.done, 3.0)
            assert again.keys() == whole.keys()
            assert all(torch.equal(again[key], whole[key]) for key in whole)


def test_when_memory_runs_out_smaller_chunks_go_on_to_the_same_pictures(storybook, score):
    levels, s = score
    expected = finished(storybook, levels, s, Manner(3.0, chunk=8))

    class Small:
        """A card that has room for four rows."""

        unet = storybook.unet
        rows = 0

        def eps(self, x, level, states):
            if len(x) > 5:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
            self.rows += len(x)
            return storybook.eps(x, level, states)

    out = finished(Small(), levels, s, Manner(3.0, chunk=8))
    assert out.keys() == expected.keys()
    assert all(torch.allclose(out[key], expected[key], atol=2e-3) for key in out)


def test_when_not_even_one_frame_fits_the_error_comes_through(storybook, score):
    levels, s = score

    def eps(x, level, states):
        if len(x) != 5:  # the anchors' batch fits
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return storybook.eps(x, level, states)

    with torch.inference_mode(), pytest.raises(RuntimeError, match="allocate memory"):
        list(render(storybook.unet, eps, levels, s, Manner(3.0)))
