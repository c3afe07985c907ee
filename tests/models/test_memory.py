"""Memory and speed on request: text encoders that are freed, compiled blocks, layouts of random weights."""

import gc
import weakref

import pytest
import torch
from safetensors.torch import save_file

from laser_cli.measure.layouts import write_layout
from laser_cli.models.compiled import BLOCKS, compile_blocks
from laser_cli.models.load import load_model
from laser_cli.models.options import Lora, ModelOptions
from tests.models import ldm, tiny

PROMPTS = ["", "a red ball", "a blue ball"]
TEXT = "text_model.encoder.layers.0.self_attn.q_proj"


@pytest.mark.parametrize("form", ["sd", "sdxl", "single file"])
def test_freed_text_encoders_are_read_again_when_a_new_prompt_comes(form, tmp_path, monkeypatch):
    """With what was added to them, and to the same numbers."""
    folder = (tiny.sdxl if form == "sdxl" else tiny.sd)(tmp_path / "m")
    path = folder
    if form == "single file":
        from laser_cli.models import single_file

        path = ldm.single_file(folder, tmp_path / "m.safetensors")
        monkeypatch.setattr(single_file, "config_folder", lambda family: folder)
    torch.manual_seed(2)
    name = TEXT.replace(".", "_")
    of_text = {"lora_te_" + name: (16, 16), "lora_unet_down_blocks_0_resnets_0_conv1": None}
    told = {f"{key}.lora_down.weight": torch.randn(2, 16) for key, shape in of_text.items() if shape}
    told |= {f"{key}.lora_up.weight": torch.randn(16, 2) for key, shape in of_text.items() if shape}
    told |= {
        "lora_unet_mid_block_resnets_0_conv1.lora_down.weight": torch.randn(2, 32, 3, 3),
        "lora_unet_mid_block_resnets_0_conv1.lora_up.weight": torch.randn(32, 2, 1, 1),
    }
    save_file(told, tmp_path / "x.safetensors")
    save_file({"emb_params": torch.randn(2, 16)}, tmp_path / "word.safetensors")
    embeddings = () if form == "sdxl" else (tmp_path / "word.safetensors",)
    added = {"loras": (Lora(tmp_path / "x.safetensors"),), "embeddings": embeddings}
    prompts = [*PROMPTS, "a word"]
    plain = load_model(str(path), "cpu", "float32", options=ModelOptions(**added))
    expected = plain.encode_prompts(prompts)
    model = load_model(str(path), "cpu", "float32", options=ModelOptions(**added, free_text_encoders=True))
    first = weakref.ref(model.text_encoder)
    for asked in (PROMPTS[1:], PROMPTS, ["a word", ""], prompts):
        got = model.encode_prompts(asked)
        rows = [prompts.index(prompt) for prompt in asked]
        assert torch.allclose(got.prompt_embeds, expected.prompt_embeds[rows], atol=1e-5)
        if form == "sdxl":
            assert torch.allclose(got.pooled, expected.pooled[rows], atol=1e-5)
            assert model.second.encoder is None
        assert model.text_encoder is None
    gc.collect()
    assert first() is None, "the text encoder is still held somewhere"
    assert model.revision == plain.revision


def test_a_run_reads_freed_text_encoders_once(sd_folder, monkeypatch):
    from laser_cli import api
    from laser_cli.models import load

    read, made = [], load.load_parts
    monkeypatch.setattr(load, "load_parts", lambda *args: read.append(args) or made(*args))
    model = load_model(str(sd_folder), "cpu", "float32", options=ModelOptions(free_text_encoders=True))
    how = {"model": model, "frames": 3, "steps": 2, "size": 32}
    drawn = api.animate(plan=None, description="the ball turns blue", prompt="a red ball", planner="rules", **how)
    assert len(drawn.frames) == 3 and len(read) == 1 and model.text_encoder is None
    plain = api.animate(
        description="the ball turns blue",
        prompt="a red ball",
        planner="rules",
        **{**how, "model": load_model(str(sd_folder), "cpu", "float32")},
    )
    assert all(abs(a.astype(int) - b.astype(int)).max() <= 1 for a, b in zip(drawn.frames, plain.frames, strict=True))


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_blocks_draw_the_same(sd_folder, backend):
    """Hooks still reach the feature maps inside compiled blocks."""
    from laser_cli.engine.spec import Frame, SamplingParams
    from tests.engine.toy import animation, finished

    made = [tiny_backbone(sd_folder) for _ in range(2)]
    assert compile_blocks(made[1].unet, backend) == sum(type(m).__name__ in BLOCKS for m in made[1].unet.modules()) > 4
    spec = animation([Frame(0, 0.4)], {"texture": 1.0}, {"texture": 1.0})
    (keys, frames), (compiled_keys, compiled_frames) = (finished(b, spec, SamplingParams(3.0)) for b in made)
    for plain, compiled in zip([*keys, *frames], [*compiled_keys, *compiled_frames], strict=True):
        assert torch.allclose(plain, compiled, atol=1e-3)


def tiny_backbone(folder):

    from laser_cli.models.unet import UNetBackbone

    torch.manual_seed(0)
    return UNetBackbone(tiny.unet(12).eval().requires_grad_(False), "epsilon", 2)


@pytest.mark.parametrize(("family", "attentions"), [("SD 1.x", 16), ("SD 2.x", 16), ("SDXL", 70)])
def test_a_layout_of_random_weights_is_a_model_of_its_family(family, attentions, tmp_path):
    from laser_cli.models.identify import identify
    from laser_cli.models.verify import problems

    folder = write_layout(tmp_path / "m", family, small=True)
    told = "SD 1.x" if family == "SD 2.x" else family  # which is told by its width alone
    assert identify(folder).require("m") == told and not list(problems(folder, deep=True))
    model = load_model(str(folder), "cpu", "float32")
    assert sum(name.endswith(".attn1") for name in model.backbone.attentions) == attentions
    x, told = torch.randn(1, 4, 8, 8), model.encode_prompts(["a ball"])
    with torch.inference_mode():
        _, eps = model.backbone.predict(x, model.schedule.levels(2)[0], told)
    assert 0.05 < float(eps.std()) < 20, "activations do not keep their size"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_weights_go_straight_to_the_card(tmp_path):
    folder = write_layout(tmp_path / "m", "SD 1.x", small=True)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    model = load_model(str(folder), "cuda", "float16")
    held = sum(
        p.numel() * p.element_size() for n in (model.unet, model.vae, model.text_encoder) for p in n.parameters()
    )
    assert torch.cuda.max_memory_allocated() - before < 1.1 * held + 2**21
