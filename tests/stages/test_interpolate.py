"""Interpolation as a stage: stops of both kinds, chains, seeds, methods; and drafts that measure the way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from laser_cli.engine.schedule import Schedule
from laser_cli.engine.spec import Frame, SamplingParams
from laser_cli.engine.workers import Workers
from laser_cli.measure.pictures import psnr
from laser_cli.models.find import WEIGHTS
from laser_cli.models.model import Model
from laser_cli.models.unet import UNetBackbone
from laser_cli.stages.distances import rms
from laser_cli.stages.interpolate import (
    Endpoint,
    FrameSchedule,
    InterpolationParams,
    frame_conditioning,
    interpolate,
    prepare,
    single_frame,
    spec_of,
)
from laser_cli.stages.invert import to_array
from laser_cli.stages.spacing import drafting_nfe, even, measure, uniform
from tests.small import small_unet

BALL, CUBE, NIGHT = "a red ball in a meadow", "a blue cube in a meadow", "a cat in the desert at night"
SIZE = (16, 16)
QUICK = InterpolationParams(steps=3, sampling=SamplingParams(9.0, 0.5))


def tiny_model():
    """A random model in Stable Diffusion's layout, with the storybook's tokenizer."""
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer")
    words = len(tokenizer)
    text = CLIPTextConfig(
        vocab_size=words,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=words - 2,
        eos_token_id=words - 1,
    )
    unet = small_unet(16)
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
    )
    schedule = Schedule.from_config({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"})
    backbone = UNetBackbone(unet, "epsilon", 2)
    parts = (backbone, vae.eval(), CLIPTextModel(text).eval(), tokenizer, schedule)
    return Model("tiny", "1", *parts, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


@pytest.fixture(scope="module")
def picture():
    y, x = np.mgrid[0:16, 0:16]
    return np.stack([8 * x + 60, 12 * y, 255 - 4 * x - 4 * y], axis=-1).clip(0, 255).astype(np.uint8)


def arrays(tiny, asked, params=QUICK, seeds=(0,), schedule=None, exact=True):
    endpoints = prepare(tiny, asked, params, seeds, SIZE)
    drawn = list(interpolate(tiny, endpoints, params, schedule or uniform(5, len(asked) - 1), exact))
    assert [p.index for p in drawn] == list(range(len(drawn)))
    return [p.array for p in drawn]


def test_a_chain_is_one_animation_and_its_pictures_are_exact(tiny, picture):
    frames = arrays(tiny, [Endpoint(BALL), Endpoint("a house", picture), Endpoint(CUBE)])
    assert len(frames) == 5 and np.array_equal(frames[2], picture)
    round_trip = arrays(tiny, [Endpoint(BALL), Endpoint("a house", picture)], schedule=uniform(2, 1), exact=False)[1]
    encoded = tiny.encode_picture(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255)
    assert int(np.abs(round_trip.astype(int) - to_array(tiny.decode(encoded)[0])).max()) <= 1


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("method", ["outer", "inner", "text"])
def test_the_same_picture_at_both_ends_gives_that_picture_back(tiny, picture, method, exact):
    same = [Endpoint("a house", picture)] * 2
    first, *between, last = arrays(tiny, same, replace(QUICK, method=method), exact=exact)
    assert np.array_equal(first, last) and np.array_equal(first, picture) == exact
    for frame in between:
        assert psnr(torch.from_numpy(frame) / 255, torch.from_numpy(first) / 255) >= 45
    lost = picture.astype(int) - arrays(tiny, same, exact=False)[0]
    assert np.abs(lost).mean() > 5  # the random VAE loses enough to be missed


def test_prompts_share_a_noise_unless_each_has_its_seed(tiny, picture):
    asked = [Endpoint(BALL), Endpoint(CUBE)]
    same = prepare(tiny, asked, QUICK, (3,), SIZE)
    assert torch.equal(same.keyframes[0].noise, same.keyframes[1].noise)
    own = prepare(tiny, asked, QUICK, (3, 4), SIZE)
    assert torch.equal(own.keyframes[0].noise, same.keyframes[0].noise)
    assert not torch.equal(own.keyframes[0].noise, own.keyframes[1].noise)
    mixed = prepare(tiny, [Endpoint("a house", picture), Endpoint(CUBE)], QUICK, (3,), SIZE)
    assert torch.equal(mixed.keyframes[0].noise, mixed.keyframes[1].noise)


def test_the_text_of_the_frames(tiny):
    t = torch.tensor([0.0, 0.25, 1.0])
    endpoints = prepare(tiny, [Endpoint(BALL), Endpoint(CUBE)], QUICK, (0,), SIZE)
    begin, end = (keyframe.conditioning.prompt_embeds for keyframe in endpoints.keyframes)

    def text(params, step=0):
        return frame_conditioning(endpoints, params)(step, 0, t).prompt_embeds

    lerped = text(QUICK)
    assert torch.allclose(lerped[1], 0.75 * begin[0] + 0.25 * end[0], atol=1e-6)
    slerped = text(replace(QUICK, embeddings="slerp"))
    assert torch.allclose(slerped[0], begin[0], atol=1e-4) and torch.allclose(slerped[2], end[0], atol=1e-4)
    late = replace(QUICK, method="denoise", steps=4)
    for step, share in enumerate((0, 0, 0, 1)):  # the last quarter of the steps
        expected = torch.cat([begin, torch.lerp(begin, end, share), end])
        assert torch.allclose(text(late, step), expected, atol=1e-6)
    guided = replace(QUICK, guides=(NIGHT,))
    endpoints = prepare(tiny, [Endpoint(BALL), Endpoint(CUBE)], guided, (0,), SIZE)
    assert torch.equal(text(guided), tiny.encode_prompts([NIGHT]).prompt_embeds.expand(3, -1, -1))


def test_every_method_has_the_same_ends_and_its_own_middle(tiny):
    schedule = FrameSchedule([Frame(0, 0.5)], [0, 2])
    full = replace(QUICK, sampling=SamplingParams(9.0, 1.0))  # so that all of them differ by more than rounding
    drawn = {
        key: arrays(tiny, [Endpoint(BALL), Endpoint(NIGHT)], params, schedule=schedule)
        for key, params in {
            "outer": full,
            "unfused": replace(full, fused=False),
            "inner": replace(full, method="inner"),
            "text": replace(full, method="text"),
            "denoise": replace(full, method="denoise"),
            "dissolve": replace(full, method="dissolve"),
            "guided": replace(full, guides=(CUBE,)),
        }.items()
    }
    first = drawn["outer"]
    for frames in drawn.values():
        for k in (0, 2):
            assert int(np.abs(frames[k].astype(int) - first[k]).max()) <= 1
    middles = [frames[1] for frames in drawn.values()]
    assert all(not np.array_equal(a, b) for i, a in enumerate(middles) for b in middles[:i])
    mean = (first[0].astype(float) + first[2]) / 2
    assert np.abs(drawn["dissolve"][1] - mean).max() <= 1.5


def test_a_single_picture_is_that_of_the_whole_chain(tiny, picture):
    asked = [Endpoint(BALL), Endpoint("a house", picture), Endpoint(CUBE)]
    endpoints = prepare(tiny, asked, QUICK, (0,), SIZE)
    two, schedule = single_frame(endpoints, 0.75)
    alone = [p.array for p in interpolate(tiny, two, QUICK, schedule)][1]
    whole = [p.array for p in interpolate(tiny, endpoints, QUICK, FrameSchedule([Frame(1, 0.5)], [0, 1, 3]))][2]
    assert int(np.abs(alone.astype(int) - whole).max()) <= 1
    for at, end, t in ((0.0, 1, 0.0), (0.5, 2, 0.0), (1.0, 2, 1.0)):
        cut, schedule = single_frame(endpoints, at)
        assert cut.keyframes[0] is endpoints.keyframes[end - 1] and schedule.frames[0].t == pytest.approx(t)


def test_drafts_cost_what_they_say_and_lay_the_frames(tiny, picture):
    params = replace(QUICK, steps=2)
    endpoints = prepare(tiny, [Endpoint(BALL), Endpoint("a house", picture)], params, (0,), SIZE)
    said, before = [], tiny.nfe
    profiles = measure(tiny, endpoints, params, 12, report=said.append)
    assert profiles and sum(said) == tiny.nfe - before <= drafting_nfe(1, 12, 2, 3.0)
    assert profiles[0][0].begin == 0 and profiles[0][-1].end == 1
    assert all(a.end == b.begin for a, b in zip(profiles[0], profiles[0][1:], strict=False))
    # at few enough steps a draft is the picture itself
    drawn = [
        p.array
        for p in interpolate(tiny, endpoints, params, FrameSchedule([Frame(0, profiles[0][0].end)], [0, 2]), False)
    ]
    first = [torch.from_numpy(a).permute(2, 0, 1) / 255 for a in drawn]
    assert profiles[0][0].distance == pytest.approx(rms(first[0], first[1]), abs=0.01)
    schedule = even(12, profiles, 2)
    assert schedule.total == 12 and len(spec_of(endpoints, params, schedule.frames).frames) == 10
    assert measure(tiny, endpoints, replace(params, method="dissolve"), 12) is None


def test_the_same_workers_draw_the_same_bytes_and_others_nearly(tiny, picture):
    asked, schedule = [Endpoint(BALL), Endpoint("a house", picture), Endpoint(CUBE)], uniform(9, 2)
    drawn = {}
    for run, count in (("one", 1), ("two", 2), ("two again", 2)):
        tiny.workers = Workers(count)
        drawn[run] = np.stack(arrays(tiny, asked, schedule=schedule)).astype(int)
    tiny.workers = Workers()
    assert np.array_equal(drawn["two"], drawn["two again"])
    assert np.abs(drawn["one"] - drawn["two"]).max() <= 1
