"""The families of models there are beside those that laser draws with: how to tell them, and what to use instead."""

from __future__ import annotations

from typing import NamedTuple


class Other(NamedTuple):
    """Something that is not a model laser draws with: what it is, why it does not serve, what to use instead."""

    what: str
    why: str
    instead: str


CHECKPOINT = "--model with a text-to-image model of SD 1.x, SD 2.x or SDXL"

DRAWS = {
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionControlNetPipeline",
    "StableDiffusionControlNetImg2ImgPipeline",
    "StableDiffusionAdapterPipeline",
    "StableDiffusionPAGPipeline",
    "StableDiffusionPipelineSafe",
    "LatentConsistencyModelPipeline",
    "LatentConsistencyModelImg2ImgPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLControlNetPipeline",
    "StableDiffusionXLControlNetImg2ImgPipeline",
    "StableDiffusionXLAdapterPipeline",
    "StableDiffusionXLPAGPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionXLInpaintPipeline",
}
"""Pipelines whose parts are those of text-to-image models; inpainting ones are, where their U-Net reads 4 channels."""


def _transformer(name: str) -> Other:
    return Other(f"a {name} model", f"{name} is a flow transformer, which this version cannot draw with", CHECKPOINT)


def _video(name: str) -> Other:
    return Other(f"{name}, a video model", "laser makes its own motion from a model of still pictures", CHECKPOINT)


def _other(name: str, why: str = "its network or its text encoder is of another kind") -> Other:
    return Other(f"a {name} model", why, CHECKPOINT)


BEGINNINGS: dict[str, Other] = {
    "StableDiffusion3": _transformer("Stable Diffusion 3"),
    "SD3": _transformer("Stable Diffusion 3"),
    "Flux": _transformer("FLUX"),
    "Flux2": _transformer("FLUX.2"),
    "QwenImage": _transformer("Qwen-Image"),
    "ZImage": _transformer("Z-Image"),
    "Chroma": _transformer("Chroma"),
    "AuraFlow": _transformer("AuraFlow"),
    "HiDream": _transformer("HiDream"),
    "Lumina": _transformer("Lumina"),
    "OmniGen": _transformer("OmniGen"),
    "Bria": _transformer("Bria"),
    "CogView": _transformer("CogView"),
    "HunyuanDiT": _transformer("Hunyuan-DiT"),
    "HunyuanImage": _transformer("HunyuanImage"),
    "PixArt": _transformer("PixArt"),
    "Pixart": _transformer("PixArt"),
    "Sana": _transformer("Sana"),
    "Kolors": _other("Kolors", "its text encoder is a language model (ChatGLM)"),
    "Wan": _video("Wan"),
    "LTX": _video("LTX-Video"),
    "CogVideoX": _video("CogVideoX"),
    "HunyuanVideo": _video("HunyuanVideo"),
    "Hunyuan": _video("HunyuanVideo"),
    "Mochi": _video("Mochi"),
    "Allegro": _video("Allegro"),
    "Latte": _video("Latte"),
    "Cosmos": _video("Cosmos"),
    "EasyAnimate": _video("EasyAnimate"),
    "StableVideoDiffusion": _video("Stable Video Diffusion"),
    "UNetSpatioTemporal": _video("Stable Video Diffusion"),
    "AnimateDiff": _video("AnimateDiff"),
    "UNetMotion": _video("AnimateDiff"),
    "TextToVideo": _video("ModelScope text-to-video"),
    "UNet3D": _video("ModelScope text-to-video"),
    "I2VGenXL": _video("I2VGen-XL"),
    "StableUnCLIP": _other("Stable unCLIP", "it draws from embeddings of pictures as well as text"),
    "UnCLIP": _other("unCLIP", "it draws from embeddings of pictures, in pixels"),
    "StableDiffusionInstructPix2Pix": Other(
        "an InstructPix2Pix model", "it reads the picture to edit as further channels of its input", CHECKPOINT
    ),
    "StableDiffusionXLInstructPix2Pix": Other(
        "an InstructPix2Pix model", "it reads the picture to edit as further channels of its input", CHECKPOINT
    ),
    "StableDiffusionDepth2Img": Other("a depth-to-image model", "it reads a depth map as a channel", CHECKPOINT),
    "StableDiffusionUpscale": Other("an upscaler", "it reads a small picture as further channels", CHECKPOINT),
    "StableDiffusionLatentUpscale": Other("an upscaler", "it draws larger latents, not pictures", CHECKPOINT),
    "StableDiffusionLDM3D": _other("LDM3D", "it draws depth as further channels"),
    "StableDiffusionGLIGEN": _other("GLIGEN", "its attention reads boxes as well as text"),
    "StableDiffusionImageVariation": _other("image-variation", "it draws from pictures, not from text"),
    "StableDiffusionDiffEdit": _other("DiffEdit"),
    "PaintByExample": _other("Paint-by-Example", "it fills masks after a picture"),
    "AltDiffusion": _other("AltDiffusion", "its text encoder is XLM-RoBERTa"),
    "StableCascade": _other("Stable Cascade"),
    "Wuerstchen": _other("Würstchen"),
    "Kandinsky": _other("Kandinsky"),
    "IF": _other("DeepFloyd IF", "it draws in pixels, with T5 as text encoder"),
    "Amused": _other("aMUSEd", "it draws tokens, without noise"),
    "LDMTextToImage": _other("LDM text-to-image", "its text encoder is BERT"),
    "ConsistencyModel": _other("consistency", "it draws without text"),
    "DDPM": _other("DDPM", "it draws without text"),
    "DDIMPipeline": _other("DDIM", "it draws without text"),
    "UNet2DModel": _other("unconditional", "it draws without text"),
    "Marigold": _other("Marigold", "it estimates depth or normals"),
    "BlipDiffusion": _other("BLIP-Diffusion"),
    "UniDiffuser": _other("UniDiffuser"),
    "VersatileDiffusion": _other("Versatile Diffusion"),
    "AudioLDM": _other("AudioLDM", "it makes sound"),
    "MusicLDM": _other("MusicLDM", "it makes sound"),
    "StableAudio": _other("Stable Audio", "it makes sound"),
    "ShapE": _other("Shap-E", "it makes solids"),
}
"""By how the names of their pipeline and network classes begin; the longest beginning counts."""

IMAGE_INPUTS: dict[int, Other] = {
    5: Other("an inpainting model", "its U-Net reads a mask and a masked picture: 9 channels", CHECKPOINT),
    4: BEGINNINGS["StableDiffusionInstructPix2Pix"],
    1: BEGINNINGS["StableDiffusionDepth2Img"],
    3: BEGINNINGS["StableDiffusionUpscale"],
    0: Other("a model that reads further channels", "its U-Net wants more than latents", CHECKPOINT),
    -1: BEGINNINGS["StableUnCLIP"],
}
"""By how many more channels a U-Net reads than it draws; -1: it reads an embedding of a class or of a picture."""

LORA = Other("a LoRA", "it changes a model and draws nothing by itself", "--model BASE --lora FILE[:WEIGHT]")
CONTROL = Other(
    "a ControlNet", "it leads a model and draws nothing by itself", "--model BASE --controlnet MODEL --condition FILE"
)
REFINER = Other(
    "SDXL's refiner", "it finishes pictures that the base model has begun, and knows no composition", "SDXL's base"
)
SMALL_VAE = Other("a small autoencoder (taesd)", "it is for previews; a model needs a U-Net as well", CHECKPOINT)
VAE = Other("a VAE", "it is one part of a model", "--model BASE --vae FOLDER|FILE")
UNET = Other("a U-Net alone", "a model has a VAE and a text encoder as well", CHECKPOINT)
EMBEDDING = Other("a textual inversion", "it is a word for a model's prompts", "--model BASE --embedding FILE")
IMAGE_PROMPT = Other("an IP-Adapter", "it shows pictures to a model", "--model BASE --ip-adapter FILE")
MOTION = Other("a motion adapter of AnimateDiff", "laser makes its own motion", CHECKPOINT)
T2I = Other("a T2I-Adapter", "laser leads models by ControlNets", "--controlnet with a ControlNet of the same kind")

OWN_OPTION: dict[str, Other] = {
    "ControlNetModel": CONTROL,
    "ControlNetUnionModel": CONTROL,
    "FluxControlNetModel": CONTROL,
    "SD3ControlNetModel": CONTROL,
    "MotionAdapter": MOTION,
    "AutoencoderTiny": SMALL_VAE,
    "AutoencoderKL": VAE,
    "T2IAdapter": T2I,
    "UNet2DConditionModel": UNET,
}
"""Parts and helpers, by the class in a folder's own config.json."""

FILES: tuple[tuple[tuple[str, ...], Other], ...] = (
    (("lora_unet_", "lora_te", "lora_transformer_", "lora_A.", "lora_B.", "lora_up.", "lora.down."), LORA),
    (("hada_w1_a", "lokr_w1", "oft_diag", "oft_blocks", "dora_scale"), LORA),
    (("emb_params", "string_to_param"), EMBEDDING),
    (("image_proj.", "ip_adapter."), IMAGE_PROMPT),
    (("motion_modules.",), MOTION),
    (("control_model.", "controlnet_cond_embedding.", "controlnet_down_blocks."), CONTROL),
    (("encoder.down.0.block.0.", "encoder.down_blocks.0.resnets.0."), VAE),
    (("time_emb_proj.",), UNET),
    (("double_stream_modulation_img.", "single_stream_modulation."), BEGINNINGS["Flux2"]),
    (("distilled_guidance_layer.",), BEGINNINGS["Chroma"]),
    (("double_blocks.0.img_attn.",), BEGINNINGS["Flux"]),
    (("joint_blocks.0.",), BEGINNINGS["StableDiffusion3"]),
    (("double_stream_blocks.0.",), BEGINNINGS["HiDream"]),
    (("double_layers.0.attn.",), BEGINNINGS["AuraFlow"]),
    (("noise_refiner.", "all_x_embedder."), BEGINNINGS["ZImage"]),
    (("cap_embedder.",), BEGINNINGS["Lumina"]),
    (("transformer_blocks.0.img_mlp.",), BEGINNINGS["QwenImage"]),
    (("patchify_proj.",), BEGINNINGS["LTX"]),
    (("head.modulation",), BEGINNINGS["Wan"]),
    (("txt_in.individual_token_refiner.",), BEGINNINGS["HunyuanVideo"]),
    (("blocks.0.cross_attn.kv_linear.",), BEGINNINGS["Sana"]),
    (("clip_txt_mapper.", "down_blocks.1.0.channelwise."), BEGINNINGS["StableCascade"]),
)
"""By tensor names that nothing else has, anywhere in a file; those that merges leave in checkpoints come first."""
