"""LoRAs in every format, against the weights that they stand for."""

import re

import pytest
import torch
from safetensors.torch import save_file

from laser_cli.errors import NotFoundError, UsageError
from laser_cli.models.load import load_model
from laser_cli.models.options import Lora, ModelOptions, parse_lora

QUERY = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
CONV = "down_blocks.0.resnets.0.conv1"
TEXT = "encoder.layers.0.self_attn.q_proj"
RANK = 2


def thin(seed, out, into, kernel=()):
    torch.manual_seed(seed)
    return torch.randn(RANK, into, *kernel) * 0.3, torch.randn(out, RANK, *([1] * len(kernel))) * 0.3


@pytest.fixture(scope="module")
def plain(sd_folder):
    return load_model(str(sd_folder), "cpu", "float32")


def lora(folder, plain, form, alpha=4.0):
    """A LoRA's file, and what it adds to which weights at weight 1."""
    query = plain.unet.get_submodule(QUERY).weight
    text = plain.text_encoder.get_submodule(TEXT).weight
    (down, up), (t_down, t_up) = thin(1, *query.shape), thin(2, *text.shape)
    scale = alpha / RANK
    expected = {QUERY: scale * up @ down, TEXT: scale * t_up @ t_down}
    alphas = torch.tensor(alpha)
    if form == "diffusers":
        scaled = scale**0.5
        tensors = {f"unet.{QUERY}.lora_A.weight": down * scaled, f"unet.{QUERY}.lora_B.weight": up * scaled}
        tensors |= {
            f"text_encoder.text_model.{TEXT}.lora_A.weight": t_down * scaled,
            f"text_encoder.text_model.{TEXT}.lora_B.weight": t_up * scaled,
        }
    else:
        key, t_key = f"lora_unet_{QUERY.replace('.', '_')}", f"lora_te_text_model_{TEXT.replace('.', '_')}"
        tensors = {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": alphas}
        tensors |= {f"{t_key}.lora_down.weight": t_down, f"{t_key}.lora_up.weight": t_up, f"{t_key}.alpha": alphas}
    if form == "locon":
        conv = plain.unet.get_submodule(CONV).weight
        c_down, c_up = thin(3, conv.shape[0], conv.shape[1], (3, 3))
        key = f"lora_unet_{CONV.replace('.', '_')}"
        tensors |= {f"{key}.lora_down.weight": c_down, f"{key}.lora_up.weight": c_up, f"{key}.alpha": alphas.clone()}
        expected[CONV] = scale * torch.einsum("or,rikl->oikl", c_up[:, :, 0, 0], c_down)
    file = folder / f"{form}.safetensors"
    save_file({k: v.clone() for k, v in tensors.items()}, file)
    return file, expected


def weight(model, name):
    return (model.text_encoder if name == TEXT else model.unet).get_submodule(name).weight


@pytest.mark.parametrize("form", ["kohya", "diffusers", "locon"])
@pytest.mark.parametrize("strength", [1.0, 0.5, -0.7])
def test_its_product_is_added_to_the_weights(sd_folder, plain, tmp_path, form, strength):
    file, expected = lora(tmp_path, plain, form)
    model = load_model(str(sd_folder), "cpu", "float32", options=ModelOptions(loras=(Lora(file, strength),)))
    for name, change in expected.items():
        assert torch.allclose(weight(model, name) - weight(plain, name), strength * change, atol=1e-5), name
    names = [name for name, _ in model.unet.named_parameters()]
    assert names == [name for name, _ in plain.unet.named_parameters()]
    other = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    assert torch.equal(weight(model, other), weight(plain, other))
    assert model.revision != plain.revision


def test_several_add_up(sd_folder, plain, tmp_path):
    (one, first), (two, second) = lora(tmp_path, plain, "kohya"), lora(tmp_path, plain, "locon", alpha=1.0)
    options = ModelOptions(loras=(Lora(one, 0.8), Lora(two, 0.4)))
    model = load_model(str(sd_folder), "cpu", "float32", options=options)
    for name in (QUERY, TEXT):
        expected = 0.8 * first[name] + 0.4 * second[name]
        assert torch.allclose(weight(model, name) - weight(plain, name), expected, atol=1e-5)
    swapped = ModelOptions(loras=(Lora(one, 0.4), Lora(two, 0.8)))
    assert load_model(str(sd_folder), "cpu", "float32", options=swapped).revision != model.revision


def test_one_for_sdxl_changes_both_text_encoders(sdxl_folder, tmp_path):
    plain = load_model(str(sdxl_folder), "cpu", "float32")
    tensors = {}
    for i, te in enumerate(("lora_te1", "lora_te2")):
        down, up = thin(i, 16, 16)
        key = f"{te}_text_model_{TEXT.replace('.', '_')}"
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(2.0)}
    down, up = thin(9, 32, 32)
    query = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    key = f"lora_unet_{query.replace('.', '_')}"
    tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(2.0)}
    save_file({k: v.clone() for k, v in tensors.items()}, tmp_path / "x.safetensors")
    options = ModelOptions(loras=(Lora(tmp_path / "x.safetensors"),))
    model = load_model(str(sdxl_folder), "cpu", "float32", options=options)
    assert torch.allclose(weight(model, query) - weight(plain, query), up @ down, atol=1e-5)
    for i, encoders in enumerate(
        ((m.text_encoder for m in (model, plain)), (m.second.encoder for m in (model, plain)))
    ):
        got, before = (
            next(p for n, p in encoder.named_parameters() if n.endswith(f"{TEXT}.weight")) for encoder in encoders
        )
        down, up = thin(i, 16, 16)
        assert torch.allclose(got - before, up @ down, atol=1e-5)


def test_one_for_another_model_is_refused(sd_folder, plain, tmp_path):
    down, up = thin(1, 640, 640)
    wrong = {"lora_unet_" + QUERY.replace(".", "_"): (down, up), "lora_unet_not_there_attn1_to_q": thin(1, 16, 16)}
    for key, (down, up) in wrong.items():
        file = tmp_path / "x.safetensors"
        save_file(
            {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(1.0)}, file
        )
        with pytest.raises(NotFoundError, match=r"does not fit this SD 1\.x model"):
            load_model(str(sd_folder), "cpu", "float32", options=ModelOptions(loras=(Lora(file),)))


def test_a_loha_is_a_product_of_products(sd_folder, plain, tmp_path):
    before = weight(plain, QUERY)
    (b1, a1), (b2, a2) = thin(1, *before.shape), thin(2, *before.shape)
    key = f"lora_unet_{QUERY.replace('.', '_')}"
    told = {f"{key}.hada_w1_a": a1, f"{key}.hada_w1_b": b1, f"{key}.hada_w2_a": a2, f"{key}.hada_w2_b": b2}
    save_file({**told, f"{key}.alpha": torch.tensor(1.0)}, tmp_path / "x.safetensors")
    options = ModelOptions(loras=(Lora(tmp_path / "x.safetensors", 0.5),))
    model = load_model(str(sd_folder), "cpu", "float32", options=options)
    expected = 0.5 * (1.0 / RANK) * (a1 @ b1) * (a2 @ b2)
    assert torch.allclose(weight(model, QUERY) - before, expected, atol=1e-5)


def test_a_convolution_in_tucker_form(sd_folder, plain, tmp_path):
    before = weight(plain, CONV)
    out, into = before.shape[:2]
    torch.manual_seed(4)
    down, mid, up = torch.randn(RANK, into, 1, 1), torch.randn(RANK, RANK, 3, 3), torch.randn(out, RANK, 1, 1)
    key = f"lora_unet_{CONV.replace('.', '_')}"
    told = {f"{key}.lora_down.weight": down, f"{key}.lora_mid.weight": mid, f"{key}.lora_up.weight": up}
    save_file({**told, f"{key}.alpha": torch.tensor(float(RANK))}, tmp_path / "x.safetensors")
    options = ModelOptions(loras=(Lora(tmp_path / "x.safetensors"),))
    model = load_model(str(sd_folder), "cpu", "float32", options=options)
    x = torch.randn(1, into, 8, 8)
    three = torch.nn.functional.conv2d(x, down)
    three = torch.nn.functional.conv2d(torch.nn.functional.conv2d(three, mid, padding=1), up)
    change = torch.nn.functional.conv2d(x, (weight(model, CONV) - before).detach(), padding=1)
    assert torch.allclose(change, three, atol=1e-3)


@pytest.mark.parametrize("form", ["kohya", "original names", "peft"])
def test_it_is_what_the_librarys_loader_makes_of_it(sdxl_folder, tmp_path, form):
    """Every attention and feed-forward layer of an SDXL model, with peft as a second opinion."""
    pytest.importorskip("peft")
    from diffusers import DiffusionPipeline

    from laser_cli.models.lora import original_name

    pipeline = DiffusionPipeline.from_pretrained(sdxl_folder)
    attended = [hasattr(block, "attentions") for block in pipeline.unet.up_blocks]
    tensors: dict[str, torch.Tensor] = {}
    layers = [n for n, m in pipeline.unet.named_modules() if isinstance(m, torch.nn.Linear) and "transformer_b" in n]
    assert len(layers) > 20
    for i, name in enumerate(layers):
        down, up = thin(i, *pipeline.unet.get_submodule(name).weight.shape)
        if form == "peft":
            tensors |= {f"unet.{name}.lora_A.weight": down, f"unet.{name}.lora_B.weight": up}
            continue
        named = original_name(name, 1, attended) if form == "original names" else name
        key = f"lora_unet_{named.replace('.', '_')}"
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(1.0)}
    file = tmp_path / "x.safetensors"
    save_file({key: value.clone() for key, value in tensors.items()}, file)
    pipeline.load_lora_weights(str(tmp_path), weight_name=file.name, adapter_name="x")
    pipeline.fuse_lora(lora_scale=0.7)
    pipeline.unload_lora_weights()
    model = load_model(str(sdxl_folder), "cpu", "float32", options=ModelOptions(loras=(Lora(file, 0.7),)))
    for name in layers:
        expected = pipeline.unet.get_submodule(name).weight
        assert torch.allclose(weight(model, name), expected, atol=1e-5), name


@pytest.mark.parametrize("rank_alpha", [8.0, 1.0])
def test_alphas_in_the_files_metadata_are_heeded(sd_folder, plain, tmp_path, rank_alpha):
    import json

    down, up = thin(1, *weight(plain, QUERY).shape)
    about = {"lora_adapter_metadata": json.dumps({"unet.r": RANK, "unet.lora_alpha": rank_alpha})}
    told = {f"unet.{QUERY}.lora_A.weight": down, f"unet.{QUERY}.lora_B.weight": up}
    save_file(told, tmp_path / "x.safetensors", metadata=about)
    options = ModelOptions(loras=(Lora(tmp_path / "x.safetensors"),))
    model = load_model(str(sd_folder), "cpu", "float32", options=options)
    expected = rank_alpha / RANK * up @ down
    assert torch.allclose(weight(model, QUERY) - weight(plain, QUERY), expected, atol=1e-5)


def test_the_original_names_are_those_of_published_checkpoints():
    """Names from kohya's SDXL files and from SD 1.5's checkpoint, with the modules they belong to."""
    from laser_cli.models.lora import original_name

    xl, sd = [True, True, False], [False, True, True, True]
    for path, name, attended in (
        ("down_blocks.1.attentions.0.proj_in", "input_blocks.4.1.proj_in", xl),
        ("down_blocks.2.attentions.1.proj_out", "input_blocks.8.1.proj_out", xl),
        ("mid_block.attentions.0.transformer_blocks.3.ff.net.2", "middle_block.1.transformer_blocks.3.ff.net.2", xl),
        ("up_blocks.0.attentions.2.proj_in", "output_blocks.2.1.proj_in", xl),
        ("up_blocks.1.upsamplers.0.conv", "output_blocks.5.2.conv", xl),
        ("down_blocks.0.downsamplers.0.conv", "input_blocks.3.0.op", sd),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.2.1.conv", sd),
        ("up_blocks.3.resnets.2.conv_shortcut", "output_blocks.11.0.skip_connection", sd),
        ("mid_block.resnets.1.time_emb_proj", "middle_block.2.emb_layers.1", sd),
        ("time_embedding.linear_2", "time_embed.2", sd),
    ):
        assert original_name(path, 2, attended) == name


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("lora_unet_x.lokr_w1", "it has lora_unet_x"),
        ("lora_unet_x.oft_diag", "it has OFT"),
        ("lora_unet_x.oft_blocks", "it has OFT"),
        ("base_model.model.x.oft_R.default.weight", "it has"),
        ("lora_unet_x.diff", "it has whole differences of weights"),
        ("lora_unet_x.on_input", r"it has \(IA\)\^3"),
        ("lora_unet_x.a1.weight", "it has GLoRA"),
        ("something", "it has something"),
        ("lora_unet_x.dora_scale", "it has lora_unet_x"),
        ("unet.x.lora_A.weight", "it has unet.x"),
    ],
)
def test_other_files_are_refused_by_name(sd_folder, tmp_path, key, said):
    save_file({key: torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(NotFoundError, match="is not a LoRA that laser can load") as error:
        load_model(str(sd_folder), "cpu", options=ModelOptions(loras=(Lora(tmp_path / "x.safetensors"),)))
    assert re.search(said, error.value.why)


def _with(sd_folder, tensors, tmp_path, strength=1.0):
    save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()}, tmp_path / "x.safetensors")
    options = ModelOptions(loras=(Lora(tmp_path / "x.safetensors", strength),))
    return load_model(str(sd_folder), "cpu", "float32", options=options)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("rank", [1, 16])
@pytest.mark.parametrize("effective", [False, True])
def test_a_lokr_is_what_peft_makes_of_it(sd_folder, plain, tmp_path, both, rank, effective):
    """Thin and whole factors, linear layers and convolutions, these in Tucker form too."""
    peft = pytest.importorskip("peft")
    from diffusers import UNet2DConditionModel

    config = peft.LoKrConfig(
        r=rank,
        alpha=rank if rank == 16 else 3,  # of whole factors LyCORIS heeds no alpha
        target_modules=[QUERY, CONV],
        decompose_both=both,
        use_effective_conv2d=effective,
        init_weights=False,
    )
    torch.manual_seed(5)
    other = peft.inject_adapter_in_model(config, UNet2DConditionModel.from_pretrained(sd_folder / "unet"))
    tensors = {
        f"lora_unet_{name.replace('.', '_')}.{key.removesuffix('.default')}": value
        for name in (QUERY, CONV)
        for key, value in other.get_submodule(name).named_parameters()
        if key.startswith("lokr_")
    }
    tensors |= {
        f"lora_unet_{name.replace('.', '_')}.alpha": torch.tensor(float(config.alpha)) for name in (QUERY, CONV)
    }
    model = _with(sd_folder, tensors, tmp_path, 0.6)
    for name in (QUERY, CONV):
        expected = other.get_submodule(name).get_delta_weight("default").detach()
        assert torch.allclose(weight(model, name) - weight(plain, name), 0.6 * expected, atol=1e-5), name


@pytest.mark.parametrize("form", ["peft", "outputs", "inputs"])
def test_a_dora_has_columns_of_its_own_length(sd_folder, plain, tmp_path, form):
    peft = pytest.importorskip("peft")
    from diffusers import UNet2DConditionModel

    config = peft.LoraConfig(r=RANK, lora_alpha=3, target_modules=[QUERY, CONV], use_dora=True, init_lora_weights=False)
    torch.manual_seed(6)
    other = peft.inject_adapter_in_model(config, UNet2DConditionModel.from_pretrained(sd_folder / "unet"))
    expected, tensors = {}, {}
    for name in (QUERY, CONV):
        layer, before = other.get_submodule(name), weight(plain, name).detach()
        down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        magnitude = layer.lora_magnitude_vector["default"].weight
        with torch.no_grad():
            magnitude *= 1 + 0.3 * torch.rand_like(magnitude)
        key = f"lora_unet_{name.replace('.', '_')}"
        if form == "peft":
            tensors |= {f"unet.{name}.lora_A.weight": down * 1.5, f"unet.{name}.lora_B.weight": up}
            tensors[f"unet.{name}.lora_magnitude_vector"] = magnitude
        else:
            tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(3.0)}
        if form == "outputs":
            tensors[f"{key}.dora_scale"] = magnitude.reshape(-1, *[1] * (before.dim() - 1))
        if form == "inputs":  # LyCORIS' first: the norm of what an input adds, over outputs and places
            new = before + layer.get_delta_weight("default")
            scale = torch.rand(1, before.shape[1], *[1] * (before.dim() - 2)) + 0.5
            length = new.transpose(0, 1).flatten(1).norm(dim=1).reshape(scale.shape)
            expected[name], tensors[f"{key}.dora_scale"] = scale / length * new, scale
        else:
            layer.merge()
            expected[name] = layer.get_base_layer().weight.detach()
    for strength in (1.0, 0.4, 0.0):
        model = _with(sd_folder, tensors, tmp_path, strength)
        for name in (QUERY, CONV):
            between = torch.lerp(weight(plain, name), expected[name], strength)
            assert torch.allclose(weight(model, name), between, atol=1e-5), (name, strength)


def test_factors_that_do_not_fit_each_other_are_damage(sd_folder, tmp_path):
    key = f"lora_unet_{QUERY.replace('.', '_')}"
    told = {f"{key}.lora_down.weight": torch.zeros(3, 16), f"{key}.lora_up.weight": torch.zeros(16, 2)}
    with pytest.raises(NotFoundError, match="is damaged"):
        _with(sd_folder, told, tmp_path)


def test_files_that_are_not_there_damaged_or_pickles_are_refused(sd_folder, tmp_path):
    (tmp_path / "damaged.safetensors").write_bytes(b"\x10")
    (tmp_path / "pickle.bin").write_bytes(b"x")
    for name in ("nowhere.safetensors", "damaged.safetensors", "pickle.bin"):
        with pytest.raises(NotFoundError, match=name.split(".")[0]):
            load_model(str(sd_folder), "cpu", options=ModelOptions(loras=(Lora(tmp_path / name),)))


def test_nan_in_one_is_refused(sd_folder, plain, tmp_path):
    from safetensors.torch import load_file

    file, _ = lora(tmp_path, plain, "kohya")
    told = load_file(file)
    next(value for key, value in told.items() if "lora_up" in key and "unet" in key)[0, 0] = float("nan")
    save_file(told, file)
    with pytest.raises(NotFoundError, match="damaged"):
        load_model(str(sd_folder), "cpu", "float32", options=ModelOptions(loras=(Lora(file),)))


def test_the_weight_stands_behind_the_file(tmp_path):
    assert parse_lora("a.safetensors:0.8") == (tmp_path.__class__("a.safetensors"), 0.8)
    assert parse_lora("a.safetensors") == (tmp_path.__class__("a.safetensors"), 1.0)
    assert parse_lora("C:\\x.safetensors").weight == 1.0
    with pytest.raises(UsageError, match="'strong' is not a weight"):
        parse_lora("a.safetensors:strong")
