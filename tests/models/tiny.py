"""Tiny random checkpoints in real layouts."""

import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, PNDMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from laser_cli.models.find import WEIGHTS

VAE_BLOCKS = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
SD_BLOCKS = {
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def words() -> int:
    """Tokens of the tokenizer that all of them have: storybook's."""
    return len(CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer"))


def text_config(width: int = 16, **other) -> CLIPTextConfig:
    told = {
        "vocab_size": words(),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "projection_dim": 24,
        "bos_token_id": words() - 2,
        "eos_token_id": words() - 1,
    }
    return CLIPTextConfig(**{**told, **other})


def unet(width: int = 16, **other) -> UNet2DConditionModel:
    told = {
        "sample_size": 8,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "cross_attention_dim": width,
        "attention_head_dim": 2,
        "norm_num_groups": 8,
        **SD_BLOCKS,
    }
    return UNet2DConditionModel(**{**told, **other})


def vae(**other) -> AutoencoderKL:
    told = {"block_out_channels": (8, 8), "latent_channels": 4, "norm_num_groups": 4, "sample_size": 16, **VAE_BLOCKS}
    return AutoencoderKL(**{**told, **other})


def sd(folder: Path, scheduler=None, seed: int = 0, **unet_config) -> Path:
    """SD 1.x in miniature, as `StableDiffusionPipeline.save_pretrained` would lay it."""
    torch.manual_seed(seed)
    parts = {
        "unet": unet(**unet_config),
        "vae": vae(),
        "text_encoder": CLIPTextModel(text_config()),
        "scheduler": scheduler or PNDMScheduler(**SCHEDULE, skip_prk_steps=True),
    }
    return _save(folder, parts, "StableDiffusionPipeline")


def sdxl(folder: Path, scheduler=None, seed: int = 0) -> Path:
    """SDXL in miniature."""
    torch.manual_seed(seed)
    parts = {
        "unet": unet(
            32,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2),
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 24,
        ),
        "vae": vae(),
        "text_encoder": CLIPTextModel(text_config()),
        "text_encoder_2": CLIPTextModelWithProjection(text_config()),
        "scheduler": scheduler or DDIMScheduler(**SCHEDULE, clip_sample=False),
    }
    return _save(folder, parts, "StableDiffusionXLPipeline", "tokenizer_2")


def control_net(base: UNet2DConditionModel, seed: int = 1) -> ControlNetModel:
    """One that fits a tiny U-Net; its output layers are random too, so that it does something."""
    torch.manual_seed(seed)
    # two sizes of the condition's channels: it is halved once, as the tiny VAE halves pictures
    net = ControlNetModel.from_unet(base, conditioning_embedding_out_channels=(16, 32))
    for block in (*net.controlnet_down_blocks, net.controlnet_mid_block, net.controlnet_cond_embedding.conv_out):
        torch.nn.init.normal_(block.weight, std=0.3)
    return net


def diffusers_control_net(base: UNet2DConditionModel, channels: tuple[int, ...]) -> ControlNetModel:
    """One whose condition is halved as often as there are channels after the first."""
    return ControlNetModel.from_unet(base, conditioning_embedding_out_channels=channels)


def _save(folder: Path, parts: dict, pipeline: str, *tokenizers: str) -> Path:
    import json

    index: dict = {"_class_name": pipeline, "_diffusers_version": "0.30.0"}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
        index[name] = ["transformers" if "encoder" in name else "diffusers", type(part).__name__]
    for name in ("tokenizer", *tokenizers):
        shutil.copytree(WEIGHTS / "tokenizer", folder / name)
        index[name] = ["transformers", "CLIPTokenizer"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
