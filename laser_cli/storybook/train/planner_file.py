"""Writes the embedded planner as llama.cpp reads it: GGUF, matrices in 8 bits, with tokenizer, template and words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from laser_cli.storybook.planner import NAMED, WORDS
from laser_cli.storybook.planner_tasks import LOOKS, NOUNS, world_words
from laser_cli.storybook.train.planner_tokens import END, JOINTS, MARKS, TEMPLATE

CONTEXT = 4096
"""Tokens that it may read: positions are relative, so that long requests only have to be read, not understood."""
_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_planner(model: Any, tokenizer: Tokenizer, path: Path) -> Path:
    """Writes a Llama model whose output is tied to its embedding; a kill leaves the old file or the new one.

    Matrices become Q8_0 (rows have to be multiples of 32), norms stay float32.
    """
    import gguf

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    config = model.config
    writer = gguf.GGUFWriter(part, "llama")
    writer.add_name("storybook planner")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(tokenizer.get_vocab_size())
    _add_tokenizer(writer, tokenizer)
    writer.add_string(WORDS, " ".join(sorted(world_words())))
    writer.add_string(NAMED, " ".join(sorted(NOUNS | LOOKS)))
    for name, values in model.state_dict().items():
        if name == "lm_head.weight":  # it is the embedding
            continue
        array = _as_llama(name, values, config.num_attention_heads)
        if array.ndim < 2:
            writer.add_tensor(_renamed(name), array)
            continue
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(_renamed(name), gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(part, path)
    return path


def _add_tokenizer(writer: Any, tokenizer: Tokenizer) -> None:
    import gguf

    kinds = dict.fromkeys(MARKS, gguf.TokenType.CONTROL) | dict.fromkeys(JOINTS, gguf.TokenType.USER_DEFINED)
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    end = tokenizer.token_to_id(END)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, gguf.TokenType.NORMAL) for token in tokens])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _renamed(name: str) -> str:
    stem = name.removesuffix(".weight")
    if not stem.startswith("model.layers."):
        return f"{_NAMES[stem]}.weight"
    number, _, part = stem.removeprefix("model.layers.").partition(".")
    return f"blk.{number}.{_NAMES[part]}.weight"


def _as_llama(name: str, values: Tensor, heads: int) -> np.ndarray[Any, Any]:
    """Float32; rows of queries and keys in llama.cpp's order, which turns neighbours where the library turns halves."""
    array = values.detach().float().cpu().numpy()
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return array
    rows, columns = array.shape
    halves = array.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
