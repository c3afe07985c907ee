"""Weights in prompts, and prompts longer than a text encoder reads at once."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laser_cli.models.load import load_model
from laser_cli.models.options import ModelOptions, PromptStyle
from laser_cli.models.prompts import Fragment, encode, parse_weights, tokenize

PLAIN, WEIGHTED = PromptStyle(), PromptStyle(weighted=True)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a cat", [("a cat", 1)]),
        ("a (red:1.3) cat", [("a ", 1), ("red", 1.3), (" cat", 1)]),
        ("a (red) cat", [("a ", 1), ("red", 1.1), (" cat", 1)]),
        ("a ((red)) cat", [("a ", 1), ("red", 1.21), (" cat", 1)]),
        ("a [red] cat", [("a ", 1), ("red", 1 / 1.1), (" cat", 1)]),
        ("(a (red:1.5) cat:0.8)", [("a ", 0.8), ("red", 1.2), (" cat", 0.8)]),
        (r"a \(red\) cat", [("a (red) cat", 1)]),
        ("a (red cat", [("a ", 1), ("red cat", 1.1)]),
        ("a red) cat", [("a red) cat", 1)]),
        ("at 10:30, a cat", [("at 10:30, a cat", 1)]),
        ("ratio (3:2)", [("ratio ", 1), ("3", 2.0)]),
        ("", [("", 1)]),
    ],
)
def test_weights_are_read_as_people_write_them(prompt, expected):
    got = parse_weights(prompt)
    assert [piece.text for piece in got] == [text for text, _ in expected]
    assert [piece.weight for piece in got] == pytest.approx([weight for _, weight in expected])


@given(st.text(alphabet="ab ()[]:.15\\", max_size=30))
def test_any_text_can_be_read(prompt):
    pieces = parse_weights(prompt)
    assert pieces and all(isinstance(piece, Fragment) for piece in pieces)


@given(st.text(alphabet="abc ,.", max_size=30))
def test_text_without_marks_is_itself(prompt):
    assert "".join(piece.text for piece in parse_weights(prompt)) == prompt


def test_plain_prompts_are_tokenized_as_the_tokenizer_does_itself(storybook):
    for prompt in ("", "a red ball in a meadow at noon", "a red ball " * 60, "(red:1.2) ball"):
        told = storybook.tokenizer(
            [prompt], padding="max_length", max_length=77, truncation=True, return_tensors="pt"
        ).input_ids
        assert torch.equal(tokenize([prompt], storybook.tokenizer, PLAIN).ids[:, 0], told)


def test_weights_scale_embeddings_and_leave_their_mean(storybook):
    tokens = tokenize(["a (red:1.5) ball"], storybook.tokenizer, WEIGHTED)
    plain = tokenize(["a red ball"], storybook.tokenizer, WEIGHTED)
    assert torch.equal(tokens.ids, plain.ids)

    def read(ids):
        return storybook.text_encoder(ids)[0], None

    with torch.inference_mode():
        weighted, _ = encode(tokens, read)
        before, _ = encode(plain, read)
    assert torch.allclose(weighted.mean(), before.mean(), atol=1e-6)
    ratio = (weighted / before)[0].mean(dim=-1)
    assert ratio[2] / ratio[1] == pytest.approx(1.5, rel=1e-3)
    assert ratio[1] == pytest.approx(float(ratio[40]), rel=1e-3)


def test_a_prompt_that_weighs_nothing_is_not_touched_by_one_that_does(storybook):
    model = load_model("storybook", "cpu", "float32", options=ModelOptions(prompts=WEIGHTED))
    both = model.encode_prompts(["a red ball", "a (red:1.4) ball"]).prompt_embeds
    assert torch.allclose(both[0], storybook.encode_prompts(["a red ball"]).prompt_embeds[0], atol=1e-6)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


def test_long_prompts_are_read_in_chunks(sd_folder):
    style = PromptStyle(chunks=2)
    model = load_model(str(sd_folder), "cpu", "float32", options=ModelOptions(prompts=style))
    plain = load_model(str(sd_folder), "cpu", "float32")
    assert model.revision != plain.revision
    words = " ".join(["red ball meadow noon tree house"] * 20)
    ids = plain.tokenizer(words, add_special_tokens=False).input_ids
    assert len(ids) > 75
    told = model.encode_prompts([words, "a red ball"]).prompt_embeds
    assert told.shape == (2, 154, 16)
    second = plain.tokenizer.decode(ids[75:150])
    assert torch.allclose(told[0, :77], plain.encode_prompts([words]).prompt_embeds[0], atol=1e-5)
    assert torch.allclose(told[0, 77:], plain.encode_prompts([second]).prompt_embeds[0], atol=1e-5)
    assert torch.allclose(told[1, 77:], plain.encode_prompts([""]).prompt_embeds[0], atol=1e-5)


def test_what_does_not_fit_is_told(sd_folder):
    plain = load_model(str(sd_folder), "cpu", "float32")
    wide = load_model(str(sd_folder), "cpu", "float32", options=ModelOptions(prompts=PromptStyle(True, 2)))
    words = "red " * 80
    assert plain.cut_off(words).split() == ["red"] * 5 and wide.cut_off(words) == ""
    assert wide.cut_off("(red:1.2) " * 160).split() == ["red"] * 10


def test_sdxl_pools_the_first_chunk(sdxl_folder):
    options = ModelOptions(prompts=PromptStyle(chunks=3))
    model, plain = (load_model(str(sdxl_folder), "cpu", "float32", options=o) for o in (options, None))
    told, expected = (m.encode_prompts(["a red ball", ""]) for m in (model, plain))
    assert told.prompt_embeds.shape == (2, 231, 32)
    assert torch.allclose(told.pooled, expected.pooled, atol=1e-5)
    assert not told.prompt_embeds[1].any() and not told.pooled[1].any()
