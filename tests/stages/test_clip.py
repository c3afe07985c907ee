"""Driven portraits as clips: the published recursion of windows, on narrow nets."""

import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import MotionAdapter as AnimateDiff
from diffusers import UNet2DConditionModel, UNetMotionModel

from laser_cli.controls.knit.clip import WINDOW, depths, windows
from laser_cli.controls.knit.control import ControlV3
from laser_cli.controls.knit.driven import face_motion
from laser_cli.controls.knit.insertion import ATTRIBUTE, Insertion, insert
from laser_cli.controls.knit.load import Nets
from laser_cli.controls.knit.motion import MotionAdapter, MotionV5, SKMotion
from laser_cli.controls.knit.portrait import read_reference
from laser_cli.controls.knit.pose import HeadPose
from laser_cli.controls.knit.reference import ReferenceAdapter, STKReference
from laser_cli.controls.knit.versions import VERSIONS
from laser_cli.engine.schedule import noise_like
from laser_cli.engine.spec import SamplingParams
from laser_cli.engine.workers import Workers
from laser_cli.models.base import to_x0_eps
from laser_cli.models.model import Model
from laser_cli.models.unet import UNetBackbone
from laser_cli.stages import clip
from laser_cli.stages.invert import to_array, to_tensor
from laser_cli.stages.portrait import draw_portrait
from laser_cli.stages.sitting import READ, Words
from laser_cli.storybook.puppets import Puppet
from laser_cli.storybook.world import draw as draw_world
from laser_cli.tracks.schema import FaceTrack

BLOCKS, UPS = (32, 64, 64, 64), (64, 64, 64, 64)
WORDS = Words("a portrait of a person with red hair")
STEPS, GUIDANCE, SEED = 2, 2.0, 4
OWN = HeadPose(np.zeros((1, 3)), np.array([[0, 0, -4.5]]))


def stirred(module, by: float = 0.05):
    """The module with every weight random: adapters start from zero, which would hide what they do."""
    for parameter in module.parameters():
        parameter.data.add_(torch.randn_like(parameter) * by)
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def storybook(storybook: Model) -> Model:
    """The embedded model around a narrow random U-Net that v5's norms fit."""
    torch.manual_seed(2)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=BLOCKS,
        layers_per_block=1,
        cross_attention_dim=256,
        attention_head_dim=4,
        norm_num_groups=16,
    )
    unet.conv_out.weight.data.mul_(6)
    return replace(storybook, backbone=UNetBackbone(unet.eval().requires_grad_(False), "v_prediction", storybook.scale))


def nets(version: str) -> Nets:
    torch.manual_seed(1)
    reference = stirred(ReferenceAdapter(STKReference, up=UPS))
    control = stirred(ControlV3((16, 64, 64, 64, 64), 32, down=(32, 64)))
    if version == "v5b":
        motion, adapter = MotionAdapter(MotionV5, down=BLOCKS, up=UPS), None
    else:
        motion = MotionAdapter(lambda c: SKMotion(c, time_channels=128), down=BLOCKS, up=UPS)
        adapter = AnimateDiff(
            block_out_channels=BLOCKS,
            motion_layers_per_block=1,
            motion_num_attention_heads=4,
            motion_norm_num_groups=16,
            motion_max_seq_length=32,
            use_motion_mid_block=False,
        )
        stirred(adapter)
    return Nets(replace(VERSIONS[version], name="test"), reference, control, stirred(motion), adapter)


@pytest.fixture(scope="module", params=["v5b", "v3"])
def moving(request) -> Nets:
    return nets(request.param)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return to_array(draw_world([Puppet(hair_colour=(("red", 1.0),))], 128)[0])


def motion(frames: int):
    t = np.linspace(0, 1, frames)
    return face_motion(FaceTrack.of(12, ("jawOpen", "yaw"), np.stack([t, 30 * t], 1)), OWN)


def draw(model, nets, face, frames, **given):
    how = {"params": SamplingParams(guidance=GUIDANCE), "steps": STEPS, "seed": SEED, "words": WORDS, **given}
    return [one.array for one in draw_portrait(model, nets, face, motion(frames), **how)]


def apart(one, other) -> int:
    return max(int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("count", [*range(1, 40), 133, 134, 1000])
def test_windows_cover_a_clip_and_share_their_ends(count):
    cut = windows(count)
    assert cut[0].start == 0 and cut[-1].stop == count
    assert all(before[-1] == after[0] for before, after in pairwise(cut))
    assert all(len(window) <= WINDOW for window in cut)
    assert count == 1 or all(len(window) > 1 for window in cut), "a window of one frame moves nothing"


@pytest.mark.parametrize("count", [1, 2, 12, 13, 23, 24, 122, 123, 1000])
def test_the_ends_of_windows_are_drawn_before_what_lies_between(count):
    deep = depths(count)
    assert deep[0] == list(range(count)) and len(deep[-1]) <= WINDOW
    for numbers, ends in pairwise(deep):
        assert ends == sorted({numbers[i] for w in windows(len(numbers)) for i in (w[0], w[-1])})


def published(model, nets, face, count) -> list[np.ndarray]:
    """The published recursion, written out: ends first, then windows between them; shared frames take the mean."""
    height, width = face.shape[:2]
    told = model.encode_prompts(["", WORDS.prompt]).prompt_embeds
    latents = model.encode_picture(to_tensor(face))
    portrait = read_reference(model.unet, nets, latents, told)
    levels, shape = model.schedule.levels(STEPS), tuple(latents.shape[1:])
    base_noise = noise_like((count, *shape), SEED)
    stills = nets.animatediff is not None
    moved = UNetMotionModel.from_unet2d(model.unet, nets.animatediff) if stills else model.unet
    drive = motion(count)

    def passed(unet, x, t, numbers, entered):
        states = told.repeat_interleave(len(numbers), 0)
        with insert(unet, entered):
            if isinstance(unet, UNetMotionModel):
                video = torch.stack([x, x]).transpose(1, 2)
                out = unet(video, t, encoder_hidden_states=states).sample
                uncond, cond = out.transpose(1, 2).flatten(0, 1).chunk(2)
            else:
                uncond, cond = unet(torch.cat([x, x]), t, encoder_hidden_states=states).sample.chunk(2)
        return uncond + GUIDANCE * (cond - uncond)

    def features(x):
        cache = {}
        with insert(model.unet, Insertion(), cache):
            model.unet(torch.cat([torch.zeros_like(x), x]), 0, encoder_hidden_states=told)
        return {point: value for point, value in cache.items() if point != "mid"}

    def entered(numbers, **more):
        return replace(portrait.insertion(drive.drive(numbers, height, width)), **more)

    def to_eps(out, x, level):
        return to_x0_eps(out, x, level, model.backbone.prediction)

    def render(numbers, pads):
        """All frames of a level, from the first noises."""
        ends = [0]
        while ends[-1] < len(numbers) - 1:
            ends.append(min(ends[-1] + WINDOW - 1, len(numbers) - 1))
        if len(numbers) <= WINDOW:
            if stills:
                x = noise_like(shape, SEED)[None].repeat(2, 1, 1, 1)
                two = [numbers[0], numbers[-1]]
                for level in levels:
                    x = level.step(*to_eps(passed(model.unet, x, level.timestep, two, entered(two)), x, level))
                pads.update({n: features(row) for n, row in zip(two, x.split(1), strict=True)})
        else:
            deeper = render([numbers[i] for i in ends], pads)
            for number, row in zip([numbers[i] for i in ends], deeper.split(1), strict=True):
                if not (stills and number in pads):
                    pads[number] = features(row)
        x = base_noise[: len(numbers)]
        cuts = [(0, len(numbers))] if len(numbers) <= WINDOW else [(a, b + 1) for a, b in pairwise(ends)]
        for level in levels:
            total, seen = torch.zeros_like(x), torch.zeros(len(x), 1, 1, 1)
            for a, b in cuts:
                some = numbers[a:b]
                more = {"motion": nets.motion, "frames": len(some)}
                if pads:
                    first, last = pads[some[0]], pads[some[-1]]
                    more["pads"] = {point: torch.stack([first[point], last[point]], 2) for point in first}
                total[a:b] += passed(moved, x[a:b], level.timestep, some, entered(some, **more))
                seen[a:b] += 1
            x = level.step(*to_eps(total / seen, x, level))
        return x

    with torch.inference_mode():
        return [to_array(model.decode(x)[0]) for x in render(list(range(count)), {}).split(1)]


@pytest.fixture(scope="module")
def whole(storybook, moving, face) -> list[np.ndarray]:
    """A clip of two windows."""
    return draw(storybook, moving, face, 14)


def test_a_clip_of_two_windows_is_the_published_one(storybook, moving, face, whole):
    assert apart(whole, published(storybook, moving, face, 14)) <= 3


def test_a_clip_of_one_window_is_the_published_one(storybook, moving, face):
    assert apart(draw(storybook, moving, face, 3), published(storybook, moving, face, 3)) <= 3


def test_frames_read_each_other(storybook, moving, face):
    alone = draw(storybook, replace(moving, motion=None, animatediff=None), face, 3)
    assert apart(draw(storybook, moving, face, 3), alone) > 10


def test_neither_halves_apart_nor_workers_change_the_pictures(storybook, moving, face, whole):
    apart_halves = SamplingParams(guidance=GUIDANCE, batch_size=1)
    shared = replace(storybook, workers=Workers(2))
    assert apart(whole, draw(shared, moving, face, 14, params=apart_halves)) <= 3


def test_maps_that_are_not_kept_are_read_again(storybook, face, monkeypatch):
    v5b, told = nets("v5b"), []
    whole = draw(storybook, v5b, face, 14, report=told.append)
    assert sum(told) == READ + clip.nfe(14, STEPS, GUIDANCE, stills=False)
    monkeypatch.setattr(clip, "KEPT", 2)
    again: list[int] = []
    assert apart(whole, draw(storybook, v5b, face, 14, report=again.append)) == 0
    assert sum(again) == READ + clip.nfe(14, STEPS, GUIDANCE, stills=False) > sum(told)


@pytest.mark.parametrize(("frames", "guidance"), [(1, 2.0), (2, 1.0)])
def test_evaluations_and_the_shortest_clips(storybook, moving, face, frames, guidance):
    told: list[int] = []
    drawn = draw(storybook, moving, face, frames, params=SamplingParams(guidance=guidance), report=told.append)
    assert len(drawn) == frames
    assert sum(told) == READ + clip.nfe(frames, STEPS, guidance, stills=moving.animatediff is not None)


def test_the_unet_is_as_before(storybook, moving, face):
    drawing = draw_portrait(storybook, moving, face, motion(3), WORDS, SamplingParams(), STEPS)
    next(drawing)
    drawing.close()
    assert ATTRIBUTE not in storybook.unet.__dict__


def test_frame_0_can_be_the_picture_itself(storybook, moving, face):
    assert np.array_equal(draw(storybook, moving, face, 3, fade=2)[0], face)


def test_half_precision_draws_nearly_the_same(storybook, moving, face):
    parts = {name: copy.deepcopy(getattr(moving, name)) for name in ("reference", "control", "motion", "animatediff")}
    half = replace(moving, **{name: part and part.to(torch.bfloat16) for name, part in parts.items()})
    unet = UNet2DConditionModel.from_config(storybook.unet.config)
    unet.load_state_dict(storybook.unet.state_dict())
    unet = unet.eval().to(torch.bfloat16)
    model = replace(storybook, backbone=UNetBackbone(unet, "v_prediction", storybook.scale), dtype=torch.bfloat16)
    errors = [
        np.abs(a.astype(int) - b.astype(int)).mean()
        for a, b in zip(draw(storybook, moving, face, 3), draw(model, half, face, 3), strict=True)
    ]
    assert 0 < max(errors) < 4
