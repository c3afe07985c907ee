"""Words in files, in the formats that they come in."""

import pytest
import torch
from safetensors.torch import save_file

from laser_cli.errors import NotFoundError
from laser_cli.models.load import load_model
from laser_cli.models.options import ModelOptions


def embedding(folder, form, vectors):
    file = folder / ("style.safetensors" if form in ("a1111 safe", "sdxl") else "style.pt")
    if form == "diffusers":
        torch.save({"<cat-toy>": vectors[0]}, file)
    elif form == "a1111":
        torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "other"}, file)
    elif form == "a1111 safe":
        save_file({"emb_params": vectors}, file)
    else:
        save_file({"clip_l": vectors, "clip_g": vectors * 2}, file)
    return file


@pytest.mark.parametrize(
    ("form", "word", "count"), [("diffusers", "<cat-toy>", 1), ("a1111", "style", 3), ("a1111 safe", "style", 2)]
)
def test_a_word_stands_for_its_vectors(sd_folder, tmp_path, form, word, count):
    vectors = torch.randn(count, 16)
    file = embedding(tmp_path, form, vectors)
    model = load_model(str(sd_folder), "cpu", "float32", options=ModelOptions(embeddings=(file,)))
    plain = load_model(str(sd_folder), "cpu", "float32")
    assert model.revision != plain.revision
    seen = []
    model.text_encoder.register_forward_pre_hook(lambda m, args, kw: seen.append(args[0]), with_kwargs=True)
    told = model.encode_prompts([f"a {word} ball"]).prompt_embeds
    inputs = model.text_encoder.get_input_embeddings()(seen[0])[0]
    start = next(i for i in range(77) if torch.equal(inputs[i], vectors[0]))
    assert torch.equal(inputs[start : start + count], vectors)
    assert not torch.allclose(told, plain.encode_prompts(["a ball"]).prompt_embeds, atol=1e-3)
    same = model.encode_prompts(["a red ball"]).prompt_embeds
    assert torch.allclose(same, plain.encode_prompts(["a red ball"]).prompt_embeds, atol=1e-6)


def test_sdxl_takes_one_for_each_encoder(sdxl_copy, tmp_path):
    """The encoders of real ones differ in width, by which the vectors are told apart."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModelWithProjection

    from tests.models import tiny

    torch.manual_seed(5)
    CLIPTextModelWithProjection(tiny.text_config(24)).save_pretrained(sdxl_copy / "text_encoder_2")
    config = UNet2DConditionModel.load_config(sdxl_copy / "unet")
    UNet2DConditionModel.from_config({**config, "cross_attention_dim": 40}).save_pretrained(sdxl_copy / "unet")
    file = tmp_path / "style.safetensors"
    save_file({"clip_l": torch.randn(2, 16), "clip_g": torch.randn(2, 24)}, file)
    model = load_model(str(sdxl_copy), "cpu", "float32", options=ModelOptions(embeddings=(file,)))
    plain = load_model(str(sdxl_copy), "cpu", "float32")
    told, without = (m.encode_prompts(["a style ball"]).prompt_embeds for m in (model, plain))
    for half in (slice(0, 16), slice(16, 40)):
        assert not torch.allclose(told[..., half], without[..., half], atol=1e-3)


def test_what_does_not_fit_is_refused(sd_folder, tmp_path):
    cases = {"wide": {"emb_params": torch.randn(1, 24)}, "nan": {"emb_params": torch.full((1, 16), float("nan"))}}
    cases |= {"many": {str(i): torch.randn(1, 16) for i in range(5)}}
    for name, tensors in cases.items():
        save_file(tensors, tmp_path / f"{name}.safetensors")
    (tmp_path / "damaged.pt").write_bytes(b"no pickle")
    for name, said in (
        ("wide.safetensors", "have 24 numbers, the text encoder takes 16"),
        ("nan.safetensors", "NaN"),
        ("many.safetensors", "not those of one word"),
        ("damaged.pt", ""),
        ("nowhere.pt", "no such file"),
    ):
        with pytest.raises(NotFoundError, match=name) as error:
            load_model(str(sd_folder), "cpu", options=ModelOptions(embeddings=(tmp_path / name,)))
        assert said in error.value.why


def test_a_pickle_that_runs_something_is_not_opened(sd_folder, tmp_path):
    import os
    import pickle

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "done"),)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(NotFoundError):
        load_model(str(sd_folder), "cpu", options=ModelOptions(embeddings=(tmp_path / "evil.pt",)))
    assert not (tmp_path / "done").exists()
