"""The published methods written out plainly, one batch with everything in it, hold the engine.

Plug-and-Play (section 4: features and self-attention queries, keys overwritten in both halves), MasaCtrl (mutual
self-attention from a step and layer on), AID (eq. 5 to 8), classifier-free guidance, DDIM (eq. 12), direct inversion.
"""

from itertools import pairwise

import pytest
import torch

from laser_cli.controls.aid import blend_of, slerp
from laser_cli.engine.invert import Trajectory
from laser_cli.engine.render import nfe
from laser_cli.engine.schedule import Schedule, noise_like
from laser_cli.engine.spec import Arc, Frame, Keyframe, RenderSpec, SamplingParams
from laser_cli.stages.spacing import bridge
from tests.engine.toy import LEVELS, SHAPE, STEPS, close, finished, keyframe, told

FEATURES = "up_blocks.1.resnets.1.conv2"
TEXTURE = ("up_blocks.1.attentions.1.transformer_blocks.0.attn1",)
MOTION = ("up_blocks.1.attentions.0.transformer_blocks.0.attn1", *TEXTURE)
"""On the tiny U-Net: its first decoder block has no attention, the other has two."""


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1) @ v


def ddim(x, eps, level):
    """Equation 12 in alphas: divide by the signal, then make noise again."""
    x0 = (x - (1 - level.signal**2) ** 0.5 * eps) / level.signal
    return level.next_signal * x0 + (1 - level.next_signal**2) ** 0.5 * eps


def interpolated(kind, fused, t, q, k, v, begin, end):
    """AID: one row's attention at t between two others' keys and values."""
    beside = (lambda own, other: torch.cat([own, other], 1)) if fused else (lambda own, other: other)
    if kind == "inner":
        between = [(1 - t) * a + t * b for a, b in zip(begin, end, strict=True)]
        return attention(q, beside(k, between[0]), beside(v, between[1]))
    first, last = (attention(q, beside(k, other[0]), beside(v, other[1])) for other in (begin, end))
    return (1 - t) * first + t * last


class Plain:
    """The five rows source, keyframe (unprompted, prompted), frame (unprompted, prompted), all in one batch."""

    def __init__(self, unet, step, steps, warm, strengths, t):
        self.unet, self.step, self.steps, self.warm, self.t = unet, step, steps, warm, t
        self.of = {name: [0.0, end, end, *[(1 - t) * begin + t * end] * 2] for name, (begin, end) in strengths.items()}

    def processor(self, layer):
        def run(attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
            context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
            q, k, v = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
            q, k, v = (x.reshape(5, x.shape[1], attn.heads, -1).transpose(1, 2) for x in (q, k, v))
            if layer in TEXTURE and "texture" in self.of and self.step < int(self.steps * 0.5):
                blend = torch.tensor(self.of["texture"]).view(5, 1, 1, 1)
                q, k = ((1 - blend) * x + blend * x[:1] for x in (q, k))
            outs = [attention(q[i], k[i], v[i]) for i in range(5)]
            if self.warm:
                outs[4] = interpolated("outer", True, self.t, q[4], k[4], v[4], (k[0], v[0]), (k[2], v[2]))
            if layer in MOTION and "motion" in self.of and self.step >= int(self.steps * 0.08):
                read = [attention(q[i], k[0], v[0]) for i in range(5)]
                outs = [(1 - s) * out + s * other for s, out, other in zip(self.of["motion"], outs, read, strict=True)]
            return attn.to_out[0](torch.stack(outs).transpose(1, 2).flatten(2))

        return run

    def feature(self, _module, _inputs, out):
        if "texture" not in self.of or self.step >= int(self.steps * 0.8):
            return out
        blend = torch.tensor(self.of["texture"]).view(5, 1, 1, 1)
        return (1 - blend) * out + blend * out[:1]

    def __call__(self, x, level, text):
        before = dict(self.unet.attn_processors)
        handle = self.unet.get_submodule(FEATURES).register_forward_hook(self.feature)
        self.unet.set_attn_processor({name: Function(self.processor(name[: -len(".processor")])) for name in before})
        try:
            return self.unet(x, level.timestep, encoder_hidden_states=text).sample
        finally:
            handle.remove()
            self.unet.set_attn_processor(before)


class Function:
    """A processor that is a function: the library wants an instance."""

    def __init__(self, run):
        self.run = run

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        return self.run(attn, hidden_states, encoder_hidden_states, attention_mask)


@torch.inference_mode()
def transcription(unet, spec, levels, params, t):
    """Keyframe 1 and a frame at t, from the source's stored latents, with negative-prompt inversion's guidance."""
    source, target = spec.keyframes
    stored, steps = source.trajectory.latents, len(levels)
    names = set(source.strengths) | set(target.strengths)
    strengths = {name: (source.strengths.get(name, 0.0), target.strengths.get(name, 0.0)) for name in names}
    own, other = source.conditioning.prompt_embeds, target.conditioning.prompt_embeds
    text = torch.cat([own, own, other, own, (1 - t) * own + t * other])
    key, frame = source.noise, source.noise
    for i, level in enumerate(levels):
        x = torch.cat([stored[steps - i][None], key, key, frame, frame])
        plain = Plain(unet, i, steps, i < int(steps * params.warmup), strengths, t)
        eps = plain(x, level, text).split(1)
        offset = stored[steps - i - 1] - ddim(x[:1], eps[0], level)
        key = ddim(key, eps[1] + params.guidance * (eps[2] - eps[1]), level)
        frame = ddim(frame, eps[3] + params.guidance * (eps[4] - eps[3]), level) + (1 - t) * offset
    return key[0], frame[0]


CONTROLS = {
    "Plug-and-Play": ({"texture": 1.0}, {"texture": 1.0}),
    "MasaCtrl": ({"motion": 1.0}, {"motion": 1.0}),
    "both, letting go": ({"texture": 0.7, "motion": 0.5}, {}),
    "blended": ({"texture": 0.2}, {"texture": 0.9, "motion": 0.4}),
    "hold": ({}, {}),
}


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("warmup", [0.0, 0.5])
def test_an_animation_equals_the_published_methods_written_out(tiny, name, warmup):
    steps, t = 13, 0.3  # so that MasaCtrl begins at step 1, and features end later than queries and keys
    levels = Schedule.from_config(LEVELS_CONFIG).levels(steps)
    stored = torch.stack([noise_like(SHAPE, 77 + i) for i in range(steps + 1)])
    way = Trajectory(stored, told(0))
    begin, end = CONTROLS[name]
    keyframes = [Keyframe(way.noise, way.conditioning, way, begin), Keyframe(way.noise, told(1), None, end)]
    spec = RenderSpec(keyframes, [Frame(0, t)], way.conditioning, source=0)
    params = SamplingParams(4.0, warmup)
    keys, frames = finished(tiny, spec, params, levels)
    key, frame = transcription(tiny.unet, spec, levels, params, t)
    assert torch.allclose(keys[1], key, atol=2e-4) and torch.allclose(frames[0], frame, atol=2e-4)


LEVELS_CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def interpolation(frames, keyframes=3, pinned=(), **more):
    ends = [keyframe(k, pinned=k in pinned) for k in range(keyframes)]
    return RenderSpec(ends, frames, told(99), **more)


@torch.inference_mode()
def batch_of_three(unet, spec, frame, params, kind, fused):
    """AID as published: a batch of three [begin, frame, end] through its own loop, one attention at a time."""
    begin, end = spec.keyframes[frame.segment], spec.keyframes[frame.segment + 1]
    z = torch.stack([begin.noise[0], slerp(begin.noise[0], end.noise[0], frame.t), end.noise[0]])
    own, other = begin.conditioning.prompt_embeds, end.conditioning.prompt_embeds
    text = torch.cat([own, (1 - frame.t) * own + frame.t * other, other])

    def run(attn, hidden_states, encoder_hidden_states=None, attention_mask=None):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        q, k, v = (x.reshape(3, x.shape[1], attn.heads, -1).transpose(1, 2) for x in (q, k, v))
        outs = [
            interpolated(kind, fused, t, q[i], k[i], v[i], (k[0], v[0]), (k[2], v[2]))
            for i, t in enumerate((0.0, frame.t, 1.0))
        ]
        return attn.to_out[0](torch.stack(outs).transpose(1, 2).flatten(2))

    before = dict(unet.attn_processors)
    for i, level in enumerate(LEVELS):
        base = unet(z, level.timestep, encoder_hidden_states=spec.base.prompt_embeds.expand(3, -1, -1)).sample
        if i < int(STEPS * params.warmup):
            unet.set_attn_processor(Function(run))
        try:
            prompted = unet(z, level.timestep, encoder_hidden_states=text).sample
        finally:
            unet.set_attn_processor(dict(before))
        z = ddim(z, base + params.guidance * (prompted - base), level)
    return z


VARIANTS = [(kind, fused) for kind in ("outer", "inner") for fused in (True, False)]


@pytest.mark.parametrize(("kind", "fused"), VARIANTS)
def test_an_interpolation_equals_the_published_batch_of_three(tiny, kind, fused):
    frames = [Frame(0, 0.3), Frame(0, 0.8), Frame(1, 0.5)]
    spec, params = interpolation(frames, blend=blend_of(kind, fused)), SamplingParams(5.0, 0.5, 2)
    keys, drawn = finished(tiny, spec, params)
    for frame, latents in zip(frames, drawn, strict=True):
        expected = batch_of_three(tiny.unet, spec, frame, params, kind, fused)
        assert close([keys[frame.segment], latents, keys[frame.segment + 1]], list(expected))


@pytest.mark.parametrize(("kind", "fused"), VARIANTS)
def test_at_the_ends_a_frame_is_its_keyframe(tiny, kind, fused):
    ends = [Frame(0, 0.0), Frame(0, 1.0), Frame(1, 0.0), Frame(1, 1.0)]
    for pinned in ((), (0, 2)):
        spec = interpolation(ends, pinned=pinned, blend=blend_of(kind, fused))
        keys, drawn = finished(tiny, spec, SamplingParams(5.0, 1.0))
        assert close(drawn, [keys[k] for k in (0, 1, 1, 2)])


def test_text_alone_leaves_attention_as_it_is(tiny):
    spec = interpolation([Frame(0, 0.5)], blend=None)
    drawn = finished(tiny, spec, SamplingParams(1.0))[1]
    begin, end = spec.keyframes[:2]
    text = 0.5 * begin.conditioning.prompt_embeds + 0.5 * end.conditioning.prompt_embeds
    z = slerp(begin.noise, end.noise, 0.5)
    with torch.inference_mode():
        for level in LEVELS:
            z = ddim(z, tiny.unet(z, level.timestep, encoder_hidden_states=text).sample, level)
    assert torch.allclose(drawn[0], z[0], atol=1e-4)


def late(frames, first, last, step, offset=0):
    """Frames of which some start late, over a jump."""
    told = list(frames)
    bridge(told, first, last, step, offset)
    return told


def test_late_frames_span_a_jump_evenly_and_cost_less(tiny):
    """Neighbours that have nothing to do with each other: without a bridge there is nothing between them."""
    frames = late([Frame(0, 0.1), *[Frame(0, 0.5)] * 5, Frame(0, 0.9)], 1, 5, 2)
    before = tiny.nfe
    _, drawn = finished(tiny, interpolation(frames, 2), SamplingParams(3.0))
    assert tiny.nfe - before == STEPS * (2 + 2) * 2 + 2 * 5 * 2 < nfe(9, STEPS, 3.0)
    gaps = [float((a - b).norm()) for a, b in pairwise(drawn)]
    assert max(gaps) < 2 * sorted(gaps)[len(gaps) // 2]


def test_a_late_frame_begins_on_the_arc_between_its_neighbours(tiny):
    """The published loop to the step, slerp of the latents there, and the loop again."""
    frames = late([Frame(0, 0.2), Frame(0, 0.5), Frame(0, 0.9)], 1, 1, 2)
    spec, params = interpolation(frames, 2), SamplingParams(1.0, 0.0)
    drawn = finished(tiny, spec, params)[1]

    def text(t):
        return spec.told(0, 0, torch.tensor([t])).prompt_embeds

    with torch.inference_mode():
        noises = [keyframe.noise for keyframe in spec.keyframes]
        left, right = (slerp(*noises, t) for t in (0.2, 0.9))
        for level in LEVELS[:2]:
            left, right = (
                ddim(z, tiny.unet(z, level.timestep, encoder_hidden_states=text(t)).sample, level)
                for z, t in ((left, 0.2), (right, 0.9))
            )
        z = slerp(left, right, 0.5)
        for level in LEVELS[2:]:
            z = ddim(z, tiny.unet(z, level.timestep, encoder_hidden_states=text(0.5)).sample, level)
    assert torch.allclose(drawn[1], z[0], atol=1e-4)


@pytest.mark.parametrize("step", [1, 3])
def test_late_frames_leave_all_others_as_they_are(tiny, step):
    frames = [Frame(0, 0.0), Frame(0, 0.2), *[Frame(0, 0.5)] * 3, Frame(0, 0.8), Frame(0, 1.0), Frame(1, 0.5)]
    plain_keys, plain = finished(tiny, interpolation(frames), SamplingParams(3.0))
    keys, drawn = finished(tiny, interpolation(late(frames, 2, 4, step)), SamplingParams(3.0))
    others = [0, 1, 5, 6, 7]
    assert close([drawn[j] for j in others], [plain[j] for j in others]) and close(keys, plain_keys)
    assert not torch.allclose(drawn[3], plain[3], atol=1e-2)


def test_late_frames_may_have_keyframes_for_neighbours(tiny):
    frames = [Frame(0, 0.5), *late([Frame(1, 0.4), Frame(1, 0.6)], 0, 1, 1, offset=1)]
    assert frames[1].arc == Arc(None, None, pytest.approx(1 / 3))
    _, drawn = finished(tiny, interpolation(frames), SamplingParams(3.0))
    assert len(drawn) == 3 and all(torch.isfinite(x).all() for x in drawn)


def test_neither_calls_nor_the_number_of_frames_change_a_late_frame(tiny):
    frames = late([*[Frame(0, t / 8) for t in range(1, 8)], *[Frame(1, t / 4) for t in (1, 2, 3)]], 2, 4, 2)
    whole = finished(tiny, interpolation(frames), SamplingParams(3.0, batch_size=64))[1]
    for size in (1, 3):
        assert close(finished(tiny, interpolation(frames), SamplingParams(3.0, batch_size=size))[1], whole)
    assert close(finished(tiny, interpolation(frames[7:8]), SamplingParams(3.0))[1], whole[7:8])


def test_several_runs_between_the_same_keyframes_are_those_rendered_alone(tiny):
    from laser_cli.engine.spec import shifted

    runs = [
        late([Frame(0, t) for t in (0.2, 0.5, 0.5, 0.9)], 1, 2, 2),
        late([Frame(0, t) for t in (0.1, 0.4, 0.7)], 0, 1, 2),
    ]
    together = interpolation([*runs[0], *shifted(runs[1], 4)], 2)
    alone = [x for run in runs for x in finished(tiny, interpolation(run, 2), SamplingParams(3.0))[1]]
    assert close(finished(tiny, together, SamplingParams(3.0))[1], alone)


def test_what_a_preview_shows_of_late_frames_lies_between_their_neighbours(tiny):
    from laser_cli.engine.render import render

    frames = late([Frame(0, 0.1), Frame(0, 0.5), Frame(0, 0.9)], 1, 1, 3)
    with torch.inference_mode():
        steps = render(tiny, LEVELS, interpolation(frames, 2), SamplingParams(), clean=True)
        left, middle, right = next(step.state.clean[1].clone() for step in steps if step.state)
    assert torch.allclose(middle, slerp(left, right, 0.5)) and middle.abs().max() > 0
