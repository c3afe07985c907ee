"""Builds the storybook tokenizer: CLIP's byte-level BPE, learned on captions, so that any text tokenises."""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from laser_cli.storybook.words import Voice
from laser_cli.storybook.world import caption_of, items

BOS, EOS, LENGTH = "<|startoftext|>", "<|endoftext|>", 77
_SPLIT = r"""<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


def build(out: Path, vocabulary: int = 2048, captions: int = 40_000) -> CLIPTokenizer:
    """Learns the merges, writes the tokenizer folder (both the fast format and CLIP's two files) and returns it."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    rng = random.Random(0)
    bpe.train_from_iterator((caption_of(item, Voice(rng)) for item in islice(items(7), captions)), trainer)
    merges = [tuple(m) for m in json.loads(bpe.to_str())["model"]["merges"]]
    # CLIP's order: bytes, bytes that end a word, merges, the two marks; every byte stands in both forms.
    words = alphabet + [a + "</w>" for a in alphabet]
    known = set(words)
    words += [w for w in dict.fromkeys("".join(m) for m in merges) if w not in known]
    vocab = {w: i for i, w in enumerate([*words, BOS, EOS])}
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = CLIPTokenizer(
        vocab=vocab, merges=merges, model_max_length=LENGTH, bos_token=BOS, eos_token=EOS, pad_token=EOS, unk_token=EOS
    )
    tokenizer.save_pretrained(out)
    (out / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    (out / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    return tokenizer
