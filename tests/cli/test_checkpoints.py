"""Options of a model, from the command line to the picture, its record and its fingerprint."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.models import tiny

PROMPTS = ("interpolate", "a red ball", "a blue ball", "--frames", 3, "--steps", 2, "--dtype", "float32", "--size", 32)
QUERY = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_v"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.sd(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    made = tmp_path_factory.mktemp("files")
    torch.manual_seed(3)
    key = f"lora_unet_{QUERY}"
    down, up = torch.randn(4, 16), torch.randn(16, 4)
    save_file({f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up}, made / "style.safetensors")
    save_file({"emb_params": torch.randn(2, 16)}, made / "word.safetensors")
    tiny.vae().save_pretrained(made / "vae")
    return made


def drawn(laser, folder, out, *options):
    code, stdout, stderr = laser(*PROMPTS, "--model", folder, "-o", out, "--json", *options)
    assert code == 0, stderr
    return json.loads(stdout), Image.open(out).tobytes()


def test_each_option_changes_the_picture_the_record_and_the_fingerprint(laser, folder, files, tmp_path):
    asked = {
        "plain": (),
        "lora": ("--lora", f"{files / 'style.safetensors'}:0.8"),
        "half": ("--lora", f"{files / 'style.safetensors'}:0.4"),
        "vae": ("--vae", files / "vae"),
        "long": ("--prompt-chunks", 2),
        "lcm": ("--scheduler", "lcm"),
        "karras": ("--scheduler", "euler", "--timestep-spacing", "karras"),
    }
    told = {name: drawn(laser, folder, tmp_path / f"{name}.png", *options) for name, options in asked.items()}
    assert len({picture for _, picture in told.values()}) == len(asked)
    assert len({result["fingerprint"] for result, _ in told.values()}) == len(asked)
    code, stdout, stderr = laser("show", tmp_path / "lora.png", "--json")
    assert code == 0, stderr
    assert "style.safetensors:0.8" in stdout


def test_what_an_output_records_makes_it_again(laser, folder, files, tmp_path):
    options = ("--lora", f"{files / 'style.safetensors'}:0.8", "--embedding", files / "word.safetensors")
    _, picture = drawn(laser, folder, tmp_path / "a.png", *options, "--prompt-weights")
    assert str(files) not in laser("show", tmp_path / "a.png", "--json")[1]
    again = ("interpolate", "--from", tmp_path / "a.png", "-o", tmp_path / "b.png", "--model", folder)
    code, _, stderr = laser(*again)
    assert code == 3 and "there is no LoRA style.safetensors" in stderr
    code, _, stderr = laser(*again, *options)
    assert code == 0, stderr
    assert Image.open(tmp_path / "b.png").tobytes() == picture


def test_a_moved_file_of_the_same_contents_is_up_to_date(laser, folder, files, tmp_path):
    out = tmp_path / "a.png"
    drawn(laser, folder, out, "--lora", files / "style.safetensors")
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes((files / "style.safetensors").read_bytes())
    _, _, stderr = laser(*PROMPTS, "--model", folder, "-o", out, "--lora", moved, "--skip-existing")
    assert "up to date" in stderr
    moved.write_bytes(moved.read_bytes()[:-1] + b"\x01")
    code, _, stderr = laser(*PROMPTS, "--model", folder, "-o", out, "--lora", moved, "--skip-existing")
    assert code == 0 and "up to date" not in stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--lora", "nowhere.safetensors"), 3, "there is no LoRA nowhere.safetensors"),
        (("--lora", "nowhere.safetensors:much"), 2, "'much' is not a weight"),
        (("--embedding", "nowhere.pt"), 3, "there is no embedding nowhere.pt"),
        (("--vae", "nowhere"), 3, "there is no VAE nowhere"),
        (("--prompt-chunks", 0), 2, "prompt-chunks"),
        (("--steps", 1000), 2, "cannot be divided into 1000 steps"),
        (("--scheduler", "best"), 2, "--scheduler best is not known"),
        (("--scheduler", "lcm", "--timestep-spacing", "karras"), 2, "does not fit the scheduler LCMScheduler"),
        (("--guidance", -1), 2, "guidance"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_drawn(laser, folder, tmp_path, options, code, said):
    got, stdout, stderr = laser(*PROMPTS, "--model", folder, "-o", tmp_path / "x.png", *options)
    assert (got, stdout) == (code, "") and said in stderr
    assert not (tmp_path / "x.png").exists()


def test_presets_may_hold_them(laser, folder, files, tmp_path):
    preset = tmp_path / "mine.yaml"
    preset.write_text(f"lora: ['{files / 'style.safetensors'}:0.8']\n")
    with_preset = drawn(laser, folder, tmp_path / "a.png", "--preset", preset)[1]
    with_flag = drawn(laser, folder, tmp_path / "b.png", "--lora", f"{files / 'style.safetensors'}:0.8")[1]
    assert with_preset == with_flag


def test_a_latent_consistency_model_costs_no_guidance(laser, tmp_path):
    from diffusers import LCMScheduler

    folder = tiny.sd(tmp_path / "m", scheduler=LCMScheduler(), time_cond_proj_dim=16)
    told = {g: drawn(laser, folder, tmp_path / f"{g}.png", "--guidance", g) for g in (2, 8)}
    assert told[2][1] != told[8][1]
    assert told[2][0]["evaluations"] == told[8][0]["evaluations"]


def test_an_overflow_is_told_once_and_quiet_means_quiet(laser, folder, tmp_path):
    """Weights beyond float16: the run goes on in a wider precision and says so, as a warning of its own."""
    import shutil

    from safetensors.torch import load_file

    spoiled = shutil.copytree(folder, tmp_path / "m")
    file = spoiled / "unet" / "diffusion_pytorch_model.safetensors"
    told = load_file(file)
    told["conv_in.bias"][0] = 1e6
    save_file(told, file, metadata={"format": "pt"})
    run = (*PROMPTS[:-3], "float16", "--size", 32, "--model", spoiled)
    code, _, stderr = laser(*run, "-o", tmp_path / "a.png")
    assert code == 0 and stderr.count("beyond float16") == 1
    assert laser(*run, "-o", tmp_path / "b.png", "--quiet")[2] == ""


@pytest.mark.parametrize("make", [tiny.sd, tiny.sdxl])
def test_a_checkpoint_of_few_steps_is_drawn_without_guidance(laser, make, tmp_path):
    """SDXL-Turbo's and Lightning's own settings: guidance 0, trailing steps; 0 and 1 are the same job."""
    folder = make(tmp_path / "m")
    options = ("--scheduler", "euler", "--timestep-spacing", "trailing")
    told = {g: drawn(laser, folder, tmp_path / f"{g}.png", "--guidance", g, *options) for g in (0, 1)}
    assert told[0] == (told[1][0] | {"paths": told[0][0]["paths"]}, told[1][1])
    assert told[0][0]["evaluations"] < drawn(laser, folder, tmp_path / "x.png", *options)[0]["evaluations"]
    code, _, stderr = laser("interpolate", "--from", tmp_path / "0.png", "-o", tmp_path / "b.png", "--model", folder)
    assert code == 0, stderr
    assert Image.open(tmp_path / "b.png").tobytes() == told[0][1]


def test_motions_layers_are_chosen_where_motion_is_read(laser, folder, tmp_path):
    Image.new("RGB", (32, 32), (200, 120, 40)).save(tmp_path / "p.png")
    run = ("animate", tmp_path / "p.png", "the ball moves left", "-p", "a red ball", "--frames", 3, "--steps", 2)
    run = (*run, "--model", folder, "--dtype", "float32", "--planner", "rules", "--no-even-pace")
    told = {}
    for name, first in (("own", ()), ("first", ("--motion-from", 0)), ("none", ("--motion-from", 99))):
        code, _, stderr = laser(*run, "--control", "motion", *first, "-o", tmp_path / f"{name}.png")
        assert (code, "cannot begin at self-attention 99" in stderr) == ((2, True) if name == "none" else (0, False))
        told[name] = Image.open(tmp_path / f"{name}.png").tobytes() if not code else b""
    assert told["own"] != told["first"]
    code, _, stderr = laser(*run, "--control", "texture", "--motion-from", 1, "-o", tmp_path / "x.png")
    assert code == 2 and "would do nothing" in stderr


def test_an_inversion_is_bound_to_its_schedule(laser, folder, tmp_path):
    Image.new("RGB", (16, 16), (200, 120, 40)).save(tmp_path / "p.png")
    picture, inversion = tmp_path / "p.png", tmp_path / "i.safetensors"
    on = ("--model", folder, "--dtype", "float32")
    code, _, stderr = laser(
        "invert", picture, "-p", "a red ball", "-o", inversion, "--steps", 2, *on, "--scheduler", "euler"
    )
    assert code == 0, stderr
    run = ("animate", picture, "a blue ball", "-p", "a red ball", "--inversion", inversion, "--frames", 3, *on)
    code, _, stderr = laser(*run, "-o", tmp_path / "a.gif")
    assert code == 5 and "another noise schedule" in stderr and "--scheduler" in stderr
    code, _, stderr = laser(*run, "-o", tmp_path / "a.gif", "--scheduler", "euler")
    assert code == 0, stderr
