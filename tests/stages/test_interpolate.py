"""Interpolation as a stage: stops of both kinds, chains, seeds, methods; and drafts that measure the way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from laser_cli.models.find import WEIGHTS
from laser_cli.models.model import Model
from laser_cli.engine.render import Between, Manner
from laser_cli.engine.schedule import Schedule
from laser_cli.stages.distances import rms
from laser_cli.stages.interpolate import Approach, Asked, Course, draw, prepare, prompting, single, way_of
from laser_cli.stages.invert import to_array
from laser_cli.stages.spacing import drafting, even, measure, uniform
from tests.small import small_unet

BALL, CUBE, NIGHT = "a red ball in a meadow", "a blue cube in a meadow", "a cat in the desert at night"
SIZE = (16, 16)
QUICK = Approach(steps=3, manner=Manner(9.0, 0.5))


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
    parts = (unet, vae.eval(), CLIPTextModel(text).eval(), tokenizer, schedule)
    return Model("tiny", "1", *parts, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def tiny():
    return tiny_model()


@pytest.fixture(scope="module")
def picture():
    y, x = np.mgrid[0:16, 0:16]
    return np.stack([8 * x + 60, 12 * y, 255 - 4 * x - 4 * y], axis=-1).clip(0, 255).astype(np.uint8)


def arrays(tiny, asked, approach=QUICK, seeds=(0,), course=None, exact=True):
    chain = prepare(tiny, asked, approach, seeds, SIZE)
    drawn = list(draw(tiny, chain, approach, course or uniform(5, len(asked) - 1), exact))
    assert [p.index for p in drawn] == list(range(len(drawn)))
    return [p.array for p in drawn]


def test_a_chain_is_one_animation_and_its_pictures_are_exact(tiny, picture):
    frames = arrays(tiny, [Asked(BALL), Asked("a house", picture), Asked(CUBE)])
    assert len(frames) == 5 and np.array_equal(frames[2], picture)
    round_trip = arrays(tiny, [Asked(BALL), Asked("a house", picture)], course=uniform(2, 1), exact=False)[1]
    encoded = tiny.encode_picture(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255)
    assert int(np.abs(round_trip.astype(int) - to_array(tiny.decode(encoded)[0])).max()) <= 1


def test_prompts_share_a_noise_unless_each_has_its_seed(tiny, picture):
    asked = [Asked(BALL), Asked(CUBE)]
    same = prepare(tiny, asked, QUICK, (3,), SIZE)
    assert torch.equal(same.stops[0].noise, same.stops[1].noise)
    own = prepare(tiny, asked, QUICK, (3, 4), SIZE)
    assert torch.equal(own.stops[0].noise, same.stops[0].noise)
    assert not torch.equal(own.stops[0].noise, own.stops[1].noise)
    mixed = prepare(tiny, [Asked("a house", picture), Asked(CUBE)], QUICK, (3,), SIZE)
    assert torch.equal(mixed.stops[0].noise, mixed.stops[1].noise)


def test_the_text_of_the_frames(tiny):
    t = torch.tensor([0.0, 0.25, 1.0])
    chain = prepare(tiny, [Asked(BALL), Asked(CUBE)], QUICK, (0,), SIZE)
    begin, end = (stop.states for stop in chain.stops)
    lerped = prompting(chain, QUICK)(0, 1, t)
    assert torch.allclose(lerped[1], 0.75 * begin[0] + 0.25 * end[0], atol=1e-6)
    slerped = prompting(chain, replace(QUICK, embeddings="slerp"))(0, 1, t)
    assert torch.allclose(slerped[0], begin[0], atol=1e-4) and torch.allclose(slerped[2], end[0], atol=1e-4)
    late = prompting(chain, replace(QUICK, method="denoise", steps=4))
    for step, share in enumerate((0, 0, 0, 1)):  # the last quarter of the steps
        expected = torch.cat([begin, torch.lerp(begin, end, share), end])
        assert torch.allclose(late(step, 1, t), expected, atol=1e-6)
    guided = replace(QUICK, guides=(NIGHT,))
    chain = prepare(tiny, [Asked(BALL), Asked(CUBE)], guided, (0,), SIZE)
    assert torch.equal(prompting(chain, guided)(0, 1, t), tiny.encode_prompts([NIGHT]).expand(3, -1, -1))


def test_every_method_has_the_same_ends_and_its_own_middle(tiny):
    course = Course([Between(1, 0.5)], [0, 2])
    full = replace(QUICK, manner=Manner(9.0, 1.0))  # so that all of them differ by more than rounding
    drawn = {
        key: arrays(tiny, [Asked(BALL), Asked(NIGHT)], approach, course=course)
        for key, approach in {
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
    asked = [Asked(BALL), Asked("a house", picture), Asked(CUBE)]
    chain = prepare(tiny, asked, QUICK, (0,), SIZE)
    two, course = single(chain, 0.75)
    alone = [p.array for p in draw(tiny, two, QUICK, course)][1]
    whole = [p.array for p in draw(tiny, chain, QUICK, Course([Between(2, 0.5)], [0, 1, 3]))][2]
    assert int(np.abs(alone.astype(int) - whole).max()) <= 1
    for at, end, t in ((0.0, 1, 0.0), (0.5, 2, 0.0), (1.0, 2, 1.0)):
        cut, course = single(chain, at)
        assert cut.stops[0] is chain.stops[end - 1] and course.frames[0].t == pytest.approx(t)


def test_drafts_cost_what_they_say_and_lay_the_frames(tiny, picture):
    approach = replace(QUICK, steps=2)
    chain = prepare(tiny, [Asked(BALL), Asked("a house", picture)], approach, (0,), SIZE)
    said, before = [], tiny.rows
    profiles = measure(tiny, chain, approach, 12, report=said.append)
    assert profiles and sum(said) == tiny.rows - before <= drafting(1, 12, 2, 3.0)
    assert profiles[0][0].begin == 0 and profiles[0][-1].end == 1
    assert all(a.end == b.begin for a, b in zip(profiles[0], profiles[0][1:], strict=False))
    # at few enough steps a draft is the picture itself
    drawn = [p.array for p in draw(tiny, chain, approach, Course([Between(1, profiles[0][0].end)], [0, 2]), False)]
    first = [torch.from_numpy(a).permute(2, 0, 1) / 255 for a in drawn]
    assert profiles[0][0].distance == pytest.approx(rms(first[0], first[1]), abs=0.01)
    course = even(12, profiles, 2)
    assert course.total == 12 and len(way_of(chain, approach, course).frames) == 10
    assert measure(tiny, chain, replace(approach, method="dissolve"), 12) is None
