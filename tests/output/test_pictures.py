import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from laser_cli import limits
from laser_cli.errors import BadInputError
from laser_cli.output.pictures import fit, read_picture, told_crop


def png_of_zeros(path, width: int, height: int) -> None:
    """A small file that opens to width x height grey pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def test_what_opens_to_too_much_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    png_of_zeros(tmp_path / "bomb.png", 15_000, 15_000)
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(BadInputError, match="too many pixels") as told:
        read_picture(tmp_path / "bomb.png")
    assert "225 million" in told.value.why and (tmp_path / "bomb.png").stat().st_size < 500_000


def test_a_large_photograph_is_read_at_a_fraction(tmp_path, monkeypatch):
    Image.new("RGB", (1600, 1200), (200, 30, 30)).save(tmp_path / "a.jpg")
    Image.new("RGB", (1600, 1200), (200, 30, 30)).save(tmp_path / "b.jpg", progressive=True)
    monkeypatch.setattr(limits, "PICTURE_PIXELS", 800_000)
    assert read_picture(tmp_path / "a.jpg").shape == (600, 800, 3)
    with pytest.raises(BadInputError, match="too many pixels"):
        read_picture(tmp_path / "b.jpg")


@pytest.mark.parametrize(
    "name", ["http://a.example/b.png", "https://a.example/b.png", "https:/a.example/b.png", "s3://a/b"]
)
def test_an_address_is_told_to_be_one(name):
    from pathlib import Path

    with pytest.raises(BadInputError, match="is an address") as told:
        read_picture(Path(name))
    assert "download" in told.value.hint


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "laser-cli[heic]"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "video"),
        (b"\xff\x0a" + bytes(40), "JPEG XL"),
        (b"%PDF-1.7", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "PostScript"),
        (b"hello", "PNG, JPEG"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(tmp_path, data, hint, monkeypatch):
    monkeypatch.setattr("laser_cli.output.pictures._register_heif", lambda: None)
    monkeypatch.setattr("laser_cli.output.pictures.FORMATS", ("PNG", "JPEG", "GIF"))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BadInputError, match="not a picture") as told:
        read_picture(tmp_path / "a.png")
    assert hint in told.value.hint


def test_postscript_is_never_run(tmp_path):
    (tmp_path / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(BadInputError, match="not a picture"):
        read_picture(tmp_path / "a.eps")


def test_heic_is_read_where_its_library_is(tmp_path, smooth):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.fromarray(smooth()).save(tmp_path / "a.heic", quality=100)
    assert np.abs(read_picture(tmp_path / "a.heic").astype(int) - smooth()).mean() < 3


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "loop", "file/x.png"])
def test_paths_that_cannot_be_are_told(tmp_path, name):
    if os.name != "nt":
        (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError):
        read_picture(tmp_path / name)


def test_more_bits_than_eight_are_told(tmp_path):
    said: list[str] = []
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save(tmp_path / "a.png")
    read_picture(tmp_path / "a.png", note=said.append)
    assert "16 bits" in said[0]
    said.clear()
    Image.new("RGB", (16, 16)).save(tmp_path / "b.png")
    read_picture(tmp_path / "b.png", note=said.append)
    assert not said


def test_a_long_picture_is_cropped_with_a_word_or_padded():
    image = np.zeros((20, 900, 3), np.uint8)
    image[:, :100], image[:, -100:] = (255, 0, 0), (0, 0, 255)
    assert "900 x 20" in told_crop(900, 20, 64, 8) and "--fit pad" in told_crop(900, 20, 64, 8)
    padded = fit(image, 64, 8, "pad")
    assert padded.shape == (8, 64, 3)
    assert padded[4, 0, 0] > 200 and padded[4, -1, 2] > 200  # both ends are there
    cropped = fit(image, 64, 8)
    assert cropped.shape == (8, 64, 3) and cropped[4, 0].max() == 0
    assert not told_crop(128, 128, 128, 8) and not told_crop(900, 600, 512, 8)
    square = np.full((30, 50, 3), 7, np.uint8)
    assert fit(square, (64, 64), 8, "pad").shape == (64, 64, 3) and np.all(fit(square, (64, 64), 8, "pad") == 7)
