"""Image prompts on a random model in Stable Diffusion's layout, with random weights in an IP-Adapter's layout."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from laser_cli.engine.endpoints import Batch, Endpoints
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from laser_cli.controls.aid import blend_of
from laser_cli.engine import hooks
from laser_cli.engine.render import Between, Manner
from laser_cli.errors import NotFoundError
from laser_cli.models.adapter import as_seen, find_adapter, load_adapter, shown
from laser_cli.stages.interpolate import Approach, Asked, Course, draw, prepare, prompting
from laser_cli.stages.invert import to_tensor
from tests.stages.test_interpolate import tiny_model

BALL, CUBE = "a red ball in a meadow", "a blue cube in a meadow"
TOKENS, SEEN, SIDE = 4, 12, 32


def pictures():
    y, x = np.mgrid[0:16, 0:20]
    one = np.stack([8 * x + 60, 12 * y, 255 - 4 * x - 4 * y], axis=-1).clip(0, 255).astype(np.uint8)
    return one, np.ascontiguousarray(255 - one[::-1])


def write_adapter(folder, unet, width=None):
    """Random weights of a plain IP-Adapter for a U-Net and a random image encoder, laid out as published ones are."""
    made = torch.Generator().manual_seed(7)
    width = width or unet.config.cross_attention_dim
    random = lambda *shape: torch.randn(*shape, generator=made)  # noqa: E731
    weights = {"image_proj.proj.weight": random(TOKENS * width, SEEN), "image_proj.proj.bias": random(TOKENS * width)}
    weights |= {"image_proj.norm.weight": random(width) + 1, "image_proj.norm.bias": random(width)}
    crossing = [name for name in unet.attn_processors if "attn2" in name]
    for number, name in enumerate(crossing):
        inner = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
        for kind in ("k", "v"):
            weights[f"ip_adapter.{2 * number + 1}.to_{kind}_ip.weight"] = random(inner, width)
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "ip-adapter.safetensors")
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE,
        patch_size=8, projection_dim=SEEN,
    )  # fmt: skip
    torch.manual_seed(3)
    CLIPVisionModelWithProjection(config).save_pretrained(folder / "image_encoder")
    return folder


@pytest.fixture
def adapted(tmp_path):
    """A model with the adapter at a scale, its eyes, and the same model without."""

    def made(scale=0.6):
        model = tiny_model()
        see = load_adapter(model, find_adapter(write_adapter(tmp_path / "ip", model.unet)), scale)
        return model, see

    return made


def level(model):
    return model.schedule.levels(4)[0]


def test_a_prompt_carries_the_tokens_of_no_picture_and_a_stop_those_of_its_own(adapted):
    model, see = adapted()
    states = model.encode_prompts([BALL, CUBE])
    assert states.shape == (2, 77 + TOKENS, 16) and torch.equal(states[:, 77:], model.unseen.expand(2, -1, -1))
    tokens = see([to_tensor(p)[0] for p in pictures()])
    assert tokens.shape == (2, TOKENS, 16) and not torch.allclose(tokens[0], tokens[1])
    told = shown(states, tokens)
    assert torch.equal(told[:, :77], states[:, :77]) and torch.equal(told[:, 77:], tokens)
    assert as_seen(to_tensor(pictures()[0])[0], SIDE).shape == (1, 3, SIDE, SIDE)


def test_outside_and_inside_of_our_attention_it_is_the_librarys(adapted):
    model, see = adapted()
    states = shown(model.encode_prompts([BALL]), see([to_tensor(pictures()[0])[0]]))
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs = model.eps(x, level(model), states)
        with hooks.attention(model.unet, hooks.plain):
            ours = model.eps(x, level(model), states)
        again = model.eps(x, level(model), states)
        blank = model.eps(x, level(model), model.encode_prompts([BALL]))
    assert torch.allclose(ours, theirs, atol=1e-5) and torch.equal(again, theirs)
    assert not torch.allclose(blank, theirs, atol=1e-3), "the image prompt changes nothing"


def test_a_scale_of_nothing_is_no_adapter(adapted):
    model, see = adapted(0.0)
    states = shown(model.encode_prompts([BALL]), see([to_tensor(pictures()[0])[0]]))
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    plain = tiny_model()
    with torch.no_grad(), hooks.attention(model.unet, hooks.plain):
        ours = model.eps(x, level(model), states)
    with torch.no_grad(), hooks.attention(plain.unet, hooks.plain):
        assert torch.equal(ours, plain.eps(x, level(plain), plain.encode_prompts([BALL])))


@pytest.mark.parametrize(("kind", "fused"), [(kind, fused) for kind in ("outer", "inner") for fused in (True, False)])
def test_every_variant_equals_the_formulas_in_every_block(adapted, kind, fused):
    model, _ = adapted(0.7)
    processors = {name: p for name, p in model.unet.attn_processors.items() if hasattr(p, "to_k_ip")}
    assert len(processors) >= 2
    made, t = torch.Generator().manual_seed(2), torch.tensor([0.3, 0.8])
    endpoints = Endpoints(blend_of(kind, fused))
    for name, image in processors.items():
        layer = name.removesuffix(".processor")
        attn = model.unet.get_submodule(layer)
        random = lambda *shape: torch.randn(*shape, generator=made)  # noqa: E731
        x, text, tokens = random(4, 9, attn.to_q.in_features), random(4, 77, 16), random(4, 1, TOKENS, 16)
        ours = hooks.Processor(layer, endpoints.attend, image)
        with torch.no_grad():
            endpoints.batch = Batch(False, ("begin", "end"))
            ours(attn, x[:2], (text[:2], [tokens[:2]]))
            endpoints.batch = Batch(False, (), ("begin", "end"), t)
            out = ours(attn, x[2:], (text[2:], [tokens[2:]]))

            def heads(y, attn=attn):
                return y.unflatten(-1, (attn.heads, -1)).transpose(0, 1)

            def attend(q, k, v):
                return torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1) @ v

            def written_out(q, keys, values, i, share):
                """The published formulas for row i between rows 0 and 1 (AID, eq. 5 to 8)."""
                own = lambda own, other: torch.cat([own, other], 1) if fused else other  # noqa: E731
                if kind == "inner":
                    k, v = ((1 - share) * both[0] + share * both[1] for both in (keys, values))
                    return attend(q, own(keys[i], k), own(values[i], v))
                sides = [attend(q, own(keys[i], keys[j]), own(values[i], values[j])) for j in (0, 1)]
                return (1 - share) * sides[0] + share * sides[1]

            for i, share in zip((2, 3), t, strict=True):
                q = heads(attn.to_q(x[i]))
                words = [[heads(to(row)) for row in text] for to in (attn.to_k, attn.to_v)]
                seen = [[heads(to[0](row[0])) for row in tokens] for to in (image.to_k_ip, image.to_v_ip)]
                both = written_out(q, *words, i, share) + 0.7 * written_out(q, *seen, i, share)
                expected = attn.to_out[0](both.transpose(0, 1).flatten(1))
                assert torch.allclose(out[i - 2], expected, atol=1e-4), layer


@pytest.mark.parametrize("method", ["outer", "inner"])
def test_the_ends_of_the_way_are_the_stops(adapted, method):
    model, see = adapted()
    one, other = pictures()
    asked = [Asked(BALL, image=one), Asked("a house", np.ascontiguousarray(one[:, :16]), image=other)]
    approach = Approach(method, steps=3, manner=Manner(4.0, 0.5))
    course = Course([Between(1, t) for t in (0.0, 0.5, 1.0)], [0, 4])
    chain = prepare(model, asked, approach, (0,), (16, 16), see=see)
    drawn = [picture.array.astype(int) for picture in draw(model, chain, approach, course)]
    assert np.abs(drawn[1] - drawn[0]).max() <= 1 and np.abs(drawn[3] - drawn[4]).max() <= 1
    assert np.array_equal(drawn[4], asked[1].picture)
    bare = prepare(model, [replace(a, image=None) for a in asked], approach, (0,), (16, 16), see=see)
    assert not np.array_equal(drawn[0], next(iter(draw(model, bare, approach, course))).array)
    guided = replace(approach, guides=(CUBE,))
    chain = prepare(model, asked, guided, (0,), (16, 16), see=see)
    states = prompting(chain, guided)(0, 1, torch.tensor([0.25]))
    assert torch.equal(states[:, :77], model.encode_prompts([CUBE])[:, :77])
    begin, end = (stop.states[:, 77:] for stop in chain.stops)
    assert torch.allclose(states[:, 77:], 0.75 * begin + 0.25 * end, atol=1e-6)


def test_what_is_no_adapter_says_so(tmp_path):
    model = tiny_model()
    whole = write_adapter(tmp_path / "ip", model.unet)
    assert find_adapter(whole) == whole / "ip-adapter.safetensors" == find_adapter(whole / "ip-adapter.safetensors")

    def refused(says, path, load=False):
        with pytest.raises(NotFoundError) as caught:
            found = find_adapter(path)
            if load:
                load_adapter(tiny_model(), found, 1.0)
        assert says in caught.value.render()

    refused("there is no IP-Adapter", tmp_path / "none.safetensors")
    (tmp_path / "empty").mkdir()
    refused("has no .safetensors", tmp_path / "empty")
    save_file({"a": torch.zeros(1)}, tmp_path / "empty" / "a.safetensors")
    refused("no image_encoder folder", tmp_path / "empty" / "a.safetensors")
    for name, says in (("a.safetensors", "other names"), ("b.bin", "is not an IP-Adapter")):
        if name.endswith("bin"):
            (whole / name).write_bytes(b"no pickle at all")
        else:
            save_file({"a": torch.zeros(1)}, whole / name)
        refused(says, whole / name, load=True)
    refused("name one of them", whole)
    refused("does not fit tiny", write_adapter(tmp_path / "wide", model.unet, width=24), load=True)
