"""Image prompts on a random model in Stable Diffusion's layout, with random weights in an IP-Adapter's layout."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from laser_cli.controls.aid import blend_of
from laser_cli.engine.router import AttentionRouter, BatchLayout, RoutedCall, RowGroup
from laser_cli.engine.spec import Frame, SamplingParams
from laser_cli.errors import NotFoundError
from laser_cli.models.adapter import as_seen, find_adapter, load_adapter, shown
from laser_cli.models.attention import Call
from laser_cli.models.base import plain_attention
from laser_cli.models.unet import IMAGE_MASK
from laser_cli.stages.conditions import Lead
from laser_cli.stages.interpolate import (
    Endpoint,
    FrameSchedule,
    InterpolationParams,
    frame_conditioning,
    interpolate,
    prepare,
)
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
    """A model with the adapter at a scale, its eyes, and the model that it was made of."""

    def made(scale=0.6):
        model = tiny_model()
        return *load_adapter(model, find_adapter(write_adapter(tmp_path / "ip", model.unet)), scale), model

    return made


class Plain:
    """Hooks that change nothing."""

    features = ()

    def attend(self, call):
        return plain_attention(call)


X = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def noise(model, told, hooks=None):
    return model.backbone.predict(X, model.schedule.levels(4)[0], told, hooks)[1]


def test_a_prompt_carries_the_tokens_of_no_picture_and_an_endpoint_those_of_its_own(adapted):
    model, see, _ = adapted()
    told = model.encode_prompts([BALL, CUBE])
    assert told.prompt_embeds.shape == (2, 77, 16)
    assert torch.equal(told.image_embeds, model.unseen.expand(2, -1, -1))
    tokens = see([to_tensor(p)[0] for p in pictures()])
    assert tokens.shape == (2, TOKENS, 16) and not torch.allclose(tokens[0], tokens[1])
    assert torch.equal(shown(told, tokens).prompt_embeds, told.prompt_embeds)
    assert torch.equal(shown(told, tokens).image_embeds, tokens)


@pytest.mark.parametrize("size", [(40, 64), (33, 20), (224, 224)])
def test_pictures_are_shown_to_clip_as_the_library_shows_them(size):
    from PIL import Image
    from transformers import CLIPImageProcessor

    shades = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(shades).resize(size, Image.Resampling.BICUBIC)
    library = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    seen = as_seen(to_tensor(np.array(picture))[0], SIDE)
    assert torch.allclose(seen, library(picture, return_tensors="pt").pixel_values, atol=1e-4)


def test_it_is_the_librarys_ip_adapter(adapted, tmp_path):
    from safetensors.torch import load_file

    model, see, _ = adapted(0.6)
    told = shown(model.encode_prompts([BALL]), see([to_tensor(pictures()[0])[0]]))
    unet = tiny_model().unet
    unet.set_attn_processor({name: processor.library for name, processor in unet.attn_processors.items()})
    weights = {"image_proj": {}, "ip_adapter": {}}
    for key, value in load_file(tmp_path / "ip" / "ip-adapter.safetensors").items():
        part, _, name = key.partition(".")
        weights[part][name] = value
    unet._load_ip_adapter_weights([weights])
    unet.encoder_hid_proj = None
    for processor in unet.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [0.6]
    timestep = model.schedule.levels(4)[0].timestep
    with torch.no_grad():
        theirs = unet(X, timestep, encoder_hidden_states=(told.prompt_embeds, [told.image_embeds[:, None]])).sample
    for hooks in (None, Plain()):
        assert torch.allclose(noise(model, told, hooks), theirs, atol=1e-5)
    assert not torch.allclose(noise(model, model.encode_prompts([BALL])), theirs, atol=1e-3)


@pytest.mark.parametrize("shape", [(8, 8), (16, 16)])
def test_a_mask_says_where_it_counts_as_in_the_library(adapted, tmp_path, shape):
    from safetensors.torch import load_file

    model, see, _ = adapted(0.6)
    told = shown(model.encode_prompts([BALL]), see([to_tensor(pictures()[0])[0]]))
    mask = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(5))
    unet = tiny_model().unet
    unet.set_attn_processor({name: processor.library for name, processor in unet.attn_processors.items()})
    weights = {"image_proj": {}, "ip_adapter": {}}
    for key, value in load_file(tmp_path / "ip" / "ip-adapter.safetensors").items():
        part, _, name = key.partition(".")
        weights[part][name] = value
    unet._load_ip_adapter_weights([weights])
    unet.encoder_hid_proj = None
    for processor in unet.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [0.6]
    timestep = model.schedule.levels(4)[0].timestep
    with torch.no_grad():
        theirs = unet(
            X,
            timestep,
            encoder_hidden_states=(told.prompt_embeds, [told.image_embeds[:, None]]),
            cross_attention_kwargs={"ip_adapter_masks": [mask]},
        ).sample
    masked = replace(told, spatial={IMAGE_MASK: mask})
    for hooks in (None, Plain()):
        assert torch.allclose(noise(model, masked, hooks), theirs, atol=1e-5)
    assert not torch.allclose(noise(model, told), theirs, atol=1e-4)


def test_the_model_it_was_given_to_stays_without_it(adapted):
    """Later runs in the same process draw what they always did."""
    fresh = tiny_model()
    expected = noise(fresh, fresh.encode_prompts([BALL]))
    model, see, before = adapted()
    noise(model, shown(model.encode_prompts([BALL]), see([to_tensor(pictures()[0])[0]])), Plain())
    told = before.encode_prompts([BALL])
    assert told.image_embeds is None and torch.equal(noise(before, told), expected)
    assert before.unet is model.unet and before.nfe == model.nfe


def test_a_scale_of_nothing_is_no_adapter(adapted):
    model, see, _ = adapted(0.0)
    told = shown(model.encode_prompts([BALL]), see([to_tensor(pictures()[0])[0]]))
    plain = tiny_model()
    assert torch.equal(noise(model, told, Plain()), noise(plain, plain.encode_prompts([BALL]), Plain()))


@pytest.mark.parametrize(("kind", "fused"), [(kind, fused) for kind in ("outer", "inner") for fused in (True, False)])
def test_every_variant_equals_the_formulas_in_every_block(adapted, kind, fused):
    model, _, _ = adapted(0.7)
    projections = model.backbone.projections
    assert len(projections) >= 2
    made, t = torch.Generator().manual_seed(2), torch.tensor([0.3, 0.8])
    router = AttentionRouter(model.backbone, [], 1, 1.0, blend_of(kind, fused), None)
    router.begin(0)
    of_keyframes = RoutedCall(router, BatchLayout(0, [RowGroup(slice(0, 2), 0, (0, 1))]))
    of_frames = RoutedCall(router, BatchLayout(0, [RowGroup(slice(0, 2), 0, (), 0, t)]))
    for layer, image in projections.items():
        attn = model.unet.get_submodule(layer)
        random = lambda *shape: torch.randn(*shape, generator=made)  # noqa: E731
        x, text, tokens = random(4, 9, attn.to_q.in_features), random(4, 77, 16), random(4, TOKENS, 16)
        with torch.no_grad():
            for hooks, rows in ((of_keyframes, slice(0, 2)), (of_frames, slice(2, 4))):
                with attn.processor.taps.call(Call(hooks, tokens[rows], projections)):
                    out = attn(x[rows], text[rows])

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
                seen = [[heads(to(row)) for row in tokens] for to in (image.to_k, image.to_v)]
                both = written_out(q, *words, i, share) + 0.7 * written_out(q, *seen, i, share)
                expected = attn.to_out[0](both.transpose(0, 1).flatten(1))
                assert torch.allclose(out[i - 2], expected, atol=1e-4), layer


@pytest.mark.parametrize("method", ["outer", "inner"])
def test_the_ends_of_the_way_are_the_endpoints(adapted, method):
    model, see, _ = adapted()
    one, other = pictures()
    asked = [
        Endpoint(BALL, lead=Lead(image=one)),
        Endpoint("a house", np.ascontiguousarray(one[:, :16]), Lead(image=other)),
    ]
    params = InterpolationParams(method, steps=3, sampling=SamplingParams(4.0, 0.5))
    schedule = FrameSchedule([Frame(0, t) for t in (0.0, 0.5, 1.0)], [0, 4])
    endpoints = prepare(model, asked, params, (0,), (16, 16), see=see)
    drawn = [picture.array.astype(int) for picture in interpolate(model, endpoints, params, schedule)]
    assert np.abs(drawn[1] - drawn[0]).max() <= 1 and np.abs(drawn[3] - drawn[4]).max() <= 1
    assert np.array_equal(drawn[4], asked[1].picture)
    bare = prepare(model, [replace(a, lead=Lead()) for a in asked], params, (0,), (16, 16), see=see)
    assert not np.array_equal(drawn[0], next(iter(interpolate(model, bare, params, schedule))).array)
    guided = replace(params, guides=(CUBE,))
    endpoints = prepare(model, asked, guided, (0,), (16, 16), see=see)
    told = frame_conditioning(endpoints, guided)(0, 0, torch.tensor([0.25]))
    assert torch.equal(told.prompt_embeds, model.encode_prompts([CUBE]).prompt_embeds)
    begin, end = (keyframe.conditioning.image_embeds for keyframe in endpoints.keyframes)
    assert torch.allclose(told.image_embeds, 0.75 * begin + 0.25 * end, atol=1e-6)


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
