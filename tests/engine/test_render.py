"""The render loop: what must not change a picture, and what must."""

import os
import signal
import threading
import time
from dataclasses import replace

import pytest
import torch

from laser_cli.engine.render import nfe, render
from laser_cli.engine.sample import denoise, last
from laser_cli.engine.spec import Frame, RenderSpec, RenderState, SamplingParams
from laser_cli.engine.workers import Workers
from laser_cli.errors import UsageError
from laser_cli.models.base import AttentionCall
from tests.engine.toy import LEVELS, STEPS, animation, close, finished, keyframe, told, trajectory

BOTH = {"texture": 0.8, "motion": 0.6}
TIMES = [Frame(0, t) for t in (0.25, 0.5, 0.75)] + [Frame(1, t) for t in (0.3, 0.6)]


@pytest.fixture(scope="module")
def spec():
    return animation(TIMES, {"texture": 0.8}, BOTH, {"motion": 0.6})


@pytest.mark.parametrize("guidance", [1.0, 4.0, 30.0])
@pytest.mark.parametrize("base", ["source", "negative"])
def test_the_source_is_its_stored_trajectory_at_any_guidance(tiny, spec, guidance, base):
    spec = spec if base == "source" else replace(spec, base=told(99))
    keyframes, _ = finished(tiny, spec, SamplingParams(guidance))
    assert torch.equal(keyframes[0], spec.keyframes[0].trajectory.latents[0])


def test_a_negative_base_changes_the_pictures(tiny, spec):
    ours, theirs = (finished(tiny, s, SamplingParams(4.0))[0] for s in (spec, replace(spec, base=told(99))))
    assert not torch.allclose(ours[1], theirs[1], atol=1e-2)


def test_batch_size_and_workers_do_not_change_a_picture(tiny, spec):
    whole = [x for part in finished(tiny, spec, SamplingParams(3.0, batch_size=64)) for x in part]
    for size, workers in ((1, 1), (2, 1), (3, 2), (12, 2), (2, 3)):
        part = finished(tiny, spec, SamplingParams(3.0, batch_size=size), workers=Workers(workers))
        assert close(whole, [*part[0], *part[1]]), (size, workers)


def test_the_order_of_segments_does_not_change_a_picture(tiny, spec):
    """Frames of the second segment first, and alone."""
    params = SamplingParams(3.0)
    keyframes, frames = finished(tiny, spec, params)
    turned = finished(tiny, replace(spec, frames=[*TIMES[3:], *TIMES[:3]]), params)
    assert close(turned[0], keyframes) and close(turned[1], [*frames[3:], *frames[:3]])
    assert close(finished(tiny, replace(spec, frames=TIMES[4:]), params)[1], frames[4:])


def test_a_strength_of_0_is_the_model_alone(tiny):
    spec = animation([], {"texture": 0.0}, {"texture": 0.0, "motion": 0.0})
    keyframes, _ = finished(tiny, spec, SamplingParams(3.0))
    source = spec.keyframes[0]
    with torch.inference_mode():
        alone = last(denoise(tiny, source.noise, LEVELS, told(1), source.conditioning, 3.0))
    assert torch.allclose(keyframes[1], alone[0], atol=1e-4)


@pytest.mark.parametrize("name", ["texture", "motion"])
def test_every_control_does_something_and_more_of_it_at_a_higher_strength(tiny, name):
    def at(strength):
        spec = animation([Frame(0, 0.5)], {}, {name: strength}, blend=None)
        return finished(tiny, spec, SamplingParams(3.0))

    plain, weak, strong = (at(strength) for strength in (0.0, 0.3, 1.0))
    for part in (0, 1):
        moved = [float((x[part][-1] - plain[part][-1]).norm()) for x in (weak, strong)]
        assert 1e-3 < moved[0] < moved[1]


@pytest.mark.parametrize("warmup", [0.5, 1.0])
def test_a_frame_at_an_end_of_its_segment_is_the_keyframe(tiny, spec, warmup):
    ends = [Frame(0, 0.0), Frame(0, 1.0), Frame(1, 0.0), Frame(1, 1.0)]
    keyframes, frames = finished(tiny, replace(spec, frames=ends), SamplingParams(3.0, warmup))
    assert close(frames, [keyframes[k] for k in (0, 1, 1, 2)])


def test_keyframes_that_are_pictures_are_met_from_both_sides(tiny):
    """A to A and «back to the source»: both ends are held to their trajectories, and frames near them follow."""
    source, other = keyframe(0, pinned=True, texture=0.5), keyframe(1)
    back = RenderSpec([source, other, source], [], source.conditioning, source=0)
    frames = [Frame(0, 0.0), Frame(1, 1.0), Frame(1, 1 - 1e-5), Frame(1, 0.5)]
    keyframes, drawn = finished(tiny, replace(back, frames=frames), SamplingParams(7.5))
    picture = source.trajectory.latents[0]
    assert torch.equal(keyframes[0], picture) and torch.equal(keyframes[2], picture)
    assert close(drawn[:2], [picture, picture]) and torch.allclose(drawn[2], picture, atol=2e-3)
    assert not torch.allclose(drawn[3], picture, atol=0.1)
    still = RenderSpec([source, source], [Frame(0, t) for t in (0.2, 0.5, 0.9)], source.conditioning, source=0)
    assert close(finished(tiny, still, SamplingParams(7.5))[1], [picture] * 3)


@pytest.mark.parametrize("size", [2, 12])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_evaluations_are_as_promised(tiny, spec, guidance, size):
    before = tiny.nfe
    finished(tiny, spec, SamplingParams(guidance, batch_size=size))
    assert tiny.nfe - before == nfe(8, STEPS, guidance, unguided=1) == STEPS * (1 + 7 * (2 if guidance != 1 else 1))


def test_nothing_is_kept_longer_than_its_step(tiny, spec, monkeypatch):
    from laser_cli.engine import render as module

    routers = []
    real = module.AttentionRouter
    monkeypatch.setattr(module, "AttentionRouter", lambda *a: routers.append(real(*a)) or routers[-1])
    with torch.inference_mode():
        most = max(len(routers[0].caches) for _ in render(tiny, LEVELS, spec, SamplingParams(3.0)))
    assert most == 2 and not routers[0].caches


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("size", [2, 12])
def test_going_on_from_any_step_gives_the_same_bits(tiny, spec, size, workers):
    params, states = SamplingParams(3.0, batch_size=size), []
    whole = finished(tiny, spec, params, workers=Workers(workers))
    with torch.inference_mode():
        for step in render(tiny, LEVELS, spec, params, workers=Workers(workers)):
            if step.state:
                states.append(RenderState(step.state.done, step.state.keyframes.clone(), step.state.frames.clone()))
    assert [state.done for state in states] == list(range(1, STEPS))
    for state in states:
        before = tiny.nfe
        again = finished(tiny, spec, params, checkpoint=state, workers=Workers(workers))
        assert tiny.nfe - before == nfe(8, STEPS - state.done, 3.0, unguided=1)
        assert all(torch.equal(a, b) for x, y in zip(whole, again, strict=True) for a, b in zip(x, y, strict=True))


class Small:
    """A card that has room for so many rows."""

    def __init__(self, backbone, room, says="CUDA out of memory. Tried to allocate 2 GiB"):
        self.backbone, self.room, self.says, self.nfe = backbone, room, says, 0
        self.attentions, self.feature_maps = backbone.attentions, backbone.feature_maps

    def predict(self, latents, level, conditioning, hooks=None):
        if len(latents) > self.room:
            raise RuntimeError(self.says)
        self.nfe += len(latents)
        return self.backbone.predict(latents, level, conditioning, hooks)


@pytest.mark.parametrize("room", [2, 4, 5])
def test_when_memory_runs_out_smaller_calls_go_on_to_the_same_pictures(tiny, spec, room):
    params = SamplingParams(3.0, batch_size=8)
    expected = finished(tiny, spec, params)
    out = finished(Small(tiny, room), spec, params)
    assert close(out[0], expected[0]) and close(out[1], expected[1])
    sizes = [step.batch_size for step in render(Small(tiny, 4), LEVELS, spec, params) if step.batch_size]
    assert sizes and sizes == sorted(sizes, reverse=True) and len(sizes) <= 3


def test_when_not_even_one_picture_fits_the_error_comes_through(tiny, spec):
    backbone = Small(tiny, 1, "DefaultCPUAllocator: can't allocate memory")
    with torch.inference_mode(), pytest.raises(RuntimeError, match="allocate memory"):
        list(render(backbone, LEVELS, spec, SamplingParams(3.0)))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_call_comes_through(tiny, spec, workers):
    with torch.inference_mode(), pytest.raises(RuntimeError, match="broken"):
        list(render(Small(tiny, 3, "broken"), LEVELS, spec, SamplingParams(3.0), workers=Workers(workers)))


def test_an_abandoned_render_leaves_the_model_as_it_was(tiny, spec):
    with torch.inference_mode():
        source = spec.keyframes[0]
        expected = tiny.predict(source.noise, LEVELS[0], source.conditioning)
        for workers in (1, 2):
            steps = render(tiny, LEVELS, spec, SamplingParams(batch_size=1), workers=Workers(workers))
            next(steps)
            steps.close()
            again = tiny.predict(source.noise, LEVELS[0], source.conditioning)
            assert all(torch.equal(a, b) for a, b in zip(expected, again, strict=True))


def test_calls_under_way_end_soon_when_a_render_is_abandoned(tiny, spec):
    """Ctrl-C does not wait for the rest of a U-Net that takes minutes."""
    running, waited = threading.Event(), []

    class Slow(Small):
        """Past the first call it computes the same attention again and again, until that is refused."""

        def predict(self, latents, level, conditioning, hooks=None):
            told = super().predict(latents, level, conditioning, hooks)
            if self.nfe > 5 and not waited:
                running.set()
                end = time.monotonic() + 60
                while time.monotonic() < end:
                    call = AttentionCall(tiny.attentions[0], "self", *torch.zeros(3, len(latents), 1, 4, 4))
                    hooks.attend(call)
                waited.append(True)
            return told

    plain = replace(spec, keyframes=[replace(k, strengths={}) for k in spec.keyframes])
    with torch.inference_mode():
        steps = render(Slow(tiny, 99), LEVELS, plain, SamplingParams(warmup=0.0, batch_size=2), workers=Workers(2))
        next(steps)
        threading.Thread(target=lambda: running.wait(60) and os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            list(steps)
    assert running.is_set() and not waited, "a call went on to its end"


def test_layers_that_a_control_does_not_know_are_an_error_before_anything_is_computed(tiny, spec):
    """Never silently «hold»: the picture would not be what was asked for."""

    class Strange:
        attentions = ("transformer_blocks.0.attn",)
        feature_maps = ()
        nfe = 0

        def predict(self, latents, level, conditioning, hooks=None):
            raise AssertionError("something was computed")

    with pytest.raises(UsageError, match="does not know this model's layers"):
        list(render(Strange(), LEVELS, spec, SamplingParams()))
    Strange.attentions = ()
    with pytest.raises(UsageError, match="no attention"):
        list(render(Strange(), LEVELS, animation([], {}, {}), SamplingParams()))


def test_many_keyframes_read_the_source_whatever_the_batch(tiny):
    strengths = [{"texture": 0.7, "motion": 0.2}] * 6
    spec = animation([Frame(k, 0.5) for k in range(5)], *strengths)
    whole = finished(tiny, spec, SamplingParams(3.0))
    for size in (1, 2, 3):
        part = finished(tiny, spec, SamplingParams(3.0, batch_size=size), workers=Workers(2))
        assert close(whole[0], part[0]) and close(whole[1], part[1]), size


def test_the_source_may_stand_anywhere(tiny, spec):
    """The same keyframes in the other direction are the same pictures."""
    params = SamplingParams(3.0)
    keyframes, frames = finished(tiny, spec, params)
    flipped = [Frame(1 - f.segment, 1 - f.t) for f in reversed(spec.frames)]
    turned = finished(tiny, replace(spec, keyframes=spec.keyframes[::-1], frames=flipped, source=2), params)
    assert close(turned[0], keyframes[::-1]) and close(turned[1], frames[::-1])


def test_a_picture_and_its_stored_trajectory_may_have_another_noise_at_each_end(tiny):
    ends = [keyframe(0, pinned=True), keyframe(1, pinned=True)]
    spec = RenderSpec(ends, [Frame(0, 0.0), Frame(0, 1.0)], told(99))
    keyframes, frames = finished(tiny, spec, SamplingParams(6.0))
    pictures = [end.trajectory.latents[0] for end in ends]
    assert close(keyframes, pictures, 1e-6) and close(frames, pictures)
    assert not torch.allclose(trajectory(0).noise, trajectory(1).noise)
