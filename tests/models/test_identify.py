"""Folders and files are named for what they are."""

import json

import pytest
import torch
from safetensors.torch import save_file

from laser_cli.errors import NotFoundError
from laser_cli.models.identify import LDM_IN, identify, unet_family
from tests.models import tiny


def test_tiny_checkpoints_are_what_they_are(sd_folder, sdxl_folder):
    assert identify(sd_folder).require("it") == "SD 1.x"
    assert identify(sdxl_folder).require("it") == "SDXL"


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("StableDiffusion3Pipeline", "Stable Diffusion 3"),
        ("FluxPipeline", "FLUX model"),
        ("Flux2KleinPipeline", "FLUX.2"),
        ("QwenImagePipeline", "Qwen-Image"),
        ("ZImagePipeline", "Z-Image"),
        ("PixArtSigmaPipeline", "PixArt"),
        ("SanaPipeline", "Sana"),
        ("KolorsPipeline", "Kolors"),
        ("WanPipeline", "Wan, a video model"),
        ("LTXPipeline", "LTX-Video"),
        ("StableVideoDiffusionPipeline", "Stable Video Diffusion"),
        ("AnimateDiffPipeline", "AnimateDiff"),
        ("StableDiffusionInstructPix2PixPipeline", "InstructPix2Pix"),
        ("StableDiffusionDepth2ImgPipeline", "depth-to-image"),
        ("StableDiffusionUpscalePipeline", "upscaler"),
        ("StableDiffusionLatentUpscalePipeline", "upscaler"),
        ("StableUnCLIPPipeline", "unCLIP"),
        ("UnCLIPPipeline", "unCLIP"),
        ("StableCascadeDecoderPipeline", "Stable Cascade"),
        ("KandinskyV22Pipeline", "Kandinsky"),
        ("IFPipeline", "DeepFloyd"),
        ("AltDiffusionPipeline", "AltDiffusion"),
        ("SomebodysOwnPipeline", "a SomebodysOwnPipeline"),
    ],
)
def test_pipelines_of_other_families_are_named(tmp_path, pipeline, said):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    with pytest.raises(NotFoundError, match=said) as error:
        identify(tmp_path).require("it")
    assert error.value.why and error.value.hint


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"in_channels": 9}, "inpainting"),
        ({"in_channels": 8}, "InstructPix2Pix"),
        ({"in_channels": 5}, "depth-to-image"),
        ({"in_channels": 7}, "upscaler"),
        ({"class_embed_type": "projection"}, "unCLIP"),
        ({"num_class_embeds": 1000}, "unCLIP"),
        ({"encoder_hid_dim_type": "text_proj"}, "Kolors"),
        ({"addition_embed_type": "text_image"}, "text_image"),
        ({"addition_embed_type": "text_time", "projection_class_embeddings_input_dim": 2560}, "refiner"),
        ({"_class_name": "UNetMotionModel"}, "AnimateDiff"),
        ({"_class_name": "UNet3DConditionModel"}, "text-to-video"),
        ({"_class_name": "UNetSpatioTemporalConditionModel"}, "Stable Video Diffusion"),
    ],
)
def test_u_nets_that_read_more_than_text_are_named(config, said):
    _, other = unet_family(config)
    assert other is not None and said in other.what


def test_an_inpainting_pipeline_with_a_plain_u_net_draws(sd_copy):
    index = json.loads((sd_copy / "model_index.json").read_text())
    (sd_copy / "model_index.json").write_text(json.dumps({**index, "_class_name": "StableDiffusionInpaintPipeline"}))
    assert identify(sd_copy).other is None


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("ControlNetModel", "a ControlNet"),
        ("MotionAdapter", "a motion adapter"),
        ("AutoencoderTiny", "taesd"),
        ("AutoencoderKL", "a VAE"),
        ("T2IAdapter", "a T2I-Adapter"),
        ("UNet2DConditionModel", "a U-Net alone"),
        ("FluxTransformer2DModel", "FLUX"),
    ],
)
def test_folders_of_parts_and_helpers_are_named(tmp_path, own, said):
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": own}))
    with pytest.raises(NotFoundError, match=said):
        identify(tmp_path).require("it")


def test_an_sdxl_refiner_is_known_by_its_one_text_encoder(sdxl_copy):
    import shutil

    shutil.rmtree(sdxl_copy / "text_encoder")
    with pytest.raises(NotFoundError, match="refiner"):
        identify(sdxl_copy).require("it")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["lora_unet_down_blocks_0.lora_up.weight"], "a LoRA"),
        (["unet.down_blocks.0.attn1.to_q.lora_A.weight"], "a LoRA"),
        (["emb_params"], "a textual inversion"),
        (["image_proj.proj.weight", "ip_adapter.1.to_k_ip.weight"], "an IP-Adapter"),
        (["down_blocks.0.motion_modules.0.x"], "a motion adapter"),
        (["control_model.time_embed.0.weight"], "a ControlNet"),
        (["model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale"], "FLUX"),
        (["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"], "Stable Diffusion 3"),
        (["transformer_blocks.0.img_mlp.net.0.proj.weight"], "Qwen-Image"),
        (["noise_refiner.0.x"], "Z-Image"),
        (["head.modulation"], "Wan"),
        (["conv_in.weight", "down_blocks.0.resnets.0.time_emb_proj.weight"], "a U-Net alone"),
        (["encoder.conv_in.weight", "encoder.down.0.block.0.conv1.weight"], "a VAE"),
        (["encoder.conv_in.weight", "encoder.down_blocks.0.resnets.0.conv1.weight"], "a VAE"),
        (["down_blocks.0.resnets.0.time_emb_proj.weight", "controlnet_cond_embedding.conv_in.weight"], "a ControlNet"),
        (["something.else"], "laser does not know"),
    ],
)
def test_files_of_other_things_are_named(tmp_path, keys, said):
    save_file({key: torch.zeros(2) for key in keys}, tmp_path / "x.safetensors")
    with pytest.raises(NotFoundError, match=said):
        identify(tmp_path / "x.safetensors").require("it")


@pytest.mark.parametrize(
    ("channels", "more", "family", "said"),
    [
        (4, {"cond_stage_model.transformer.text_model.x": (1,)}, "SD 1.x", None),
        (4, {"cond_stage_model.model.x": (1,)}, "SD 2.x", None),
        (4, {"conditioner.embedders.1.model.x": (1,)}, "SDXL", None),
        (4, {"conditioner.embedders.0.model.x": (1,)}, "SDXL refiner", "refiner"),
        (4, {"lora_unet_x.alpha": (1,)}, "SD 1.x", None),
        (9, {}, "SD", "inpainting"),
        (8, {}, "SD", "InstructPix2Pix"),
        (5, {}, "SD", "depth"),
        (7, {}, "SD", "upscaler"),
    ],
)
def test_checkpoints_in_the_original_layout(tmp_path, channels, more, family, said):
    shapes = {LDM_IN: (8, channels, 3, 3), "model.diffusion_model.out.2.weight": (4, 8, 3, 3), **more}
    save_file({key: torch.zeros(shape) for key, shape in shapes.items()}, tmp_path / "x.safetensors")
    identity = identify(tmp_path / "x.safetensors")
    assert identity.family == family
    assert (identity.other is None) if said is None else said in identity.other.what


def test_a_folder_of_single_files_points_to_the_file(tmp_path):
    shapes = {LDM_IN: (8, 4, 3, 3), "model.diffusion_model.out.2.weight": (4, 8, 3, 3)}
    save_file({key: torch.zeros(shape) for key, shape in shapes.items()}, tmp_path / "dream.safetensors")
    with pytest.raises(NotFoundError) as error:
        identify(tmp_path).require("it")
    assert "dream.safetensors" in error.value.hint


@pytest.mark.parametrize("data", [b"", b"\x10", b"\xff" * 100, b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_file_is_an_error(tmp_path, data):
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(NotFoundError):
        identify(tmp_path / "x.safetensors").require("it")


def test_a_control_net_that_was_saved_by_the_library_is_known(tmp_path):
    net = tiny.control_net(tiny.unet())
    net.save_pretrained(tmp_path)
    with pytest.raises(NotFoundError, match="ControlNet"):
        identify(tmp_path).require("it")
    with pytest.raises(NotFoundError, match="ControlNet"):
        identify(tmp_path / "diffusion_pytorch_model.safetensors").require("it")
