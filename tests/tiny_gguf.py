"""A real GGUF model of a few kilobytes that llama.cpp runs: random weights, and letters it likes better than others."""

from pathlib import Path

import gguf
import numpy as np

WIDTH = 32
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


SAYS = tuple(f"a red house in a meadow at {time}" for time in ("night", "dawn", "noon"))


def write_tiny(
    path: Path,
    *,
    says: tuple[str, ...] = SAYS,
    template: str | None = CHATML,
    ends: bool = True,
    context: int = 32_768,
    architecture: str = "llama",
) -> Path:
    """Write the model: asked for lines it says the first phrases of `says`, as few as it may.

    It closes its strings as soon as it may, or with ends=False as late as it must.
    """
    letters = [chr(i) for i in range(33, 127)]
    lines = [f" {says[0]}", *(f"\n{i}. {phrase}" for i, phrase in enumerate(says[1:], 2))] if ends else []
    lines = [line.replace(" ", "▁") for line in lines]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "▁", *letters, *lines]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    kinds += [gguf.TokenType.NORMAL] * (1 + len(letters) + len(lines))
    # the first number of every embedding is the same, so that it reaches the output as each token's prior
    liked = {'"': 9.0, "]": 3.0, "</s>": 12.0} if ends else {'"': -30.0, "]": -30.0, "▁": -30.0}
    prior = [liked.get(token, 6.0 if token in "aeiostn" else -30.0 if token[:3] == "<0x" else 0.0) for token in tokens]
    rng = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.02).astype(np.float32)

    embedding = random(len(tokens), WIDTH) * 10
    embedding[:, 0] = 8
    output = random(len(tokens), WIDTH)
    output[:, 0] = np.array(prior) / np.sqrt(WIDTH)
    for i, line in enumerate(map(tokens.index, lines)):
        # what comes next is said in a number of its own: after a line the next one, never the same again
        embedding[:, 1 + i] = 0
        output[:, 1 + i] = 0
        embedding[line, 1 + i] = 8
        output[line, 1 + i] = -6
        if i == 0:
            output[line, 0] = 15 / np.sqrt(WIDTH)
        if i + 1 < len(lines):
            output[line + 1, 1 + i] = 1.6
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    # the lines are for saying only: a low score keeps them out of what is read
    writer.add_token_scores([*[0.0] * (len(tokens) - len(lines)), *[-1e9] * len(lines)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    if template is not None:
        writer.add_chat_template(template)
    tensors = {"token_embd": embedding, "output_norm": np.ones(WIDTH, np.float32), "output": output}
    for name in ("attn_norm", "ffn_norm"):
        tensors[f"blk.0.{name}"] = np.ones(WIDTH, np.float32)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        tensors[f"blk.0.{name}"] = random(WIDTH, WIDTH)
    for name, values in tensors.items():
        writer.add_tensor(f"{name}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


SIDE, PATCH, SEEN = 16, 4, 16
"""Pixels of a side of what the tiny eyes see, and of a patch; width of their transformer."""


def write_tiny_eyes(path: Path, *, width: int = WIDTH) -> Path:
    """Write a projector as LLaVA has them, for a tiny model: it makes 16 embeddings of a picture, of random weights."""
    rng = np.random.default_rng(1)

    def random(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.2).astype(np.float32)

    writer = gguf.GGUFWriter(path, "clip")
    writer.add_name("tiny eyes")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", False)
    for key, number in {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": SEEN,
        "feed_forward_length": SEEN,
        "projection_dim": width,
        "block_count": 1,
        "attention.head_count": 2,
    }.items():
        writer.add_uint32(f"clip.vision.{key}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    tensors = {
        "v.patch_embd.weight": random(SEEN, 3, PATCH, PATCH),
        "v.class_embd": random(SEEN),
        "v.position_embd.weight": random((SIDE // PATCH) ** 2 + 1, SEEN),
        "mm.0.weight": random(width, SEEN),
        "mm.0.bias": random(width),
        "mm.2.weight": random(width, width),
        "mm.2.bias": random(width),
    }
    for name in ("v.pre_ln", "v.blk.0.ln1", "v.blk.0.ln2"):
        tensors |= {f"{name}.weight": np.ones(SEEN, np.float32), f"{name}.bias": np.zeros(SEEN, np.float32)}
    for name in ("attn_q", "attn_k", "attn_v", "attn_out", "ffn_down", "ffn_up"):
        tensors |= {f"v.blk.0.{name}.weight": random(SEEN, SEEN), f"v.blk.0.{name}.bias": random(SEEN)}
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
