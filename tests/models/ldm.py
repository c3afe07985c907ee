"""Tiny checkpoints as one file in the original (LDM) layout: the names of their tensors, from the library's."""

import re
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
CLIP_LAYER = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def single_file(folder: Path, file: Path, leave_out: tuple[str, ...] = (), **more: torch.Tensor) -> Path:
    """Writes the checkpoint in a folder as one file."""
    tensors = {f"model.diffusion_model.{k}": v for k, v in unet(folder).items()}
    tensors |= {f"first_stage_model.{k}": v for k, v in vae(folder).items()}
    first = _state(CLIPTextModel.from_pretrained(folder / "text_encoder"))
    if (folder / "text_encoder_2").is_dir():
        prefix = "conditioner.embedders.0.transformer.text_model."
        second = open_clip(CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2"))
        tensors |= {f"conditioner.embedders.1.model.{k}": v for k, v in second.items()}
    else:
        prefix = "cond_stage_model.transformer.text_model."
    tensors |= {prefix + k: v for k, v in first.items()}
    tensors = {k: v.contiguous() for k, v in tensors.items() if not k.startswith(leave_out or ("-",))}
    save_file({**tensors, **more}, file)
    return file


def _state(model) -> dict[str, torch.Tensor]:
    return {k.removeprefix("text_model."): v.clone() for k, v in model.state_dict().items()}


def unet(folder: Path) -> dict[str, torch.Tensor]:
    net = UNet2DConditionModel.from_pretrained(folder / "unet")
    attended = [hasattr(block, "attentions") for block in net.up_blocks]
    layers = net.config.layers_per_block
    return {_unet_name(key, layers, attended): value.clone() for key, value in net.state_dict().items()}


def control_net(tensors: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """A ControlNet's tensors, `layers` a block, as the original layout names them."""

    def name(key: str) -> str:
        key = re.sub(r"^controlnet_down_blocks\.(\d+)", r"zero_convs.\1.0", key)
        key = re.sub(r"^controlnet_mid_block", "middle_block_out.0", key)
        key = re.sub(r"^controlnet_cond_embedding\.conv_in", "input_hint_block.0", key)
        key = re.sub(
            r"^controlnet_cond_embedding\.blocks\.(\d+)", lambda m: f"input_hint_block.{2 * int(m[1]) + 2}", key
        )
        key = re.sub(r"^controlnet_cond_embedding\.conv_out", "input_hint_block.14", key)
        return "control_model." + _unet_name(key, layers, [])

    return {name(key): value.clone() for key, value in tensors.items()}


def _unet_name(key: str, layers: int, attended: list[bool]) -> str:
    resnet = "resnets" in key
    key = re.sub(r"^time_embedding\.linear_(\d)", lambda m: f"time_embed.{2 * int(m[1]) - 2}", key)
    key = re.sub(r"^add_embedding\.linear_(\d)", lambda m: f"label_emb.0.{2 * int(m[1]) - 2}", key)
    key = re.sub(r"^conv_in", "input_blocks.0.0", key)
    key = re.sub(r"^conv_norm_out", "out.0", key)
    key = re.sub(r"^conv_out", "out.2", key)
    key = re.sub(
        r"^down_blocks\.(\d)\.(resnets|attentions)\.(\d)",
        lambda m: f"input_blocks.{1 + int(m[1]) * (layers + 1) + int(m[3])}.{int(m[2] == 'attentions')}",
        key,
    )
    key = re.sub(
        r"^down_blocks\.(\d)\.downsamplers\.0\.conv",
        lambda m: f"input_blocks.{(int(m[1]) + 1) * (layers + 1)}.0.op",
        key,
    )
    key = re.sub(r"^mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}", key)
    key = re.sub(r"^mid_block\.attentions\.0", "middle_block.1", key)
    key = re.sub(
        r"^up_blocks\.(\d)\.(resnets|attentions)\.(\d)",
        lambda m: f"output_blocks.{int(m[1]) * (layers + 1) + int(m[3])}.{int(m[2] == 'attentions')}",
        key,
    )
    key = re.sub(
        r"^up_blocks\.(\d)\.upsamplers\.0\.conv",
        lambda m: f"output_blocks.{int(m[1]) * (layers + 1) + layers}.{1 + attended[int(m[1])]}.conv",
        key,
    )
    head, dot, rest = key.rpartition(".")
    for new, old in RESNET.items():
        if resnet and head.endswith(f".{new}"):
            head = head.removesuffix(new) + old
    return head + dot + rest


def vae(folder: Path) -> dict[str, torch.Tensor]:
    net = AutoencoderKL.from_pretrained(folder / "vae")
    last = len(net.config.block_out_channels) - 1

    def name(key: str) -> str:
        key = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", key)
        key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
        key = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{last - int(m[1])}.block.{m[2]}", key)
        key = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{last - int(m[1])}.upsample", key)
        key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
        key = key.replace("mid_block.attentions.0.", "mid.attn_1.").replace("conv_norm_out", "norm_out")
        for new, old in (("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
            key = key.replace(f"attn_1.{new}.", f"attn_1.{old}.")
        return key.replace("conv_shortcut", "nin_shortcut")

    def shape(key: str, value: torch.Tensor) -> torch.Tensor:
        attention = "attentions" in key and key.endswith("weight") and "norm" not in key
        return value.clone()[..., None, None] if attention else value.clone()

    return {name(key): shape(key, value) for key, value in net.state_dict().items()}


def open_clip(model) -> dict[str, torch.Tensor]:
    told, state = {}, _state(model)
    for key, value in state.items():
        match = re.match(r"encoder\.layers\.(\d+)\.(.*)\.(weight|bias)$", key)
        if match and match[2].startswith("self_attn.") and "out_proj" not in match[2]:
            if match[2] == "self_attn.q_proj":
                three = [state[key.replace("q_proj", f"{each}_proj")] for each in "qkv"]
                told[f"transformer.resblocks.{match[1]}.attn.in_proj_{match[3]}"] = torch.cat(three)
        elif match:
            told[f"transformer.resblocks.{match[1]}.{CLIP_LAYER[match[2]]}.{match[3]}"] = value
        elif key == "text_projection.weight":
            told["text_projection"] = value.T
        elif key.startswith("final_layer_norm"):
            told[key.replace("final_layer_norm", "ln_final")] = value
        elif "position_embedding" in key:
            told["positional_embedding"] = value
        elif "token_embedding" in key:
            told["token_embedding.weight"] = value
    return told
