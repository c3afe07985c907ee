"""Renders whose source's subject moves, and those that are guided away from the empty prompt in part."""

from dataclasses import replace

import pytest
import torch

from laser_cli.controls import aid
from laser_cli.controls.carry import Carried, Carry
from laser_cli.engine.spec import Frame, Keyframe, RenderSpec, SamplingParams
from tests.engine.toy import close, finished, keyframe, told, went_on

MASK = torch.zeros(1, 1, 8, 8)
MASK[..., 2:6, 1:3] = 1


def carried(shift, frames=(), held=0.4, around=True, share=0.0):
    """A source, and a keyframe in which its subject is ``shift`` further right, and a share of the noise fresh."""
    source = replace(keyframe(0, pinned=True), carried=Carried(0.0, 1.0, True))
    behind, fresh = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    carry = Carry(MASK, behind, fresh)
    how = Carried(shift, held, around, share)
    end = Keyframe(carry.noise(source.noise, how), told(1), carried=how)
    return RenderSpec([source, end], list(frames), source.conditioning, source=0, carry=carry)


def test_around_the_subjects_places_all_stays_the_source(tiny):
    keyframes, frames = finished(tiny, carried(3, [Frame(0, 0.5)]), SamplingParams(3.0, 0.0))
    for made in (keyframes[1], frames[0]):
        assert torch.equal(made[..., 7], keyframes[0][..., 7]) and torch.equal(made[:, 0], keyframes[0][:, 0])
        assert not close([made[:, 2:6]], [keyframes[0][:, 2:6]])


def test_frames_without_a_move_are_drawn_as_ever(tiny):
    still = carried(0, [Frame(0, 0.5)])
    plain = replace(still, carry=None)
    params = SamplingParams(3.0, 0.5)
    assert all(close(a, b) for a, b in zip(finished(tiny, still, params), finished(tiny, plain, params), strict=True))


def test_a_subject_held_to_the_end_is_the_source_s_own_elsewhere(tiny):
    keyframes, _ = finished(tiny, carried(3, held=1.0), SamplingParams(3.0, 0.0))
    assert torch.allclose(keyframes[1][:, 2:6, 4:6], keyframes[0][:, 2:6, 1:3], atol=1e-4)


def test_a_frame_begins_with_its_own_move(tiny):
    spec = carried(4, [Frame(0, 0.25), Frame(0, 0.75)])
    source = spec.keyframes[0].noise
    assert [spec.carried(frame).shift for frame in spec.frames] == [1.0, 3.0]
    for frame in spec.frames:
        assert torch.equal(spec.noise(frame), spec.carry.noise(source, Carried(4 * frame.t)))


def test_the_fresh_share_of_a_frames_noise_grows_with_t_as_without_a_move(tiny):
    frames = [Frame(0, t) for t in (0.0, 0.25, 1.0)]
    spec = carried(0, frames, share=0.8)
    source, end = (keyframe.noise for keyframe in spec.keyframes)
    assert torch.equal(spec.noise(frames[0]), source) and torch.equal(spec.noise(frames[2]), end)
    assert torch.allclose(spec.noise(frames[1]), aid.slerp(source, spec.carry.fresh, 0.2))
    assert torch.allclose(spec.noise(frames[1]), replace(spec, carry=None).noise(frames[1]), atol=0.05)


def test_a_render_that_goes_on_comes_to_the_same_pictures(tiny):
    spec, params = carried(3, [Frame(0, 0.5)]), SamplingParams(2.0, 0.5)
    _, whole = finished(tiny, spec, params)
    assert torch.equal(went_on(tiny, spec, params, 1), whole[0])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_guidance_leads_away_from_the_base_or_from_the_blank_prompt(tiny, share):
    source, params = keyframe(0, pinned=True), SamplingParams(3.0, 0.0)
    end = Keyframe(source.noise, told(1), blank=share)
    mixed = RenderSpec([source, end], [], source.conditioning, source=0, blank=told(2))
    base = told(2) if share else source.conditioning
    plain = replace(mixed, keyframes=[source, replace(end, blank=0.0)], blank=None, base=base)
    assert close(finished(tiny, mixed, params)[0][1:], finished(tiny, plain, params)[0][1:])


def test_frames_are_guided_away_from_a_share_of_the_blank_prompt_that_grows_with_t(tiny):
    source, params = keyframe(0, pinned=True), SamplingParams(3.0, 0.0)
    end = Keyframe(source.noise, told(1), blank=0.5)
    mixed = RenderSpec([source, end], [Frame(0, t) for t in (0.0, 0.5, 1.0)], source.conditioning, None, blank=told(2))
    rows = mixed.told(0, 0, torch.tensor([0.0, 0.5, 1.0]))
    away = mixed.away_from(rows, torch.tensor([0.0, 0.25, 0.5])).prompt_embeds
    base, blank = source.conditioning.prompt_embeds, told(2).prompt_embeds
    for row, share in zip(away, (0.0, 0.25, 0.5), strict=True):
        assert torch.allclose(row, torch.lerp(base, blank, share)[0])
    keyframes, frames = finished(tiny, replace(mixed, source=0), params)
    assert close(frames[:1], keyframes[:1]) and close(frames[2:], keyframes[1:])
