"""Pictures and records of strangers: whatever they hold, reading one ends in a result or in a BadInputError."""

import json
import random
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageCms

from laser_cli.errors import BadInputError
from laser_cli.output.frames import write_png
from laser_cli.output.look import Look
from laser_cli.output.pictures import read_picture
from laser_cli.output.prompts import picture_prompt
from laser_cli.output.record import has_record, make_record, read_record, to_json, to_page
from laser_cli.output.video import open_video
from tests.mutations import mutated, mutated_value

RECORD = make_record(
    "animate", {"plan": {"source": "a fox"}, "image": "a.png"}, seed=1, prompt="a fox", model="storybook"
)
SLOW = pytest.param(10_000, marks=pytest.mark.slow)


def picture(suffix: str, path) -> bytes:
    """A small picture with all that may be read of one: a profile, EXIF, text."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = 'prompt:{"1":{"class_type":"KSampler","inputs":{"positive":["2",0]}}}', 6
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + "a fox".encode("utf-16-be")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
    if suffix == ".gif":
        image.save(path, save_all=True, append_images=[image.rotate(90)], comment="a fox")
    elif suffix == ".bmp":
        image.save(path)
    elif suffix == ".tif":
        image.save(path, icc_profile=profile)
    else:
        image.save(path, exif=exif.tobytes(), icc_profile=profile)
    return path.read_bytes()


@pytest.mark.parametrize("count", [350, pytest.param(1_500, marks=pytest.mark.slow)])  # of 7 formats each
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".tif", ".bmp", ".avif"])
def test_mutated_pictures_are_pictures_or_bad_input(tmp_path, suffix, count):
    path = tmp_path / f"a{suffix}"
    whole, choose = picture(suffix, path), random.Random(count)
    read_picture(path)
    for _ in range(count):
        path.write_bytes(mutated(choose, whole))
        for read in (lambda: read_picture(path, 16, 8).shape[2] == 3, lambda: picture_prompt(path) != ""):
            try:
                assert read()
            except BadInputError as error:
                assert error.render().isprintable() or "\n" in error.render()


@pytest.mark.parametrize("count", [2_000, SLOW])
def test_records_of_mutated_values_are_records_or_bad_input(tmp_path, count):
    from laser_cli.cli.show import lines

    path, choose = tmp_path / "a.html", random.Random(count)
    for _ in range(count):
        path.write_text("<!doctype html>" + to_page(json.dumps(mutated_value(choose, RECORD))))
        try:
            record = read_record(path)
        except BadInputError:
            continue
        assert all(line.isprintable() for line in lines(record))


@pytest.mark.parametrize("count", [700, pytest.param(3_400, marks=pytest.mark.slow)])  # of 3 formats each
@pytest.mark.parametrize("suffix", [".png", ".gif", ".webp"])
def test_mutated_files_with_records_are_told(tmp_path, smooth, suffix, count):
    path, choose = tmp_path / f"a{suffix}", random.Random(count)
    if suffix == ".png":
        write_png(path, smooth(0, 16, 16), RECORD)
    else:
        with open_video(path, (16, 16), Look(), to_json(RECORD)) as video:
            video.add(smooth(0, 16, 16))
    whole = path.read_bytes()
    for _ in range(count):
        path.write_bytes(mutated(choose, whole))
        assert has_record(path) in (True, False)
        try:
            assert isinstance(read_record(path), dict)
        except BadInputError as error:
            assert error.render()


@pytest.mark.parametrize("count", [20, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_mutated_videos_are_told(tmp_path, smooth, suffix, count):
    path, choose = tmp_path / f"a{suffix}", random.Random(count)
    with open_video(path, (16, 16), Look(), to_json(RECORD)) as video:
        video.add(smooth(0, 16, 16))
    whole = path.read_bytes()
    for _ in range(count):
        path.write_bytes(mutated(choose, whole))
        try:
            assert isinstance(read_record(path), dict)
        except BadInputError as error:
            assert error.render()


def test_a_video_that_takes_for_ever_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))

    def late(*arguments, **options):
        raise subprocess.TimeoutExpired("ffmpeg", 60)

    monkeypatch.setattr("subprocess.run", late)
    with pytest.raises(BadInputError, match="cannot read"):
        read_record(tmp_path / "a.mp4")
