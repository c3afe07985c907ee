import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from laser_cli.output.prompts import a1111_prompt, comfy_prompt, picture_prompt

PARAMETERS = "a red fox,\nin the snow <lora:detail:0.7>\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 1"
FOX = "a red fox, in the snow"
GRAPH = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 1, "positive": ["6", 0], "negative": ["7", 0], "model": ["4", 0]},
    },
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": FOX, "clip": ["4", 1]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}},
}
ADVANCED = {
    "1": {"class_type": "SamplerCustomAdvanced", "inputs": {"guider": ["2", 0]}},
    "2": {"class_type": "BasicGuider", "inputs": {"conditioning": ["3", 0]}},
    "3": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["4", 0], "guidance": 3.5}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"text": ["5", 0]}},
    "5": {"class_type": "PrimitiveString", "inputs": {"value": FOX}},
}


def user_comment(text: str, code: bytes = b"UNICODE\0", encoding: str = "utf-16-be") -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = code + text.encode(encoding)
    return exif.tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".png"])
@pytest.mark.parametrize(
    ("code", "encoding"), [(b"UNICODE\0", "utf-16-be"), (b"UNICODE\0", "utf-16-le"), (b"ASCII\0\0\0", "ascii")]
)
def test_a1111_in_exif(tmp_path, suffix, code, encoding):
    Image.new("RGB", (16, 16)).save(tmp_path / f"a{suffix}", exif=user_comment(PARAMETERS, code, encoding))
    assert picture_prompt(tmp_path / f"a{suffix}") == FOX


def test_a1111_and_comfyui_in_png_text(tmp_path):
    for number, (key, text) in enumerate({"parameters": PARAMETERS, "prompt": json.dumps(GRAPH)}.items()):
        for add in (PngInfo.add_text, PngInfo.add_itxt):
            notes = PngInfo()
            add(notes, key, text)
            Image.new("RGB", (16, 16)).save(tmp_path / f"{number}.png", pnginfo=notes)
            assert picture_prompt(tmp_path / f"{number}.png") == FOX


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("tag", [0x010F, 0x0110])
def test_comfyui_in_exif(tmp_path, suffix, tag):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "workflow:{}", "workflow:{}"
    exif[tag] = f"prompt:{json.dumps(GRAPH)}"
    Image.new("RGB", (16, 16)).save(tmp_path / f"a{suffix}", exif=exif.tobytes())
    assert picture_prompt(tmp_path / f"a{suffix}") == FOX


def test_a_camera_says_nothing_of_a_prompt(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x010E] = "Canon", "EOS 5D", "OLYMPUS DIGITAL CAMERA"
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg", exif=exif.tobytes())
    assert picture_prompt(tmp_path / "a.jpg") is None


def test_the_graph_is_followed_to_what_was_wanted_and_not_to_the_negative():
    assert comfy_prompt(json.dumps(GRAPH)) == comfy_prompt(json.dumps(ADVANCED)) == FOX
    encoder_alone = {"6": GRAPH["6"]}
    assert comfy_prompt(json.dumps(encoder_alone)) == FOX


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"1": 2}', '{"1": {"class_type": "KSampler", "inputs": {"positive": ["1", 0]}}}', "[" * 9999,
     '{"1": {"class_type": "KSampler", "inputs": {"positive": [["x"], 0]}}}', '{"a":' * 9999],
)  # fmt: skip
def test_graphs_without_a_prompt_end(text):
    assert comfy_prompt(text) is None


def test_a1111_without_a_prompt():
    assert a1111_prompt("Steps: 20, Seed: 1") is None and a1111_prompt(" ") is None
    assert len(a1111_prompt("word " * 100_000) or "") <= 10_000
