"""Words in any encoding, pictures from pipes and in any colours, and options that users of such tools expect."""

import os
import re
import shutil
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from laser_cli.output.ffmpeg import executable
from laser_cli.output.record import read_record
from laser_cli.plan.files import parse_plan
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = ["--steps", "2", "--frames", "2", "--no-even-pace", "--prompt", "a red house in a meadow at noon"]
ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="shells and pipes of POSIX")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(COTTAGE, "photo.png")
    return tmp_path


def run(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LASER": f"{sys.executable} -m laser_cli", **environment}
    return subprocess.run(["bash", "-c", line], capture_output=True, check=False, timeout=900, env=env)


@posix
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-16"])
def test_a_plan_on_stdout_is_utf_8_whatever_the_console_is_set_to(here, encoding):
    done = run("$LASER plan 'eine Füchsin 猫 wird Nacht' -p 'ein Häuschen 家'", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert parse_plan(done.stdout.decode("utf-8")).source == "ein Häuschen 家"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_words_from_a_file_are_the_same_in_every_encoding(laser, here, encoding):
    Path("words.txt").write_bytes("the sky turns red\n".encode(encoding))
    code, stdout, _ = laser("plan", "@words.txt", "-p", "a red house in a meadow")
    assert code == 0
    assert stdout == laser("plan", "the sky turns red", "-p", "a red house in a meadow")[1]


def test_words_that_are_no_text_are_told(laser, here):
    Path("words.txt").write_bytes(b"caf\xe9")
    code, _, stderr = laser("plan", "@words.txt", "-p", "a house")
    assert code == 5 and "words.txt" in stderr and "UTF-8" in stderr


@pytest.mark.parametrize("slip", ["no", "1:30", "2020-01-02"])
def test_a_slip_in_a_plan_is_told_once(laser, here, slip):
    Path("p.yaml").write_text(f"source: a house\nsegments:\n- prompt: {slip}\n  frames: 3\n")
    code, _, stderr = laser("animate", "photo.png", "--plan", "p.yaml", "-o", "o.gif", "--dry-run")
    assert code == 5 and "line 3" in stderr and "quotes" in stderr and "at least" not in stderr


@posix
@pytest.mark.parametrize("given", ["<(cat photo.png)", "/dev/stdin < <(cat photo.png)", "- < photo.png"])
def test_a_picture_from_a_pipe_is_read_once(here, given):
    words = " ".join(f"'{word}'" for word in QUICK)
    image, _, rest = given.partition(" < ")
    done = run(f"$LASER animate {image} 'night falls' -o out.png --depfile o.d {words} {'< ' + rest if rest else ''}")
    assert done.returncode == 0, done.stderr
    import hashlib

    assert read_record(Path("out.png"))["input_sha256"] == hashlib.sha256(COTTAGE.read_bytes()).hexdigest()
    assert "/dev" not in Path("o.d").read_text() and "/tmp" not in Path("o.d").read_text()


@pytest.mark.parametrize("command", ["animate", "interpolate", "invert"])
def test_a_url_is_told_to_be_one(laser, here, command):
    words = {"animate": ["night falls"], "interpolate": ["a blue cube"], "invert": []}[command]
    out = "o.safetensors" if command == "invert" else "o.gif"
    code, _, stderr = laser(command, "https://a.example/b.png", *words, "-o", out)
    assert code == 5 and "is an address" in stderr and "model" not in stderr


def test_a_picture_in_display_p3_is_drawn_in_its_colours(laser, here):
    from tests.output.test_colour import PRIMARIES, icc, into

    colours = np.array(Image.open("photo.png").convert("RGB"))
    wide = (into(PRIMARIES[12], lambda v: v ** (1 / 2.2), colours) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(wide).save("p3.png", icc_profile=icc(PRIMARIES[12], 2.2))
    code, _, stderr = laser("animate", "p3.png", "night falls", "-o", "o.png", "--still", "0", *QUICK)
    assert code == 0, stderr
    off = np.abs(np.array(Image.open("o.png")).astype(int) - colours)
    assert off.mean() < 0.6 and np.abs(wide.astype(int) - colours).mean() > 2
    assert Image.open("o.png").info["srgb"] == 0


def test_prompts_of_other_programs_are_found(laser, here):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "a red house\nSteps: 20".encode("utf-16-be")
    Image.open("photo.png").convert("RGB").save("a.webp", exif=exif.tobytes())
    code, stdout, _ = laser("plan", "night falls", "--image", "a.webp")
    assert code == 0 and parse_plan(stdout).source == "a red house"


def test_a_long_picture_is_cropped_with_a_word_or_padded(laser, here):
    Image.open("photo.png").convert("RGB").resize((900, 40)).save("long.png")
    arguments = ["animate", "long.png", "night falls", "-o", "o.png", "--still", "0", "--size", "128", *QUICK]
    code, _, stderr = laser(*arguments)
    assert code == 0 and "is cropped (--fit pad" in stderr
    code, _, stderr = laser(*arguments, "--fit", "pad")
    assert code == 0 and "cropped" not in stderr
    assert read_record(Path("o.png"))["settings"]["fit"] == "pad"


def test_sound_rate_seed_and_negative_prompt_are_used_and_recorded(laser, here):
    with wave.open("a.wav", "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(struct.pack("<8000h", *(int(9000 * np.sin(i / 3)) for i in range(8000))))
    more = ["--audio", "a.wav", "--fps", "30000/1001", "--seed", "-1", "--negative-prompt", "a blue house"]
    code, _, stderr = laser("animate", "photo.png", "night falls", "-o", "o.mov", *more, *QUICK)
    assert code == 0, stderr
    record = read_record(Path("o.mov"))
    seed = int(re.search(r"^seed (\d+)$", stderr, re.MULTILINE)[1])
    assert record["seed"] == seed >= 0
    assert record["settings"]["negative_prompt"] == "a blue house" and record["settings"]["audio"]["name"] == "a.wav"
    told = subprocess.run([executable(), "-i", "o.mov"], capture_output=True, text=True, check=False).stderr
    assert "Audio: aac" in told and "29.97 fps" in told and re.search(r"yuv420p\(tv, bt709[,)]", told)
    first = Path("o.mov").read_bytes()
    code, _, stderr = laser("animate", "--from", "o.mov", "-o", "again.mov")
    assert code == 0 and Path("again.mov").read_bytes() == first
    assert "names the picture photo.png, which is read" in stderr and "the sound a.wav, which is read" in stderr
    os.remove("a.wav")
    code, _, stderr = laser("animate", "--from", "o.mov", "-o", "again.mov")
    assert code == 5 and "there is no sound a.wav" in stderr and "--audio" in stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["-o", "o.mp4", "--audio", "photo.png"], 5, "no sound"),
        (["-o", "o.gif", "--audio", "photo.png"], 2, "--audio is for a video"),
        (["-o", "o.mp4", "--audio", "missing.wav"], 5, "missing.wav"),
        (["-o", "o.mp4", "--fps", "1/0"], 2, "fps"),
        (["-o", "o.mp4", "--fps", "x"], 2, "fps"),
        (["-o", "o.mp4", "--seed", "-2"], 2, "seed"),
        (["-o", "o.avi"], 2, ".mov"),
    ],
)
def test_what_cannot_be_is_told_before_the_work(laser, here, arguments, code, told):
    found, _, stderr = laser("animate", "photo.png", "night falls", *arguments, *QUICK)
    assert found == code and told in stderr and "model" not in stderr and os.listdir() == ["photo.png"]


def test_a_negative_prompt_changes_the_pictures_and_not_the_first(laser, here):
    frames = {}
    for name, more in {"plain": [], "led": ["--negative-prompt", "a red house at night, dark"]}.items():
        code, _, stderr = laser("animate", "photo.png", "night falls", "--frames-dir", name, *more, *QUICK)
        assert code == 0, stderr
        frames[name] = [np.array(Image.open(f"{name}/frame_000{i}.png")).astype(int) for i in range(2)]
    assert np.array_equal(frames["plain"][0], frames["led"][0])
    assert np.abs(frames["plain"][1] - frames["led"][1]).mean() > 0.5


def test_what_guidance_leads_away_from_is_one_of_two(laser, here):
    run = ("animate", "photo.png", "night falls", *QUICK, "-o", "night.png")
    code, _, stderr = laser(*run, "--guidance-base", "0.7", "--negative-prompt", "dark")
    assert code == 2 and "--guidance-base" in stderr and os.listdir() == ["photo.png"]


def test_long_words_of_other_languages_count_as_the_tokenizer_has_them():
    from types import SimpleNamespace

    from transformers import CLIPTokenizer

    from laser_cli.models.find import find_model
    from laser_cli.models.model import Model
    from laser_cli.models.options import PromptStyle

    tokenizer = CLIPTokenizer.from_pretrained(find_model("storybook").path / "tokenizer")
    model = SimpleNamespace(tokenizer=tokenizer, prompts=PromptStyle())
    for prompt in ("Donaudampfschifffahrtsgesellschaftskapitän " * 12, "红色的狐狸在雪地里" * 12):
        assert len(prompt.split()) < 20 and Model.cut_off(model, prompt)
    assert Model.cut_off(model, "a red house in a meadow") == ""
