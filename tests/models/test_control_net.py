"""ControlNets against the library's pipelines."""

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from laser_cli.engine.sample import denoise, last
from laser_cli.engine.schedule import noise_like
from laser_cli.errors import NotFoundError
from laser_cli.models.control_net import as_condition, conditioned, load_control_net, with_control_nets
from laser_cli.models.load import load_model
from tests.models import tiny

PROMPT = "a red ball in a meadow"


def picture(seed):
    return torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("weights", [(1.0,), (0.6,), (0.5, 0.9)])
@pytest.mark.parametrize("make", [tiny.sd, tiny.sdxl])
def test_it_draws_what_the_librarys_pipeline_draws(make, weights, tmp_path):
    scheduler = diffusers.DDIMScheduler(**tiny.SCHEDULE, clip_sample=False)
    model = load_model(str(make(tmp_path / "m", scheduler=scheduler)), "cpu", "float32")
    for i in range(len(weights)):
        tiny.control_net(model.unet, seed=i).save_pretrained(tmp_path / str(i))
    nets = [load_control_net(model, tmp_path / str(i), weight) for i, weight in enumerate(weights)]
    pictures = [picture(i)[None] for i in range(len(weights))]
    led, noise = with_control_nets(model, nets), noise_like((4, 8, 8), 0)[None]
    told = conditioned(model.encode_prompts(["", PROMPT]), [x.expand(2, -1, -1, -1) for x in pictures])

    def drawn(model):
        with torch.inference_mode():
            levels = model.schedule.levels(3)
            return last(denoise(model.backbone, noise, levels, told.select([1]), told.select([0]), 4.0))

    kind = (
        diffusers.StableDiffusionControlNetPipeline
        if make is tiny.sd
        else diffusers.StableDiffusionXLControlNetPipeline
    )
    parts = diffusers.DiffusionPipeline.from_pretrained(tmp_path / "m", safety_checker=None).components
    parts = {key: value for key, value in parts.items() if key in kind._get_signature_keys(kind)[0]}
    more = {"requires_safety_checker": False} if make is tiny.sd else {"add_watermarker": False}
    pipeline = kind(**parts, controlnet=[net.net for net in nets], **more)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        PROMPT,
        image=pictures,
        latents=noise.clone(),
        num_inference_steps=3,
        guidance_scale=4.0,
        height=16,
        width=16,
        controlnet_conditioning_scale=list(weights),
        output_type="latent",
    ).images
    got = drawn(led)
    assert torch.allclose(got, expected, atol=1e-4 * float(expected.abs().max()))
    assert not torch.allclose(got, drawn(model), rtol=1e-2)


def test_frames_between_two_conditions_are_led_by_their_blend(sd_folder, tmp_path):
    """The condition at t is (1 - t) a + t b, of the unprompted half too."""
    from laser_cli.engine.render import render
    from laser_cli.engine.spec import Frame, Keyframe, RenderSpec, SamplingParams

    model = load_model(str(sd_folder), "cpu", "float32")
    tiny.control_net(model.unet).save_pretrained(tmp_path / "net")
    led = with_control_nets(model, [load_control_net(model, tmp_path / "net")])
    told, noise = model.encode_prompts(["", PROMPT]), noise_like((4, 8, 8), 0)[None]
    a, b = (conditioned(told.select([1]), [picture(i)[None]]) for i in (1, 2))
    spec = RenderSpec([Keyframe(noise, a), Keyframe(noise, b)], [Frame(0, 0.25)], told.select([0]), blend=None)
    with torch.inference_mode():
        levels = model.schedule.levels(2)
        steps = render(led.backbone, levels, spec, SamplingParams(guidance=3.0), None, model.workers)
        finished = [step.finished for step in steps if step.finished]
        (frame,) = [done.latents for done in finished if done.first == 0]
        blended = [torch.lerp(picture(1), picture(2), 0.25)[None]]
        between = [conditioned(told.select([k]), blended) for k in (0, 1)]
        expected = last(denoise(led.backbone, noise, levels, between[1], between[0], 3.0))
    assert torch.allclose(frame, expected, atol=1e-4 * float(expected.abs().max()))


def test_a_single_file_is_the_same_net(sd_folder, tmp_path):
    model = load_model(str(sd_folder), "cpu", "float32")
    tiny.control_net(model.unet).save_pretrained(tmp_path / "net")
    expected = load_control_net(model, tmp_path / "net").net.state_dict()
    save_file(load_file(tmp_path / "net" / "diffusion_pytorch_model.safetensors"), tmp_path / "net.safetensors")
    got = load_control_net(model, tmp_path / "net.safetensors").net.state_dict()
    assert all(torch.equal(got[key], value) for key, value in expected.items())


def test_what_does_not_fit_is_refused(sd_folder, sdxl_folder, tmp_path):
    model, other = (load_model(str(folder), "cpu", "float32") for folder in (sd_folder, sdxl_folder))
    tiny.control_net(other.unet).save_pretrained(tmp_path / "net")
    (tmp_path / "x.safetensors").write_bytes(b"\x10")
    for path, said in (
        (tmp_path / "net", "does not fit"),
        (sd_folder / "vae", "is not a ControlNet"),
        (tmp_path / "nowhere", "there is no ControlNet"),
        (tmp_path / "x.safetensors", "cannot load the ControlNet"),
        (sd_folder / "unet" / "diffusion_pytorch_model.safetensors", "is not a ControlNet"),
    ):
        with pytest.raises(NotFoundError, match=said):
            load_control_net(model, path)


def test_a_condition_takes_the_size_of_the_drawing():
    assert as_condition(torch.rand(3, 50, 70), (24, 16)).shape == (1, 3, 16, 24)
