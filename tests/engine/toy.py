"""What the engine's tests render: a tiny random U-Net, keyframes, and the end of a render."""

import torch

from laser_cli.engine.invert import Trajectory
from laser_cli.engine.render import render
from laser_cli.engine.schedule import Schedule, noise_like
from laser_cli.engine.spec import Keyframe, RenderSpec, RenderState
from laser_cli.models.conditioning import Conditioning

STEPS = 4
LEVELS = Schedule.from_config(
    {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
).levels(STEPS)
SHAPE = (4, 8, 8)


def told(seed):
    """A prompt's conditioning."""
    return Conditioning(torch.randn(1, 5, 12, generator=torch.Generator().manual_seed(seed)) * 3)


def trajectory(seed, conditioning=None):
    """A made-up stored trajectory: anything but what the model would do by itself."""
    latents = torch.stack([noise_like(SHAPE, 1000 * seed + i) for i in range(STEPS + 1)])
    return Trajectory(latents, conditioning or told(seed))


def keyframe(seed, pinned=False, **strengths):
    """A keyframe of its own noise and prompt, or one on a stored trajectory."""
    if not pinned:
        return Keyframe(noise_like(SHAPE, seed)[None], told(seed), None, strengths)
    way = trajectory(seed)
    return Keyframe(way.noise, way.conditioning, way, strengths)


def animation(frames, *strengths, **more):
    """A pinned source, and a keyframe for each further strengths; all from the source's noise."""
    source = keyframe(0, pinned=True, **strengths[0])
    others = [Keyframe(source.noise, told(k), None, s) for k, s in enumerate(strengths[1:], start=1)]
    return RenderSpec([source, *others], frames, source.conditioning, source=0, **more)


@torch.inference_mode()
def finished(backbone, spec, params, levels=LEVELS, **more):
    """Latents of keyframes and frames; what the render says of its evaluations is what was made."""
    keyframes, frames, before, said = {}, {}, backbone.nfe, 0
    for step in render(backbone, levels, spec, params, **more):
        said += step.nfe
        if step.finished is None:
            continue
        if step.finished.keyframe >= 0:
            assert not frames, "a keyframe came after a frame"
            keyframes[step.finished.keyframe] = step.finished.latents[0].clone()
        else:
            assert step.finished.first == len(frames)
            frames |= {len(frames) + i: x.clone() for i, x in enumerate(step.finished.latents)}
    assert said == backbone.nfe - before
    assert list(keyframes) == list(range(len(spec.keyframes))) and list(frames) == list(range(len(spec.frames)))
    return list(keyframes.values()), list(frames.values())


def close(a, b, atol=1e-4):
    """Whether two lists of latents are equal to rounding."""
    return len(a) == len(b) and all(torch.allclose(x, y, atol=atol) for x, y in zip(a, b, strict=True))


@torch.inference_mode()
def went_on(backbone, spec, params, done):
    """The first frame's latents of a render that was broken off after so many steps and gone on with."""
    for step in render(backbone, LEVELS, spec, params):
        if step.state and step.state.done == done:
            saved = RenderState(done, step.state.keyframes.clone(), step.state.frames.clone())
    again = render(backbone, LEVELS, spec, params, saved)
    return next(step.finished.latents[0] for step in again if step.finished and step.finished.keyframe < 0)
