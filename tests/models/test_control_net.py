"""ControlNets against the library's pipelines, between keyframes, and as files and folders of every kind."""

import json
from dataclasses import replace

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from laser_cli.controls.aid import best_outer
from laser_cli.engine.render import render
from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import every, noise_like
from laser_cli.engine.spec import Frame, Keyframe, RenderSpec, SamplingParams
from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models import load_control_net as loading
from laser_cli.models.conditioning import Conditioning
from laser_cli.models.control_net import HINT, WEIGHT, as_condition, conditioned, faded, residuals, with_control_nets
from laser_cli.models.load import load_model
from laser_cli.models.load_control_net import find_control_net, load_control_net, parse_control_net
from laser_cli.stages.conditions import Courses
from tests.models import ldm, tiny

PROMPT = "a red ball in a meadow"
WHOLE = (0.0, 1.0)


def picture(seed):
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sd") / "m"
    return load_model(str(tiny.sd(folder)), "cpu", "float32")


@pytest.fixture(scope="module")
def net_folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets") / "net"
    tiny.control_net(model.unet).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("weights", "shares"),
    [((1.0,), (WHOLE,)), ((0.6,), ((0.3, 0.8),)), ((0.5, 0.9), (WHOLE, (0.0, 0.4))), ((1.0,), ((0.26, 0.49),))],
)
@pytest.mark.parametrize("make", [tiny.sd, tiny.sdxl])
def test_it_draws_what_the_librarys_pipeline_draws(make, weights, shares, tmp_path):
    """One net or several, whole or in a share of the steps; one that lies within no step leads nowhere."""
    scheduler = diffusers.DDIMScheduler(**tiny.SCHEDULE, clip_sample=False)
    model = load_model(str(make(tmp_path / "m", scheduler=scheduler)), "cpu", "float32")
    pictures = [picture(i)[None] for i in range(len(weights))]
    for i in range(len(weights)):
        tiny.control_net(model.unet, seed=i).save_pretrained(tmp_path / str(i))
    theirs = [diffusers.ControlNetModel.from_pretrained(tmp_path / str(i)) for i in range(len(weights))]
    nets = [
        load_control_net(model, tmp_path / str(i), w, *share)
        for i, (w, share) in enumerate(zip(weights, shares, strict=True))
    ]
    led, noise = with_control_nets(model, nets), noise_like((4, 8, 8), 0)[None]
    plain = model.encode_prompts(["", PROMPT])

    def drawn(backbone, told):
        with torch.inference_mode():
            return last(denoise(backbone, noise, model.schedule.levels(4), told.select([1]), told.select([0]), 4.0))

    told = conditioned(plain, nets, [x.expand(2, -1, -1, -1) for x in pictures])
    kind = (
        diffusers.StableDiffusionControlNetPipeline
        if make is tiny.sd
        else diffusers.StableDiffusionXLControlNetPipeline
    )
    parts = diffusers.DiffusionPipeline.from_pretrained(tmp_path / "m", safety_checker=None).components
    parts = {key: value for key, value in parts.items() if key in kind._get_signature_keys(kind)[0]}
    more = {"requires_safety_checker": False} if make is tiny.sd else {"add_watermarker": False}
    pipeline = kind(**parts, controlnet=theirs, **more)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        PROMPT,
        image=pictures,
        latents=noise.clone(),
        num_inference_steps=4,
        guidance_scale=4.0,
        height=16,
        width=16,
        controlnet_conditioning_scale=list(weights),
        control_guidance_start=[start for start, _ in shares],
        control_guidance_end=[end for _, end in shares],
        output_type="latent",
    ).images
    got = drawn(led.backbone, told)
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))
    never = shares == ((0.26, 0.49),)
    assert torch.allclose(got, drawn(model.backbone, plain), rtol=1e-4, atol=1e-5) == never


def test_a_share_of_the_steps_is_the_same_share_of_a_draft(model):
    levels = model.schedule.levels(8)
    assert [(level.begin, level.end) for level in levels[:2]] == [(0, 0.125), (0.125, 0.25)]
    assert [(level.begin, level.end) for level in every(levels, 3)] == [(0, 0.375), (0.375, 0.75), (0.75, 1)]


def test_frames_between_two_conditions_are_led_by_their_blend(model, net_folder):
    """The hint at t is (1 - t) of the one and t of the other, of the unprompted half too."""
    nets = [replace(load_control_net(model, net_folder), interpolated=False)]
    led = with_control_nets(model, nets)
    told, noise = model.encode_prompts(["", PROMPT]), noise_like((4, 8, 8), 0)[None]
    a, b = (conditioned(told.select([1]), nets, [picture(i)[None]]) for i in (1, 2))
    spec = RenderSpec([Keyframe(noise, a), Keyframe(noise, b)], [Frame(0, 0.25)], told.select([0]), blend=None)
    with torch.inference_mode():
        levels = model.schedule.levels(2)
        frame = rendered(led, spec, levels)
        cond = a.lerp(b, torch.tensor([0.25]))
        expected = last(denoise(led.backbone, noise, levels, cond, told.select([0]).beside(cond), 3.0))
    assert torch.allclose(frame, expected, atol=1e-4 * float(expected.abs().max()))
    between = torch.lerp(a.spatial[f"{HINT}0"], b.spatial[f"{HINT}0"], 0.25)
    assert torch.allclose(cond.spatial[f"{HINT}0"], between) and cond.spatial[f"{WEIGHT}0"].item() == 1


def courses_of(model, nets, told, *conditions):
    """Keyframes of one prompt under these conditions, and how they go on."""
    keyframes = [conditioned(told, nets, [c if c is None else c[None]]) for c in conditions]
    made = faded(keyframes)
    return made, Courses(nets, made, [[None]] * len(made), (64, 64))


def test_between_two_pictures_their_residuals_are_blended(model, net_folder):
    nets, told = [load_control_net(model, net_folder)], model.encode_prompts([PROMPT])
    x, level = noise_like((4, 8, 8), 0)[None], model.schedule.levels(4)[1]
    (a, b), courses = courses_of(model, nets, told, picture(1), picture(2))
    t = torch.tensor([0.25, 0.0, 1.0])
    frames = courses.between(a.lerp(b, t), 0, t)
    with torch.no_grad():
        down, mid = residuals(nets, x.expand(3, -1, -1, -1), level, frames, {})
        (one, first), (other, last_) = (residuals(nets, x, level, each, {}) for each in (a, b))
    for got, begin, end in zip((*down, mid), (*one, first), (*other, last_), strict=True):
        expected = torch.cat([torch.lerp(begin, end, at) for at in t])
        assert torch.allclose(got, expected, atol=1e-5 * max(1.0, float(expected.abs().max())))


def test_only_conditions_that_change_are_drawn_twice(model, net_folder, monkeypatch):
    net, told = load_control_net(model, net_folder), model.encode_prompts([PROMPT])
    x, level, t = noise_like((4, 8, 8), 0)[None], model.schedule.levels(4)[1], torch.tensor([0.5])
    calls, forward = [], type(net.net).forward
    monkeypatch.setattr(type(net.net), "forward", lambda self, *a, **k: calls.append(1) or forward(self, *a, **k))
    for conditions, passes in (
        ((picture(1), picture(1)), [1]),
        ((picture(1), None), [1]),
        ((picture(1), picture(2)), [2]),
        ((picture(1), picture(1), picture(2)), [1, 2]),
    ):
        keyframes, courses = courses_of(model, [net], told, *conditions)
        frames = []
        for segment, count in enumerate(passes):
            frames.append(courses.between(keyframes[segment].lerp(keyframes[segment + 1], t), segment, t))
            calls.clear()
            with torch.no_grad():
                residuals([net], x, level, frames[-1], {})
            assert len(calls) == count, (len(conditions), segment)
        # frames of all segments fit into one call
        assert len(Conditioning.cat(frames)) == len(passes)


def rendered(model, spec, levels, warmup=0.5):
    params = SamplingParams(guidance=3.0, warmup=warmup)
    steps = render(model.backbone, levels, spec, params, None, model.workers)
    (frame,) = [step.finished.latents for step in steps if step.finished and step.finished.first == 0]
    return frame


def test_attention_is_interpolated_inside_the_net_too(model, net_folder):
    """At both ends of the way frames are their keyframes; in between it differs from a net that is left alone."""
    net, noise = load_control_net(model, net_folder), noise_like((4, 8, 8), 0)[None]
    told, levels = model.encode_prompts(["", PROMPT, "a house"]), model.schedule.levels(2)
    a, b = (conditioned(told.select([i]), [net], [picture(i)[None]]) for i in (1, 2))
    keyframes = [Keyframe(noise, a), Keyframe(noise, b)]
    frames = {}
    with torch.inference_mode():
        for inside in (True, False):
            led = with_control_nets(model, [replace(net, interpolated=inside)])
            for t in (0.0, 0.4, 1.0):
                spec = RenderSpec(keyframes, [Frame(0, t)], told.select([0]), blend=best_outer)
                frames[inside, t] = rendered(led, spec, levels, warmup=1.0)
        ends = [last(denoise(led.backbone, noise, levels, cond, told.select([0]).beside(cond), 3.0)) for cond in (a, b)]
    for inside in (True, False):
        for end, t in zip(ends, (0.0, 1.0), strict=True):
            assert torch.allclose(frames[inside, t], end, atol=1e-3 * float(end.abs().max())), (inside, t)
    apart = (frames[True, 0.4] - frames[False, 0.4]).abs().max()
    assert apart > 1e-4 * frames[True, 0.4].abs().max()


def test_a_keyframe_without_a_condition_is_drawn_as_without_a_net(model, net_folder):
    net, told = load_control_net(model, net_folder), model.encode_prompts([PROMPT])
    led, level = with_control_nets(model, [net]), model.schedule.levels(4)[0]
    x = noise_like((4, 8, 8), 0)[None]
    free, held = faded([told, conditioned(told, [net], [picture(1)[None]])])
    with torch.no_grad():
        alone, faint, there = (led.backbone.predict(x, level, each)[1] for each in (told, free, held))
        half = led.backbone.predict(x, level, free.lerp(held, torch.tensor([0.5])))[1]
    assert torch.allclose(alone, faint, atol=1e-6) and not torch.allclose(alone, there, atol=1e-3)
    assert not torch.allclose(half, there, atol=1e-4) and not torch.allclose(half, alone, atol=1e-4)


def test_a_condition_is_embedded_once_however_many_steps_see_it(model, net_folder, monkeypatch):
    net = load_control_net(model, net_folder)
    calls, forward = [], type(net.embedding).forward
    monkeypatch.setattr(type(net.embedding), "forward", lambda self, x: calls.append(len(x)) or forward(self, x))
    told = conditioned(model.encode_prompts([PROMPT]), [net], [picture(1)[None]])
    with torch.inference_mode():
        led = with_control_nets(model, [net])
        last(denoise(led.backbone, noise_like((4, 8, 8), 0)[None], model.schedule.levels(5), told))
    assert calls == [1]


def test_half_precision_that_overflows_in_a_net_is_left(model, net_folder, caplog):
    net = load_control_net(model, net_folder)
    net = replace(net, net=net.net.half())
    with torch.no_grad():
        for block in net.net.controlnet_down_blocks:
            block.weight.mul_(5e4)
    told = conditioned(model.encode_prompts([PROMPT]), [net], [picture(1)[None]])
    with torch.no_grad():
        led = with_control_nets(model, [replace(net, weight=1e-5)])
        _, eps = led.backbone.predict(noise_like((4, 8, 8), 0)[None], model.schedule.levels(4)[0], told)
    assert torch.isfinite(eps).all() and net.net.dtype == torch.float32
    assert "the ControlNet overflows in float16" in caplog.text


# files, folders and names


@pytest.mark.parametrize(("make", "layout"), [(tiny.sd, "library"), (tiny.sd, "original"), (tiny.sdxl, "library")])
def test_a_single_file_is_the_same_net(make, layout, tmp_path):
    model = load_model(str(make(tmp_path / "m")), "cpu", "float32")
    tiny.control_net(model.unet).save_pretrained(tmp_path / "net")
    expected = load_control_net(model, tmp_path / "net").net.state_dict()
    tensors = load_file(tmp_path / "net" / "diffusion_pytorch_model.safetensors")
    save_file(tensors if layout == "library" else ldm.control_net(tensors, 1), tmp_path / "net.safetensors")
    got = load_control_net(model, tmp_path / "net.safetensors").net.state_dict()
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_what_does_not_fit_is_refused(model, sdxl_folder, net_folder, tmp_path):
    other = load_model(str(sdxl_folder), "cpu", "float32")
    tiny.control_net(other.unet).save_pretrained(tmp_path / "xl")
    (tmp_path / "x.safetensors").write_bytes(b"\x10")
    for name, kind in (("t2i", "T2IAdapter"), ("union", "ControlNetUnionModel"), ("vae", "AutoencoderKL")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"_class_name": kind}))
    for name, key in (("lllite", "lllite_unet.a"), ("lora", "lora_controlnet"), ("body", "adapter.body.0.x")):
        save_file({key: torch.zeros(1)}, tmp_path / f"{name}.safetensors")
    part = load_file(net_folder / "diffusion_pytorch_model.safetensors")
    save_file({k: v for k, v in part.items() if "mid_block" not in k}, tmp_path / "part.safetensors")
    pooled = json.loads((net_folder / "config.json").read_text()) | {"global_pool_conditions": True}
    (tmp_path / "pooled").mkdir()
    (tmp_path / "pooled" / "config.json").write_text(json.dumps(pooled))
    coarse = tiny.diffusers_control_net(model.unet, (8, 16, 32, 48))
    coarse.save_pretrained(tmp_path / "coarse")
    for name, said in (
        ("xl", "does not fit"),
        ("coarse", "8 px of a condition one"),
        ("vae", "is not a ControlNet"),
        ("t2i", "it is a T2I-Adapter"),
        ("union", "it is a ControlNet Union"),
        ("pooled", "the mean of a picture"),
        ("nowhere", "there is no ControlNet"),
        ("x.safetensors", "cannot load the ControlNet"),
        ("lllite.safetensors", "ControlNet-LLLite"),
        ("lora.safetensors", "Control-LoRA"),
        ("body.safetensors", "T2I-Adapter"),
        ("part.safetensors", "it lacks some of the tensors"),
        ("m/unet.safetensors", "there is no ControlNet"),
    ):
        with pytest.raises(NotFoundError) as caught:
            load_control_net(model, tmp_path / name)
        assert said in caught.value.render(), name
    save_file({"conv_in.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(NotFoundError, match="is not a ControlNet"):
        load_control_net(model, tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/name", ("owner/name", 1.0, 0.0, 1.0)),
        ("owner/name:0.8", ("owner/name", 0.8, 0.0, 1.0)),
        ("owner/name:0.8:0-0.6", ("owner/name", 0.8, 0.0, 0.6)),
        ("owner/name:.25-.75", ("owner/name", 1.0, 0.25, 0.75)),
        ("a:b.safetensors:2", ("a:b.safetensors", 2.0, 0.0, 1.0)),
    ],
)
def test_a_net_is_named_with_its_weight_and_its_share(text, expected):
    assert parse_control_net(text) == expected


@pytest.mark.parametrize("text", ["a:much", "a:nan", "a:-1", "a:1:0.6-0.2", "a:1:0-2", "a:1:0-0", "a:1e9"])
def test_numbers_that_cannot_be_are_usage_errors(text):
    with pytest.raises(UsageError, match="--controlnet a"):
        parse_control_net(text)


def test_a_file_with_colons_in_its_name_is_itself(tmp_path):
    odd = tmp_path / "a:0.5"
    odd.mkdir()
    assert parse_control_net(str(odd)) == (str(odd), 1.0, 0.0, 1.0)


def test_a_hub_id_is_found_in_the_cache_or_fetched(net_folder, tmp_path, monkeypatch):
    """Of a repository only the configuration and one set of weights are fetched; unreachable, that is said."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: str(net_folder / file))
    assert find_control_net("owner/net") == net_folder
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: None)

    class Api:
        files = ("config.json", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors", "README.md")

        def model_info(self, name):
            return type("Info", (), {"siblings": [type("S", (), {"rfilename": f}) for f in self.files]})

    wanted = []
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, allow_patterns: wanted.append(allow_patterns) or net_folder
    )
    assert find_control_net("owner/net") == net_folder
    assert wanted == [["config.json", "diffusion_pytorch_model.safetensors"]]
    monkeypatch.setattr(Api, "files", ("control_v11p.pth", "x.safetensors"))
    with pytest.raises(NotFoundError) as caught:
        find_control_net("owner/net")
    assert "hf download owner/net x.safetensors" in caught.value.render()

    def unreachable(self, name):
        raise OSError("no route")

    monkeypatch.setattr(Api, "model_info", unreachable)
    with pytest.raises(NotFoundError) as caught:
        find_control_net("owner/net")
    assert "cannot get the ControlNet owner/net" in caught.value.render() and "--controlnet" in caught.value.render()


def test_what_a_name_cannot_stand_for_is_said(tmp_path, monkeypatch):
    (tmp_path / "net.pth").write_bytes(b"pickle")
    with pytest.raises(NotFoundError) as caught:
        find_control_net(str(tmp_path / "net.pth"))
    assert "convert it where you trust it" in caught.value.render()
    for name in ("./nowhere", "nowhere", "a/b/c", "a/net.pth"):
        with pytest.raises(NotFoundError, match="there is no ControlNet"):
            find_control_net(name)
    monkeypatch.setattr(loading, "EMBEDDED", tmp_path / "none")
    with pytest.raises(NotFoundError, match="embedded ControlNet is missing"):
        find_control_net("storybook")


def test_a_condition_takes_the_size_of_the_drawing():
    assert as_condition(torch.rand(3, 50, 70), (24, 16)).shape == (1, 3, 16, 24)
