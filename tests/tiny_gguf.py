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
