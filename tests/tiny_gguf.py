"""A real GGUF model of a few kilobytes that llama.cpp runs: random weights, and letters it likes better than others."""

from pathlib import Path

import gguf
import numpy as np

WIDTH = 32
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny(path: Path, *, template: str | None = CHATML, ends: bool = True, context: int = 32_768) -> Path:
    """Write the model; it closes its strings as soon as it may, or with ends=False as late as it must."""
    letters = [chr(i) for i in range(33, 127)]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "▁", *letters]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    kinds += [gguf.TokenType.NORMAL] * (1 + len(letters))
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
    writer = gguf.GGUFWriter(path, "llama")
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
    writer.add_token_scores([0.0] * len(tokens))
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
