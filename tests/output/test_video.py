import re
import struct
import subprocess
import wave
from pathlib import Path

import imageio.v3
import numpy as np
import pytest
from PIL import Image, ImageSequence

from laser_cli.errors import BadInputError, LaserError, UsageError
from laser_cli.output.audio import has_sound
from laser_cli.output.ffmpeg import executable, ffmpeg
from laser_cli.output.look import Look, parse_fps
from laser_cli.output.record import read_record
from laser_cli.output.video import FASTEST, FILMS, check_video, open_video, probe_encoders

PER_FRAME = {"palette": "per-frame"}
AV1 = {"codec": "av1"}
KINDS = [*((suffix, {}) for suffix in FASTEST), (".gif", PER_FRAME), (".webm", AV1)]
RECORD = '{"program":"laser","version":1,"prompt":"ü"}'


def write(path: Path, frames, fps=12.5, **options) -> None:
    height, width = frames[0].shape[:2]
    with open_video(path, (width, height), Look(fps=fps, **options), RECORD) as video:
        for frame in frames:
            video.add(frame)


def read(path: Path) -> tuple[dict, list[np.ndarray]]:
    if path.suffix in (".webp", ".apng"):
        with Image.open(path) as shown:
            told = [(np.array(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(shown)]
        return {"size": shown.size, "fps": 1000 / np.mean([delay for _, delay in told])}, [frame for frame, _ in told]
    import imageio_ffmpeg

    reader = imageio_ffmpeg.read_frames(str(path))
    facts = next(reader)
    width, height = facts["size"]
    return facts, [np.frombuffer(raw, np.uint8).reshape(height, width, 3) for raw in reader]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other) ** 2)
    return 10 * np.log10(255**2 / max(error, 1e-9))


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (65, 30)])
@pytest.mark.parametrize(("suffix", "options"), KINDS)
def test_every_frame_comes_back_close_and_in_its_place(tmp_path, smooth, suffix, options, size):
    frames = [smooth(index, *size) for index in range(11)]
    write(tmp_path / f"a{suffix}", frames, **options)
    facts, back = read(tmp_path / f"a{suffix}")
    width, height = size
    assert facts["size"] == ((width + width % 2, height + height % 2) if suffix in FILMS[:3] else size)
    assert facts["fps"] == pytest.approx(12.5)
    assert len(back) == 11
    for frame, shown in zip(frames, back, strict=True):
        assert psnr(frame, shown[:height, :width]) > 30


@pytest.mark.parametrize("fps", [7, 24, 29.97, 23.976])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".webp", ".apng"])
def test_the_rate_is_kept(tmp_path, smooth, suffix, fps):
    write(tmp_path / f"a{suffix}", [smooth(index) for index in range(24)], fps)
    assert read(tmp_path / f"a{suffix}")[0]["fps"] == pytest.approx(fps, rel=0.002)


@pytest.mark.parametrize("fps", [7, 29.97, 50])
def test_gif_delays_add_up_to_the_rate(tmp_path, smooth, fps):
    write(tmp_path / "a.gif", [smooth(index) for index in range(30)], fps)
    with Image.open(tmp_path / "a.gif") as gif:
        delays = [gif.seek(index) or gif.info["duration"] for index in range(gif.n_frames)]
    assert len(delays) == 30
    assert sum(delays[:-1]) == pytest.approx(29 / fps * 1000, abs=10)


@pytest.mark.parametrize("suffix", FASTEST)
def test_frames_that_stand_still_are_still_frames(tmp_path, smooth, suffix):
    write(tmp_path / f"a{suffix}", [smooth()] * 8)
    assert len(read(tmp_path / f"a{suffix}")[1]) == 8


@pytest.mark.parametrize("suffix", FASTEST)
def test_one_frame_is_a_video(tmp_path, smooth, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, [smooth()])
    if suffix in (".gif", ".webp", ".apng"):  # ffmpeg reads a single picture as a stream of its own rate
        with Image.open(path) as shown:
            assert shown.n_frames == 1
    else:
        assert len(read(path)[1]) == 1


@pytest.mark.parametrize(("suffix", "options"), KINDS)
def test_same_frames_same_bytes_wherever_they_are_written(tmp_path, smooth, suffix, options):
    (tmp_path / "b 50%d é").mkdir()
    paths = [tmp_path / f"-a{suffix}", tmp_path / "b 50%d é" / f"c:1{suffix}"]
    for path in paths:
        write(path, [smooth(index, 63, 49) for index in range(6)], **options)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert read_record(paths[1])["prompt"] == "ü"
    assert len(list(tmp_path.iterdir())) == 2  # nothing but the results


def test_colours_are_those_sent(tmp_path):
    for colour in ((200, 40, 40), (40, 200, 40), (40, 40, 200), (255, 255, 255), (0, 0, 0)):
        frame = np.full((48, 64, 3), colour, np.uint8)
        write(tmp_path / "a.mp4", [frame])
        assert np.abs(read(tmp_path / "a.mp4")[1][0].astype(int) - frame).max() <= 3


@pytest.mark.parametrize(
    ("suffix", "loop", "told"),
    [
        (".gif", "forever", 0),
        (".gif", 3, 2),  # shown again twice
        (".gif", 1, None),
        (".gif", None, None),
        *((suffix, *case) for suffix in (".webp", ".apng") for case in (("forever", 0), (3, 3), (None, 1))),
    ],
)
def test_loops_as_asked(tmp_path, smooth, suffix, loop, told):
    write(tmp_path / f"a{suffix}", [smooth(0), smooth(5)], loop=loop)
    with Image.open(tmp_path / f"a{suffix}") as shown:
        assert shown.info.get("loop") == told


# the order in which 4 distinct frames are shown
ORDERS = {
    "plain": ({}, [0, 1, 2, 3]),
    "bounce": ({"bounce": True}, [0, 1, 2, 3, 2, 1]),
    "hold": ({"hold_first": 0.2, "hold_last": 0.1}, [0, 0, 0, 1, 2, 3, 3]),
    "both": ({"bounce": True, "hold_first": 0.1, "hold_last": 0.2}, [0, 0, 1, 2, 3, 3, 3, 2, 1]),
}


@pytest.mark.parametrize("case", ORDERS)
@pytest.mark.parametrize("loop", ["forever", 2])
@pytest.mark.parametrize("suffix", FASTEST)
def test_frames_are_shown_in_the_order_asked_for(tmp_path, smooth, suffix, loop, case):
    options, order = ORDERS[case]
    frames = [np.full((48, 64, 3), 40 * index + 40, np.uint8) for index in range(4)]
    write(tmp_path / f"a{suffix}", frames, fps=10, loop=loop, **options)
    plugin = "FFMPEG" if suffix in FILMS else "pillow"
    back = [frame[..., :3].mean() for frame in imageio.v3.imiter(tmp_path / f"a{suffix}", plugin=plugin)]
    expected = order * (2 if plugin == "FFMPEG" and loop == 2 else 1)
    assert [round((level - 40) / 40) for level in back] == expected
    assert len(order) == Look(fps=10, **options).shown(4)


@pytest.mark.parametrize("count", [1, 2])
def test_there_is_nothing_between_two_frames_to_go_back_over(tmp_path, smooth, count):
    write(tmp_path / "a.mp4", [smooth(index) for index in range(count)], fps=10, bounce=True, hold_last=0.1, loop=2)
    assert (
        len(read(tmp_path / "a.mp4")[1]) == 2 * (count + 1) == 2 * Look(fps=10, hold_last=0.1, bounce=True).shown(count)
    )


@pytest.mark.parametrize("suffix", [".webp", ".apng"])
def test_lossless_animations_are_exact_where_only_parts_change(tmp_path, suffix):
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (33, 41, 3), dtype=np.uint8)]
    for left, top in ((3, 5), (0, 0), (40, 32), (17, 20)):
        frame = frames[-1].copy()
        frame[top : top + 7, left : left + 9] = random.integers(0, 256, 3)
        frames.append(frame)
    write(tmp_path / f"a{suffix}", frames, quality=100)
    assert all(np.array_equal(*pair) for pair in zip(frames, read(tmp_path / f"a{suffix}")[1], strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".webp"])
def test_quality_trades_size_for_likeness(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    sizes = []
    for quality in (0, 80, 100):
        write(tmp_path / f"a{suffix}", [noise], quality=quality)
        sizes.append((tmp_path / f"a{suffix}").stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(
    "wrong", [{"fps": 0}, {"loop": 0}, {"hold_first": -1}, {"hold_last": float("nan")}, {"quality": 101}]
)
def test_looks_that_nothing_can_show_are_usage_errors(wrong):
    with pytest.raises(UsageError):
        Look(**wrong)


def test_encoders_are_probed(monkeypatch):
    by_ffmpeg, by_pillow = {"mp4", "webm", "webm, av1", "gif"}, {"webp", "apng", "png"}
    assert probe_encoders() == dict.fromkeys(by_ffmpeg | by_pillow, True)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "no-such-program")
    assert probe_encoders() == dict.fromkeys(by_ffmpeg, False) | dict.fromkeys(by_pillow, True)


def test_a_webm_is_av1_where_it_is_asked_for(tmp_path, smooth):
    for codec in ("vp9", "av1"):
        write(tmp_path / "a.webm", [smooth()], codec=codec)
        assert read(tmp_path / "a.webm")[0]["codec"].startswith(codec)


def test_mp4_starts_with_its_index(tmp_path, smooth):
    write(tmp_path / "a.mp4", [smooth()])
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("name", "fps"), [("a.avi", 10), ("a", 10), ("a.gif", 60), ("a.webp", 100)])
def test_what_cannot_be_written_is_a_usage_error(tmp_path, name, fps):
    with pytest.raises(UsageError) as told, open_video(tmp_path / name, (64, 48), Look(fps=fps)):
        pass
    assert told.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FASTEST)
def test_a_video_without_frames_is_an_error(tmp_path, suffix):
    with pytest.raises(LaserError, match="at least one frame"), open_video(tmp_path / f"a{suffix}", (64, 48), Look()):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_frame_of_another_size_or_kind_is_refused(tmp_path, smooth):
    with pytest.raises(ValueError), open_video(tmp_path / "a.mp4", (64, 48), Look()) as video:
        video.add(smooth(0, 48, 64))
    with pytest.raises(ValueError), open_video(tmp_path / "a.mp4", (64, 48), Look()) as video:
        video.add(smooth().astype(np.float32))


def test_ffmpegs_failures_are_raised_with_its_last_words(tmp_path):
    with pytest.raises(LaserError) as told, ffmpeg(["-i", "missing.nut", "a.gif"], tmp_path) as process:
        process.finish()
    assert "missing.nut" in told.value.why


def test_an_ffmpeg_that_stops_early_is_raised_not_waited_for(tmp_path):
    arguments = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x64", "-i", "pipe:0", "-c:v", "no-such-codec", "a.mp4"]
    with pytest.raises(LaserError) as told, ffmpeg(arguments, tmp_path, fed=True) as process:
        for _ in range(1000):
            process.send(bytes(64 * 64 * 3))
        process.finish(1000)
    assert "no-such-codec" in told.value.why


def test_lost_frames_are_noticed(tmp_path):
    arguments = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "8x8", "-i", "pipe:0", "-frames:v", "2", "a.gif"]
    with pytest.raises(LaserError, match="ffmpeg failed"), ffmpeg(arguments, tmp_path, fed=True) as process:
        for _ in range(3):
            process.send(bytes(8 * 8 * 3))
        process.finish(3)


def test_an_exception_ends_ffmpeg(tmp_path):
    with (
        pytest.raises(RuntimeError),
        ffmpeg(["-f", "rawvideo", "-i", "pipe:0", "a.mp4"], tmp_path, fed=True) as process,
    ):
        raise RuntimeError
    assert process._process.returncode is not None


def probed(path: Path) -> str:
    """What ffmpeg says of the streams of a file."""
    command = [executable(), "-nostdin", "-hide_banner", "-i", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "\n".join(line for line in done.stderr.splitlines() if "Stream #" in line or "Duration" in line)


@pytest.mark.parametrize("suffix", FILMS)
def test_primaries_transfer_and_matrix_are_in_the_file(tmp_path, smooth, suffix):
    write(tmp_path / f"a{suffix}", [smooth(0), smooth(1)])
    told = probed(tmp_path / f"a{suffix}")
    # one name where all three are the same, else matrix/primaries/transfer
    assert re.search(r"yuv420p\(tv, bt709[,)]", told), told
    if suffix in (".mp4", ".mov"):
        data = (tmp_path / f"a{suffix}").read_bytes()
        box = data.index(b"colr")
        assert data[box + 4 : box + 8] in (b"nclx", b"nclc")
        assert struct.unpack(">HHH", data[box + 8 : box + 14]) == (1, 1, 1)


def tone(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        time = np.arange(int(8000 * seconds)) / 8000
        file.writeframes((np.sin(time * 2764) * 9000).astype("<i2").tobytes())
    return path


def loud(path: Path) -> np.ndarray:
    """Where a file sounds, 8,000 times a second."""
    command = [executable(), "-v", "error", "-i", str(path), "-f", "f32le", "-ac", "1", "-ar", "8000", "-"]
    heard = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)
    return np.abs(heard) > 0.05


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_from_a_later_second_or_after_silence(tmp_path, smooth, suffix):
    audio = tone(tmp_path / "a.wav", 1.0)
    for name, begins, sounds in (("late", -0.5, (0.5, 1.5)), ("early", 0.6, (0.0, 0.4))):
        out = tmp_path / f"{name}{suffix}"
        write(out, [smooth(i) for i in range(20)], fps=10, audio=audio, audio_from=begins)
        heard = np.flatnonzero(loud(out)) / 8000
        assert abs(heard.min() - sounds[0]) < 0.1 and abs(heard.max() - sounds[1]) < 0.1


def test_a_film_has_sound_or_none(tmp_path, smooth):
    assert has_sound(tone(tmp_path / "a.wav", 0.2))
    write(tmp_path / "silent.mp4", [smooth(0), smooth(1)])
    assert not has_sound(tmp_path / "silent.mp4") and not has_sound(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("suffix", FILMS)
@pytest.mark.parametrize("seconds", [0.3, 5.0])
def test_sound_lasts_as_long_as_the_pictures(tmp_path, smooth, suffix, seconds):
    audio = tone(tmp_path / "a:b.wav", seconds)
    write(tmp_path / f"a{suffix}", [smooth(i) for i in range(20)], fps=10, audio=audio)
    told = probed(tmp_path / f"a{suffix}")
    assert "Audio: " + ("opus" if suffix == ".webm" else "aac") in told
    assert len(read(tmp_path / f"a{suffix}")[1]) == 20
    length = float(re.search(r"Duration: 00:00:([\d.]+)", told)[1])
    assert 1.95 <= length <= 2.15
    assert read_record(tmp_path / f"a{suffix}")["prompt"] == "ü"


def test_the_same_sound_gives_the_same_bytes(tmp_path, smooth):
    audio = tone(tmp_path / "a.wav", 1)
    for suffix in FILMS:
        made = []
        for name in "ab":
            write(tmp_path / f"{name}{suffix}", [smooth(i) for i in range(6)], audio=audio)
            made.append((tmp_path / f"{name}{suffix}").read_bytes())
        assert made[0] == made[1], suffix


def test_sound_that_cannot_be_used_is_told_before_the_work(tmp_path, smooth):
    audio = tone(tmp_path / "a.wav", 1)
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile a.wav\n")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\na.wav\n")
    write(tmp_path / "silent.mp4", [smooth()])
    for name in ("text.wav", "list.ffconcat", "list.m3u8", "silent.mp4", "missing.wav"):
        with pytest.raises(BadInputError, match="sound"):
            check_video(tmp_path / "out.mp4", Look(audio=tmp_path / name))
    for suffix in (".gif", ".webp", ".apng"):
        with pytest.raises(UsageError, match="no sound"):
            check_video(tmp_path / f"out{suffix}", Look(audio=audio))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_rates_of_television_are_exact(tmp_path, smooth, suffix):
    write(tmp_path / f"a{suffix}", [smooth(i) for i in range(4)], fps=parse_fps("30000/1001"))
    assert "29.97 fps" in probed(tmp_path / f"a{suffix}")


def test_rates_are_read_from_the_command_line():
    assert parse_fps("24") == 24 and parse_fps("29.97") == 29.97 and parse_fps(" 30000 / 1001 ") == 30000 / 1001
    for wrong in ("", "x", "1/0", "1//2", "1/2/3", "nan", "inf", "-1", "1e9", "٢", "9" * 5000):
        with pytest.raises(UsageError):
            parse_fps(wrong)
