import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from laser_cli.output.animated import open_animated
from laser_cli.output.colour import ADOBE_RGB, BT709, PRIMARIES, srgb_profile
from laser_cli.output.frames import write_png
from laser_cli.output.look import Look
from laser_cli.output.pictures import read_picture


def xyz(primaries) -> np.ndarray:
    """The textbook matrix from linear RGB to XYZ, white at Y = 1."""
    wx, wy, *rest = primaries
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in zip(rest[::2], rest[1::2], strict=True)]).T
    return columns * np.linalg.solve(columns, [wx / wy, 1, (1 - wx - wy) / wy])


def srgb_of(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def linear_of(encoded: np.ndarray) -> np.ndarray:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def into(primaries, encode, srgb: np.ndarray) -> np.ndarray:
    """uint8 sRGB colours as another space writes them (float 0..1)."""
    linear = linear_of(srgb / 255) @ (np.linalg.inv(xyz(primaries)) @ xyz(BT709)).T
    return encode(np.clip(linear, 0, 1))


def patches() -> np.ndarray:
    """Colours of the sRGB cube as a picture."""
    steps = np.array([0, 40, 90, 128, 180, 220, 255], np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(7, 49, 3).repeat(2, axis=0)


def icc(primaries, gamma: float) -> bytes:
    """A matrix profile, version 2, adapted to D50 as ICC wants it."""

    def s15(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    white, d50 = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290]), np.array([0.9642, 1.0, 0.8249])
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ white)) @ bradford
    columns = (adapt @ xyz(primaries)).T
    tags = {b"wtpt": b"XYZ \0\0\0\0" + b"".join(map(s15, d50))}
    tags |= {
        n: b"XYZ \0\0\0\0" + b"".join(map(s15, c)) for n, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    }
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    text = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"a test"[:5] + b"\0" + bytes(79)
    tags |= {b"desc": text + b"\0" * (-len(text) % 4), b"cprt": b"text\0\0\0\0none"}
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        table += name + struct.pack(">II", offset + len(data), len(body))
        data += body
    head = struct.pack(">I4sI4s4s4s", offset + len(data), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + b"".join(map(s15, d50)) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + data


def error(path, colours: np.ndarray) -> tuple[float, int]:
    off = np.abs(read_picture(path).astype(int) - colours)
    return off.mean(), off.max()


WIDE = {"p3": (PRIMARIES[12], 2.2), "adobe": (ADOBE_RGB, 563 / 256)}


@pytest.mark.parametrize("space", WIDE)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_an_embedded_profile_is_heeded(tmp_path, space, suffix):
    primaries, gamma = WIDE[space]
    colours = patches()
    wide = (into(primaries, lambda v: v ** (1 / gamma), colours) * 255 + 0.5).astype(np.uint8)
    options = {
        ".jpg": {"quality": 100, "subsampling": 0},
        ".webp": {"lossless": True},
        ".avif": {"quality": 100, "subsampling": "4:4:4"},
    }
    # blocks, so that a lossy codec keeps them
    big, target = (a.repeat(8, axis=0).repeat(8, axis=1) for a in (wide, colours))
    Image.fromarray(big).save(tmp_path / f"a{suffix}", icc_profile=icc(primaries, gamma), **options.get(suffix, {}))
    mean, most = error(tmp_path / f"a{suffix}", target)
    assert mean < 1.2 and most <= (20 if suffix in (".jpg", ".avif") else 6)
    assert np.abs(big.astype(int) - target).max() > 25  # what a reader that ignores it is off by


def test_grey_alpha_and_cmyk_have_profiles_too(tmp_path):
    gamma = 1.8
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey = bytearray(icc(BT709, gamma))
    grey[16:20] = b"GRAY"
    grey = bytes(grey).replace(b"rTRC", b"kTRC")
    assert curve in grey
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(16, axis=0)
    wanted = srgb_of((np.arange(256) / 255) ** gamma) * 255
    Image.fromarray(ramp).save(tmp_path / "l.png", icc_profile=grey)
    assert np.abs(read_picture(tmp_path / "l.png")[0, :, 0] - wanted).max() <= 2
    both = Image.merge("LA", (Image.fromarray(ramp), Image.new("L", (256, 16), 255)))
    both.save(tmp_path / "la.png", icc_profile=grey)
    assert np.abs(read_picture(tmp_path / "la.png")[0, :, 1] - wanted).max() <= 2
    Image.new("RGBA", (16, 16), (0, 200, 0, 0)).save(tmp_path / "clear.png", icc_profile=icc(*WIDE["p3"]))
    assert read_picture(tmp_path / "clear.png").min() == 255
    said: list[str] = []
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "c.jpg", icc_profile=profile)
    assert read_picture(tmp_path / "c.jpg", note=said.append)[0, 0, 0] > 200
    assert "does not fit" in said[0]


@pytest.mark.parametrize("data", [b"nonsense", b"", icc(*WIDE["p3"])[:200], bytes(128) + b"\xff" * 400])
def test_a_broken_profile_is_told_and_passed_over(tmp_path, data):
    said: list[str] = []
    Image.fromarray(patches()).save(tmp_path / "a.png", icc_profile=data)
    assert np.array_equal(read_picture(tmp_path / "a.png", note=said.append), patches())
    assert not data or "profile" in said[0]


def test_pictures_in_srgb_are_not_touched(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "plain.png")
    Image.fromarray(colours).save(tmp_path / "icc.png", icc_profile=srgb_profile())
    png(tmp_path / "chunks.png", colours, (b"gAMA", struct.pack(">I", 45455)), (b"cHRM", chrm(BT709)))
    png(tmp_path / "srgb.png", colours, (b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000)))
    png(tmp_path / "cicp.png", colours, (b"cICP", bytes([1, 13, 0, 1])))
    for path in tmp_path.iterdir():
        assert np.array_equal(read_picture(path), colours), path


def png(path, colours: np.ndarray, *chunks: tuple[bytes, bytes]) -> None:
    made = BytesIO()
    Image.fromarray(colours).save(made, "PNG")
    data = made.getvalue()
    more = b"".join(struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks)
    path.write_bytes(data[:33] + more + data[33:])


def chrm(primaries) -> bytes:
    return struct.pack(">8I", *(round(value * 100_000) for value in primaries))


def test_gamma_and_chromaticities_of_a_png(tmp_path):
    colours = patches()
    linear = (into(BT709, lambda v: v, colours) * 255 + 0.5).astype(np.uint8)
    png(tmp_path / "linear.png", linear, (b"gAMA", struct.pack(">I", 100_000)))
    back = read_picture(tmp_path / "linear.png")
    assert np.abs(back - srgb_of(linear / 255) * 255).max() <= 1
    primaries, gamma = WIDE["adobe"]
    wide = (into(primaries, lambda v: v ** (1 / gamma), colours) * 255 + 0.5).astype(np.uint8)
    png(tmp_path / "adobe.png", wide, (b"gAMA", struct.pack(">I", round(1e5 / gamma))), (b"cHRM", chrm(primaries)))
    mean, most = error(tmp_path / "adobe.png", colours)
    assert mean < 1 and most <= 8
    for odd in (bytes(32), struct.pack(">8I", *[2**31 - 1] * 8), struct.pack(">8I", *[31270] * 8)):
        png(tmp_path / "odd.png", colours, (b"cHRM", odd))
        assert read_picture(tmp_path / "odd.png").shape == colours.shape


@pytest.mark.parametrize("code", [12, 9])
def test_cicp_of_a_png_overrides_its_profile(tmp_path, code):
    colours = patches()
    wide = (into(PRIMARIES[code], srgb_of, colours) * 255 + 0.5).astype(np.uint8)
    profile = zlib.compress(icc(*WIDE["adobe"]))
    png(tmp_path / "a.png", wide, (b"cICP", bytes([code, 13, 0, 1])), (b"iCCP", b"x\0\0" + profile))
    mean, most = error(tmp_path / "a.png", colours)
    assert mean < 1 and most <= 12  # few of the codes of BT.2020 are left for the darkest colours


def test_high_dynamic_range_keeps_white_white_and_is_told(tmp_path):
    # the signal of 203 nits in PQ is 58 %, reference white in HLG 75 %
    for transfer, signal in ((16, 0.5807), (18, 0.75)):
        level = round(signal * 255)
        flat = np.full((16, 16, 3), level, np.uint8)
        flat[:, 8:] = 255
        flat[:8] = level // 2
        png(tmp_path / "a.png", flat, (b"cICP", bytes([9, transfer, 0, 1])))
        said: list[str] = []
        back = read_picture(tmp_path / "a.png", note=said.append)
        assert back[-1, 0].min() >= 250 and back[-1, -1].min() == 255 and 50 < back[0, 0, 0] < 200
        assert "dynamic range" in said[0]


@pytest.mark.parametrize("how", ["tag", "interop"])
def test_exif_tells_of_adobe_rgb(tmp_path, how):
    colours = patches()
    wide = (into(ADOBE_RGB, lambda v: v ** (256 / 563), colours) * 255 + 0.5).astype(np.uint8)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 2 if how == "tag" else 0xFFFF
    if how == "interop":
        exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Image.fromarray(wide).save(tmp_path / "a.webp", lossless=True, exif=exif.tobytes())
    mean, most = error(tmp_path / "a.webp", colours)
    assert mean < 1 and most <= 8


def test_outputs_are_tagged_as_srgb(tmp_path, smooth):
    write_png(tmp_path / "a.png", smooth())
    assert Image.open(tmp_path / "a.png").info["srgb"] == 0
    for suffix in (".apng", ".webp"):
        with open_animated(tmp_path / f"a{suffix}", (64, 48), Look(), "") as writer:
            writer.add(smooth(0))
            writer.add(smooth(1))
        with Image.open(tmp_path / f"a{suffix}") as picture:
            assert picture.n_frames == 2
            assert picture.info.get("srgb") == 0 or picture.info["icc_profile"] == srgb_profile()
    profile = ImageCms.ImageCmsProfile(BytesIO(srgb_profile()))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
