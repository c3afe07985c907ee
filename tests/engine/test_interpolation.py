"""Interpolation in lockstep, on a tiny random U-Net: against the published batch of three, in any chunks."""

from itertools import pairwise

import pytest
import torch
from laser_cli.engine.between import Bridge, Stop, Way, evaluations, interpolate

from laser_cli.controls.aid import blend_of, slerp
from laser_cli.engine.invert import Trajectory
from laser_cli.engine.render import Between, Manner
from laser_cli.engine.schedule import Schedule, ddim_step, noise_like

STEPS = 4
LEVELS = Schedule.from_config(
    {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
).levels(STEPS)
SHAPE = (4, 8, 8)


class Tiny:
    """A random U-Net as a noise predictor that counts its rows."""

    def __init__(self, unet):
        self.unet, self.rows = unet, 0

    def __call__(self, x, level, states):
        self.rows += len(x)
        return self.unet(x, level.timestep, encoder_hidden_states=states).sample


@pytest.fixture(scope="module")
def tiny(tiny_unet):
    return Tiny(tiny_unet)


def states(seed):
    return torch.randn(1, 5, 12, generator=torch.Generator().manual_seed(seed)) * 3


def way(frames, bridges=(), stops=3, pinned=()):
    made = []
    for k in range(stops):
        noise = noise_like(SHAPE, k)[None]
        trajectory = None
        if k in pinned:
            latents = torch.cat([noise_like(SHAPE, 10 * k + i)[None] for i in range(STEPS)] + [noise])
            trajectory = Trajectory(latents, states(k))
        made.append(Stop(noise, states(k), trajectory))

    def prompting(step, end, t):
        return torch.lerp(made[end - 1].states, made[end].states, t.view(-1, 1, 1))

    return Way(made, frames, states(99), prompting, bridges)


@torch.inference_mode()
def finished(tiny, way, manner, blend):
    keys, frames = {}, []
    before, said = tiny.rows, 0
    for step in interpolate(tiny.unet, tiny, LEVELS, way, manner, blend):
        said += step.rows
        if step.drawn is not None:
            if step.drawn.keyframe >= 0:
                keys[step.drawn.keyframe] = step.drawn.latents[0]
            else:
                assert step.drawn.first == len(frames)
                frames += list(step.drawn.latents)
    assert said == tiny.rows - before
    return keys, frames


def transcription(tiny, way, frame, manner, kind, fused):
    """AID as published: a batch of three [begin, frame, end] through its own loop, one attention at a time."""
    begin, end = way.stops[frame.end - 1], way.stops[frame.end]
    z = torch.stack([begin.noise[0], slerp(begin.noise[0], end.noise[0], frame.t), end.noise[0]])
    middle = (1 - frame.t) * begin.states + frame.t * end.states
    text = torch.cat([begin.states, middle, end.states])

    def attention(q, k, v):
        return torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1) @ v

    class Interpolated:
        def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
            context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
            q, k, v = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
            q, k, v = (x.reshape(3, x.shape[1], attn.heads, -1).transpose(1, 2) for x in (q, k, v))
            outs = []
            for i, t in enumerate((0.0, frame.t, 1.0)):
                blend_k, blend_v = (1 - t) * k[0] + t * k[2], (1 - t) * v[0] + t * v[2]
                beside = (lambda own, other: torch.cat([own, other], 1)) if fused else (lambda own, other: other)
                if kind == "inner":
                    out = attention(q[i], beside(k[i], blend_k), beside(v[i], blend_v))
                else:
                    out = (1 - t) * attention(q[i], beside(k[i], k[0]), beside(v[i], v[0]))
                    out = out + t * attention(q[i], beside(k[i], k[2]), beside(v[i], v[2]))
                outs.append(out)
            out = torch.stack(outs).transpose(1, 2).flatten(2)
            return attn.to_out[0](out)

    plain = dict(tiny.unet.attn_processors)
    for i, level in enumerate(LEVELS):
        uncond = tiny(z, level, way.negative.expand(3, -1, -1))
        if i < int(STEPS * manner.warmup):
            tiny.unet.set_attn_processor(Interpolated())
        cond = tiny(z, level, text)
        tiny.unet.set_attn_processor(dict(plain))
        z = ddim_step(z, uncond + manner.guidance * (cond - uncond), level.alpha, level.alpha_prev)
    return z


@pytest.mark.parametrize("kind", ["outer", "inner"])
@pytest.mark.parametrize("fused", [True, False])
def test_equals_the_published_batch_of_three(tiny, kind, fused):
    frames = [Between(1, 0.3), Between(1, 0.8), Between(2, 0.5)]
    w, manner = way(frames), Manner(5.0, 0.5, 2)
    keys, drawn = finished(tiny, w, manner, blend_of(kind, fused))
    for frame, latents in zip(frames, drawn, strict=True):
        with torch.inference_mode():
            begin, middle, end = transcription(tiny, w, frame, manner, kind, fused)
        assert torch.allclose(keys[frame.end - 1], begin, atol=1e-4)
        assert torch.allclose(latents, middle, atol=1e-4)
        assert torch.allclose(keys[frame.end], end, atol=1e-4)


@pytest.mark.parametrize("kind", ["outer", "inner"])
@pytest.mark.parametrize("fused", [True, False])
def test_at_the_ends_a_frame_is_its_stop(tiny, kind, fused):
    ends = [Between(1, 0.0), Between(1, 1.0), Between(2, 0.0), Between(2, 1.0)]
    for pinned in ((), (0, 2)):
        keys, drawn = finished(tiny, way(ends, pinned=pinned), Manner(5.0, 1.0), blend_of(kind, fused))
        for frame, latents in zip(ends, drawn, strict=True):
            assert torch.allclose(latents, keys[frame.end - 1 + int(frame.t)], atol=1e-4)


def test_neither_chunks_nor_the_number_of_frames_change_a_frame(tiny):
    frames = [Between(1, t / 8) for t in range(1, 8)] + [Between(2, t / 4) for t in (1, 2, 3)]
    bridges = (Bridge(2, 4, 2),)
    blend = blend_of("outer")
    whole = finished(tiny, way(frames, bridges), Manner(3.0, 0.5, 64), blend)[1]
    for chunk in (1, 3):
        others = finished(tiny, way(frames, bridges), Manner(3.0, 0.5, chunk), blend)[1]
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(whole, others, strict=True))
    alone = finished(tiny, way(frames[7:8]), Manner(3.0, 0.5), blend)[1]
    assert torch.allclose(alone[0], whole[7], atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 6.0])
def test_a_picture_stays_on_its_trajectory_and_evaluations_are_two_a_picture(tiny, guidance):
    w = way([Between(1, 0.5), Between(2, 0.5)], pinned=(0, 2))
    before = tiny.rows
    keys, _ = finished(tiny, w, Manner(guidance), blend_of("outer"))
    assert tiny.rows - before == evaluations(3, 2, STEPS, guidance) == STEPS * 5 * (2 if guidance != 1 else 1)
    for k in (0, 2):
        assert torch.allclose(keys[k], w.stops[k].trajectory.latents[0], atol=1e-5)


def test_a_bridge_spans_a_jump_evenly_and_costs_less(tiny):
    """Neighbours that have nothing to do with each other: without a bridge the way has no frames between them."""
    frames = [Between(1, 0.1), *[Between(1, 0.5)] * 5, Between(1, 0.9)]
    before = tiny.rows
    _, drawn = finished(tiny, way(frames, (Bridge(1, 5, 2),), 2), Manner(3.0, 0.5), blend_of("outer"))
    assert tiny.rows - before == STEPS * (2 + 2) * 2 + 2 * 5 * 2
    gaps = [float((a - b).norm()) for a, b in pairwise(drawn)]
    assert max(gaps) < 2 * sorted(gaps)[len(gaps) // 2]


def test_a_bridge_leaves_the_stops_and_all_other_frames_as_they_are(tiny):
    frames = [
        Between(1, 0.0),
        Between(1, 0.2),
        *[Between(1, 0.5)] * 3,
        Between(1, 0.8),
        Between(1, 1.0),
        Between(2, 0.5),
    ]
    manner, blend = Manner(3.0, 0.5), blend_of("outer")
    plain_keys, plain = finished(tiny, way(frames), manner, blend)
    for step in (1, 3):
        keys, drawn = finished(tiny, way(frames, (Bridge(2, 4, step),)), manner, blend)
        for j in (0, 1, 5, 6, 7):
            assert torch.allclose(drawn[j], plain[j], atol=1e-4)
        assert all(torch.allclose(keys[k], plain_keys[k], atol=1e-4) for k in keys)
        assert torch.allclose(drawn[0], keys[0], atol=1e-4) and torch.allclose(drawn[6], keys[1], atol=1e-4)
        assert not torch.allclose(drawn[3], plain[3], atol=1e-2)


def test_several_runs_between_the_same_stops_are_those_drawn_alone(tiny):
    runs = [[Between(1, t) for t in (0.2, 0.5, 0.5, 0.9)], [Between(1, t) for t in (0.1, 0.4, 0.7)]]
    manner, blend = Manner(3.0, 0.5), blend_of("outer")
    spans = [(Bridge(1, 3, 2),), (Bridge(0, 1, 2),)]
    beside = (*spans[0], Bridge(4, 5, 2))
    drawn = finished(tiny, way([*runs[0], *runs[1]], beside, 2), manner, blend)[1]
    alone = [
        x for run, span in zip(runs, spans, strict=True) for x in finished(tiny, way(run, span, 2), manner, blend)[1]
    ]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(drawn, alone, strict=True))


def test_a_bridge_may_end_at_the_stops(tiny):
    frames = [Between(1, 0.5), Between(2, 0.4), Between(2, 0.6)]
    _, drawn = finished(tiny, way(frames, (Bridge(1, 2, 1),)), Manner(3.0), blend_of("outer"))
    assert len(drawn) == 3 and all(torch.isfinite(x).all() for x in drawn)


def test_out_of_memory_means_smaller_chunks_and_the_same_pictures(tiny):
    frames = [Between(1, t / 8) for t in range(1, 8)]
    blend, chunks, drawn = blend_of("outer"), [], []
    whole = finished(tiny, way(frames), Manner(3.0), blend)[1]

    def eps(x, level, s):
        if len(x) > 8:
            raise MemoryError
        return tiny(x, level, s)

    with torch.inference_mode():
        for step in interpolate(tiny.unet, eps, LEVELS, way(frames), Manner(3.0), blend):
            chunks += [step.chunk] if step.chunk else []
            if step.drawn is not None and step.drawn.keyframe < 0:
                drawn += list(step.drawn.latents)
    assert chunks == [3]
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(whole, drawn, strict=True))


def test_text_alone_leaves_attention_as_it_is(tiny):
    w = way([Between(1, 0.5)])
    drawn = finished(tiny, w, Manner(1.0), None)[1]
    text = w.prompting(0, 1, torch.tensor([0.5]))
    z = slerp(w.stops[0].noise, w.stops[1].noise, 0.5)
    with torch.inference_mode():
        for level in LEVELS:
            z = ddim_step(z, tiny(z, level, text), level.alpha, level.alpha_prev)
    assert torch.allclose(drawn[0], z[0], atol=1e-4)
