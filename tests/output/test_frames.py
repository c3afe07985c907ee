import numpy as np
import pytest
from PIL import Image

from laser_cli.errors import BadInputError
from laser_cli.output.frames import fit, frame_name, picture_prompt, read_picture, write_png
from laser_cli.output.record import make_record, read_record


def test_png_is_lossless_stable_and_carries_the_record(tmp_path, smooth):
    record = make_record("animate", {"steps": 20}, prompt="ein Fuchs, 狐", seed=3, model="storybook")
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, smooth(), record)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.array_equal(read_picture(tmp_path / "a.png"), smooth())
    assert read_record(tmp_path / "a.png") == record
    with Image.open(tmp_path / "a.png") as picture:
        lines = picture.info["parameters"].splitlines()
    assert lines == ["ein Fuchs, 狐", "Steps: 20, Seed: 3, Model: storybook, Version: laser"]


def test_frame_names_sort():
    assert [frame_name(index) for index in (0, 12, 9999)] == ["frame_0000.png", "frame_0012.png", "frame_9999.png"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"])
def test_any_mode_becomes_rgb_of_the_same_grey(tmp_path, mode):
    name = tmp_path / "a.tif"
    if mode == "I;16":
        Image.fromarray(np.full((20, 30), 128 * 257, np.uint16)).save(name)
    elif mode == "I":
        Image.fromarray(np.full((20, 30), 128 * 257, np.int32)).save(name)
    elif mode == "F":
        Image.fromarray(np.full((20, 30), 128 / 255, np.float32)).save(name)
    else:
        grey = Image.new("RGB", (30, 20), (255,) * 3 if mode == "1" else (128,) * 3)
        if mode == "LAB":
            Image.new("LAB", (30, 20), (137, 128, 128)).save(name)
        else:
            (grey.quantize(4) if mode == "P" else grey.convert(mode)).save(name)
    image = read_picture(name)
    assert (image.shape, image.dtype) == ((20, 30, 3), np.uint8)
    assert np.abs(image.astype(int) - (255 if mode == "1" else 128)).max() <= 2


def test_sixteen_bit_grey_png_keeps_its_range(tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (16, 1))
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert np.abs(read_picture(tmp_path / "a.png")[0, :, 0] - np.linspace(0, 255, 64)).max() <= 1


def test_transparent_is_white(tmp_path):
    picture = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 8, 16))
    picture.save(tmp_path / "a.png")
    image = read_picture(tmp_path / "a.png")
    assert tuple(image[0, 0]) == (0, 0, 255) and tuple(image[0, 15]) == (255, 255, 255)
    palette = Image.new("P", (16, 16), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "b.gif", transparency=0)
    assert read_picture(tmp_path / "b.gif").min() == 255


def test_turned_photographs_stand_upright(tmp_path):
    picture = Image.new("RGB", (40, 20), "white")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert read_picture(tmp_path / "a.jpg").shape == (40, 20, 3)


def test_first_frame_of_an_animation(tmp_path):
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert tuple(read_picture(tmp_path / "a.gif")[0, 0]) == (255, 0, 0)


def test_bad_pictures_are_told_clearly(tmp_path, smooth):
    write_png(tmp_path / "whole.png", smooth(), None)
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    Image.fromarray(smooth()).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    Image.new("L", (7, 100)).save(tmp_path / "tiny.png")
    Image.new("1", (20_001, 8)).save(tmp_path / "wide.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("cut.png", "cut.jpg", "text.png", "empty.png", "tiny.png", "wide.png", "folder.png", "missing.png"):
        with pytest.raises(BadInputError) as told:
            read_picture(tmp_path / name)
        assert name in told.value.what


@pytest.mark.parametrize(
    ("shape", "size", "multiple", "expected"),
    [
        ((100, 200), None, 8, (104, 200)),
        ((100, 200), 64, 8, (32, 64)),
        ((300, 200), 128, 8, (128, 88)),
        ((100, 200), (64, 64), 8, (64, 64)),
        ((100, 200), (60, 30), 8, (32, 64)),
        ((20, 900), 64, 8, (8, 64)),
        ((9, 9), None, 64, (64, 64)),
        ((50, 70), None, 1, (50, 70)),
    ],
)
def test_fit_gives_multiples(shape, size, multiple, expected):
    image = np.full((*shape, 3), 77, np.uint8)
    fitted = fit(image, size, multiple)
    assert fitted.shape == (*expected, 3)
    assert np.all(fitted == 77)


def test_fit_changes_nothing_that_fits(smooth):
    assert fit(smooth(), (64, 48), 8) is not None
    assert np.array_equal(fit(smooth(), (64, 48), 8), smooth())


def test_fit_crops_the_middle_and_does_not_distort():
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 255
    assert fit(image, (100, 100)).min() == 255
    y, x = np.mgrid[0:100, 0:300]
    disc = ((x - 149.5) ** 2 + (y - 49.5) ** 2 < 30**2).astype(np.uint8) * 255
    small = fit(np.stack([disc] * 3, axis=-1), (50, 50))[..., 0] > 127
    assert abs(int(small.any(axis=0).sum()) - int(small.any(axis=1).sum())) <= 1
    assert small.any(axis=0).sum() == pytest.approx(30, abs=1)


def test_prompt_of_a_picture(tmp_path, smooth):
    from PIL.PngImagePlugin import PngInfo

    write_png(tmp_path / "ours.png", smooth(), make_record("animate", {}, prompt="a fox"))
    assert picture_prompt(tmp_path / "ours.png") == "a fox"
    write_png(tmp_path / "none.png", smooth(), None)
    assert picture_prompt(tmp_path / "none.png") is None
    for text, prompt in {"a cat\nNegative prompt: dog": "a cat", "Steps: 20, Seed: 1": None, " ": None}.items():
        notes = PngInfo()
        notes.add_text("parameters", text)
        Image.fromarray(smooth()).save(tmp_path / "theirs.png", pnginfo=notes)
        assert picture_prompt(tmp_path / "theirs.png") == prompt
