"""Adapters inside a U-Net: equal to the published pass, and gone when the context ends."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from laser_cli.controls.knit.insertion import ATTRIBUTE, Insertion, combine, halves, hooked, insert, points_of
from laser_cli.controls.knit.motion import MotionAdapter, MotionV5, SKMotion
from laser_cli.controls.knit.reference import ReferenceAdapter, SKReference, SKReferenceV5, STKReference

from .conftest import close, filled, read, rows

UP, DOWN = (32, 32, 32, 16), (16, 16, 32, 32)


def run(unet, sample: Tensor, text: Tensor, t: int, insertion: Insertion, cache=None) -> Tensor:
    """A pass of [b, c, frames, h, w] as the published nets lay it out, in rows."""
    with insert(unet, insertion, cache):
        states = text.repeat_interleave(sample.shape[2], 0)
        return unet(rows(sample), t, encoder_hidden_states=states).sample


@pytest.fixture(scope="module")
def features(unet, base):
    """The reference's maps."""
    cache: dict[str, Tensor] = {}
    with torch.no_grad():
        run(unet, base.inputs["ref_in"], base.inputs["text"], 0, Insertion(), cache)
    return cache


def controls(given: dict[str, Tensor], mark: str = "3_") -> dict[str, Tensor]:
    return {key.replace(mark, "_"): rows(x) for key, x in given.items()}


def test_nothing_inserted_changes_nothing(unet, base):
    out = run(unet, base.inputs["sample"], base.inputs["text"], 500, Insertion())
    close(out, rows(base.outputs["plain_denoise"]))


def test_the_maps_of_a_reference(base, features):
    for key, x in base.outputs.items():
        if key.startswith("cache"):
            close(features[key.split(".")[1]], x)


def test_v1(unet, base, features):
    weights, given, out = read("unet_v1")
    adapter = ReferenceAdapter(SKReference, down=DOWN, mid=32, up=UP[1:], first_up=1, heads=4)
    filled(adapter, weights)
    first = {key: x for key, x in given.items() if key.startswith("down_")}
    second = {key.replace("2_", "_"): x for key, x in given.items() if key.startswith("down2_")}
    control = combine(controls(first), controls(second))
    entered = Insertion(control=control, reference=adapter, prepared=adapter.prepare(features))
    close(run(unet, base.inputs["sample"], base.inputs["text"], 500, entered), rows(out["y"]))


@pytest.mark.parametrize("version", ["v5b", "v5c"])
def test_v5b_and_v5c(unet, base, features, version):
    weights, given, out = read("unet_v5b_v5c")
    adapter = filled(ReferenceAdapter(STKReference, up=UP, heads=4), weights)
    maps = features
    if version == "v5c":
        own = {key.removeprefix("ref."): x for key, x in given.items() if key.startswith("ref.")}
        maps = {}
        run(unet, base.inputs["ref_in"], base.inputs["text"], 0, Insertion(control=controls(own)), maps)
        for key, x in out.items():
            if key.startswith("cache"):
                close(maps[key.split(".")[1]], x)
    control = controls({key: x for key, x in given.items() if not key.startswith("ref.")})
    entered = Insertion(control=control, reference=adapter, prepared=adapter.prepare(maps))
    close(run(unet, base.inputs["sample"], base.inputs["text"], 500, entered), rows(out[version]))


def walk(unet, x, text, t, frames, control, features, adapter, motion, pads) -> Tensor:
    """The published pass over rows, block by block, its additions in place."""
    x, states = x.clone(), text.repeat_interleave(frames, 0)
    emb = unet.time_embedding(unet.time_proj(torch.full((len(x),), t)).to(x.dtype))

    def read_others(point, x):
        if point in adapter.points:
            module = adapter.points[point]
            x = module(x, module.prepare(features[point].repeat_interleave(frames, 0)))
        return motion.points[point](x, emb, frames, pads.get(point)) if motion else x

    def states_for(block):
        return {"encoder_hidden_states": states} if getattr(block, "has_cross_attention", False) else {}

    x = unet.conv_in(x)
    skips = [x]
    for i, block in enumerate(unet.down_blocks):
        x, new = block(hidden_states=x, temb=emb, **states_for(block))
        if f"down_{i}" in control:
            x += control[f"down_{i}"]
        skips.extend(new)
        x = read_others(f"down_{i}", x)
    x = unet.mid_block(x, emb, encoder_hidden_states=states)
    for i, block in enumerate(unet.up_blocks):
        x += control[f"up_{i}"]
        x = read_others(f"up_{i}", x)
        count = len(block.resnets)
        x = block(hidden_states=x, temb=emb, res_hidden_states_tuple=tuple(skips[-count:]), **states_for(block))
        del skips[-count:]
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(x)))


def stirred(module):
    """The module with every weight random: adapters start from zero, which would hide a wrong order."""
    for parameter in module.parameters():
        parameter.data = torch.randn_like(parameter) * 0.1
    return module.eval()


@pytest.fixture(scope="module")
def even():
    """A random U-Net of four blocks, all 32 wide, as v5's norms ask."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32,) * 4,
        layers_per_block=1,
        norm_num_groups=8,
        cross_attention_dim=24,
        attention_head_dim=4,
    ).eval()


@pytest.mark.parametrize(
    ("version", "reference", "first_up", "moves", "padded"),
    [
        ("v2", SKReference, 1, None, False),
        ("v3", SKReference, 0, lambda c: SKMotion(c, time_channels=128), True),
        ("v3", SKReference, 0, lambda c: SKMotion(c, time_channels=128), False),
        ("v5", SKReferenceV5, 0, MotionV5, True),
        ("v5", SKReferenceV5, 0, MotionV5, False),
    ],
)
def test_the_published_order_at_every_point(even, base, version, reference, first_up, moves, padded):
    torch.manual_seed(1)
    frames, text = 2, base.inputs["text"]
    features: dict[str, Tensor] = {}
    with insert(even, Insertion(), features):
        even(torch.randn(2, 4, 16, 16), 0, encoder_hidden_states=text)
    adapter = stirred(ReferenceAdapter(reference, up=(32,) * (4 - first_up), first_up=first_up))
    motion = stirred(MotionAdapter(moves, down=(32,) * 4, up=(32,) * 4)) if moves else None
    points = [point for point in features if point != "mid" and (version != "v2" or point.startswith("up"))]
    control = {point: torch.randn_like(features[point].repeat_interleave(frames, 0)) for point in points}
    pads = {point: torch.randn(2, 32, 2, *features[point].shape[2:]) for point in points} if padded else {}
    x, states = torch.randn(4, 4, 16, 16), text.repeat_interleave(frames, 0)
    plain = walk(even, x, text, 500, frames, control, features, adapter, motion, pads)
    entered = Insertion(control, adapter, adapter.prepare(features), motion, frames, pads)
    with insert(even, entered):
        out = even(x, 500, encoder_hidden_states=states).sample
    close(out, plain)
    assert (out - even(x, 500, encoder_hidden_states=states).sample).abs().max() > 0.01


def test_hooks_go_even_after_an_error(unet, base):
    before = run(unet, base.inputs["sample"], base.inputs["text"], 500, Insertion())
    control = {"down_0": torch.ones(1, 16, 8, 8)}
    with pytest.raises(RuntimeError, match="stop"), insert(unet, Insertion(control=control)):
        raise RuntimeError("stop")
    assert torch.equal(run(unet, base.inputs["sample"], base.inputs["text"], 500, Insertion()), before)


def test_control_reaches_the_skip_connection(even, base):
    # the last down block's map enters the first up block twice: through the mid block and beside it
    seen = []
    handle = even.up_blocks[0].register_forward_pre_hook(
        lambda _m, _a, kwargs: seen.append(kwargs["res_hidden_states_tuple"][-1]), with_kwargs=True
    )
    x, added = torch.randn(1, 4, 16, 16), torch.randn(1, 32, 2, 2)
    try:
        for control in ({}, {"down_3": added}):
            with insert(even, Insertion(control=control)):
                even(x, 500, encoder_hidden_states=base.inputs["text"][:1])
    finally:
        handle.remove()
    close(seen[1], seen[0] + added)


def test_points_that_a_unet_does_not_have(unet):
    assert points_of(unet) == (*(f"down_{i}" for i in range(4)), "mid", *(f"up_{i}" for i in range(4)))
    with pytest.raises(ValueError, match="down_4"), insert(unet, Insertion(control={"down_4": torch.zeros(1)})):
        pass


def test_controls_for_a_guided_pass():
    empty, full = {"up_0": torch.zeros(1, 2)}, {"up_0": torch.ones(1, 2)}
    assert halves(empty, full)["up_0"].tolist() == [[0, 0], [1, 1]]
    assert combine(full, full, {"up_1": torch.ones(1)})["up_0"].tolist() == [[2, 2]]


def test_hooks_are_shared_and_gone_in_the_end(unet):
    with hooked(unet), insert(unet, Insertion()):
        assert len(unet.down_blocks[0]._forward_hooks) == 1
    blocks = (*unet.down_blocks, unet.mid_block, *unet.up_blocks)
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in blocks)
    assert ATTRIBUTE not in unet.__dict__


def test_threads_insert_beside_each_other(unet, base):
    x, text = torch.randn(1, 4, 16, 16), base.inputs["text"][:1]
    shares = [i / 4 for i in range(8)]

    def draw(share: float) -> Tensor:
        with torch.no_grad(), insert(unet, Insertion(control={"up_0": torch.full((1, 32, 2, 2), share)})):
            return unet(x, 500, encoder_hidden_states=text).sample

    alone = [draw(share) for share in shares]
    with hooked(unet), ThreadPoolExecutor(4) as pool:
        together = list(pool.map(draw, shares))
        with torch.no_grad():
            plain = unet(x, 500, encoder_hidden_states=text).sample
    for one, other in zip(alone, together, strict=True):
        close(other, one)
    close(plain, alone[0])
    assert (alone[7] - alone[0]).abs().max() > 1e-3


def test_a_unet_in_another_precision_than_its_adapters(unet, base, features):
    adapter = filled(ReferenceAdapter(STKReference, up=UP, heads=4), read("unet_v5b_v5c").weights)
    entered = Insertion(
        reference=adapter.bfloat16(), prepared=adapter.prepare({k: x.bfloat16() for k, x in features.items()})
    )
    out = run(unet, base.inputs["sample"], base.inputs["text"], 500, entered)
    assert out.dtype == torch.float32 and out.isfinite().all()
