"""Video files, streamed: frames are piped to ffmpeg one by one, so that memory does not grow with their number."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from laser_cli.errors import LaserError, UsageError
from laser_cli.output.animated import open_animated
from laser_cli.output.audio import SOUND_ENCODERS, check_audio, encoded_sound, sound_input
from laser_cli.output.ffmpeg import encoders, ffmpeg
from laser_cli.output.look import Look, Player
from laser_cli.output.record import ffmetadata, to_ascii

# viewers slow a gif's frames under 2/100 s, and those of webp and apng under 11 ms, down to 10/100 s
FASTEST = {".mp4": 240.0, ".mov": 240.0, ".mkv": 240.0, ".webm": 240.0, ".gif": 50.0, ".webp": 90.0, ".apng": 90.0}
FILMS = (".mp4", ".mov", ".mkv", ".webm")  # formats that hold sound, and no number of loops
STILL = ".png"  # of one frame: no video, but a name that an animation may have (output.sink)
ENCODERS = {"mp4": "libx264", "webm": "libvpx-vp9", "webm, av1": "libaom-av1", "gif": "gif"}
BITEXACT = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "4"]  # x264's output depends on the threads
X264 = ["-c:v", "libx264", "-preset", "medium"]
# no row-mt: with it the bytes depend on how the threads are scheduled
VP9 = ["-c:v", "libvpx-vp9", "-b:v", "0", "-deadline", "good", "-cpu-used", "2", "-row-mt", "0", "-tile-columns", "2"]
AV1 = ["-c:v", "libaom-av1", "-b:v", "0", "-usage", "good", "-cpu-used", "6", "-row-mt", "0"]
# converted and tagged as bt709: left untagged, players guess the matrix by the size of the picture. The frames are
# tagged, from which ffmpeg 7.1 and later take it, and the output, which older ones need
TO_BT709 = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p,"
    "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
)
BT709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
DITHER = "dither=bayer:bayer_scale=5:diff_mode=rectangle"
PER_FRAME = f"split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:{DITHER}"
# frames that do not change are kept, each with its own delay: N frames in, N frames out
GIF = ["-f", "gif", "-fps_mode", "passthrough"]


class Writer(Protocol):
    """What takes the frames of a video."""

    def add(self, frame: np.ndarray) -> None:
        """Take the next (h, w, 3) uint8 frame."""


class VideoWriter:
    """Takes the frames of one video, in order: (h, w, 3) uint8 arrays; `size` is (w, h)."""

    def __init__(self, size: tuple[int, int], grid: int, send: Callable[[bytes], None]) -> None:
        self.size = size
        self.count = 0
        self._grid = grid
        self._send = send

    def add(self, frame: np.ndarray) -> None:
        """Encode one frame; sides off the codec's grid are padded by repeating the last row or column, not rescaled."""
        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"a frame is {frame.shape} {frame.dtype}, not {(height, width, 3)} uint8")
        right, below = -width % self._grid, -height % self._grid
        if right or below:
            frame = np.pad(frame, ((0, below), (0, right), (0, 0)), mode="edge")
        self._send(frame.tobytes())
        self.count += 1


@contextmanager
def open_video(path: Path, size: tuple[int, int], look: Look, record_json: str = "") -> Iterator[Writer]:
    """A writer of distinct frames of `size` (w, h) into a video, which is complete and checked when the context ends.

    The suffix tells the format: one of FASTEST. Each frame is written as it comes, in memory that does not grow with
    their number (x264 looks some 50 frames ahead, libaom 35, libvpx 25); what is shown again and a gif's way to its
    palette go by way of temporary files beside `path`. Use it on a staged path: on failure an unfinished file may be
    left.
    """
    check_video(path, look)
    suffix = path.suffix.lower()
    with tempfile.TemporaryDirectory(prefix=".laser-", dir=path.resolve().parent) as name:
        made = Path(name, f"video{suffix}")
        if suffix in (".webp", ".apng"):
            opened: AbstractContextManager[Writer] = open_animated(made, size, look, record_json)
        elif suffix == ".gif":
            opened = _gif(made, size, look, record_json)
        else:
            opened = _film(made, size, look, record_json)
        passes = look.passes if suffix in FILMS else 1
        with opened as writer, playing(writer, look, passes, made.parent) as player:
            yield player
        made.replace(path)


@contextmanager
def playing(writer: Writer, look: Look, passes: int, folder: Path | None = None) -> Iterator[Player]:
    """A player in front of a writer, which has shown all that it has to when the context ends well."""
    player = Player(writer.add, look, passes, folder)
    try:
        yield player
        player.finish()
    finally:
        player.close()


def check_video(path: Path, look: Look) -> None:
    """Raise UsageError unless `open_video` can write this; to be called before the long work starts."""
    suffix = path.suffix.lower()
    if suffix not in FASTEST:
        what = f"cannot write {path.name}: {suffix or 'no suffix'} is not a format that laser writes"
        raise UsageError(what, hint=f"a name that ends in {', '.join(FASTEST)}, or {STILL} for one frame")
    if not 0 < look.fps <= FASTEST[suffix]:
        raise UsageError(f"{suffix} cannot show {look.fps:g} frames a second", hint=f"at most {FASTEST[suffix]:g}")
    if look.audio and suffix not in FILMS:
        raise UsageError(f"{suffix} holds no sound", hint=f"a name that ends in {', '.join(FILMS)}")
    if look.audio:
        check_audio(look.audio)
        _check_encoder(path, SOUND_ENCODERS[suffix == ".webm"], "with sound", "another format, or leave out --audio")
    if suffix == ".webm" and look.codec == "av1":
        _check_encoder(path, ENCODERS["webm, av1"], "as av1", "--codec vp9, or pip install -U imageio-ffmpeg")


def _check_encoder(path: Path, encoder: str, how: str, hint: str) -> None:
    if encoder not in encoders():
        why = f"this ffmpeg has no encoder {encoder} (laser doctor)"
        raise UsageError(f"cannot write {path.name} {how}", why=why, hint=hint)


def probe_encoders() -> dict[str, bool]:
    """Which of the video formats this machine can write; without ffmpeg those that need it are False."""
    from PIL import features

    try:
        known = encoders()
    except LaserError:
        known = set()
    zlib = bool(features.check("zlib"))
    found = {name: encoder in known for name, encoder in ENCODERS.items()}
    return {**found, "webp": bool(features.check("webp")), "apng": zlib, "png": zlib}


@contextmanager
def _film(made: Path, size: tuple[int, int], look: Look, record_json: str) -> Iterator[VideoWriter]:
    """An mp4, mov or mkv (H.264) or webm (VP9 or AV1) with the record as its comment, and sound if there is any."""
    (made.parent / "metadata").write_text(ffmetadata(record_json), encoding="utf-8", newline="\n")
    notes = ["-f", "ffmetadata", "-i", "metadata", "-map", "0:v", "-map_metadata", "1"]
    if made.suffix == ".webm":
        codec, grid = [*(AV1 if look.codec == "av1" else VP9), "-crf", str(round(61 - 0.5 * look.quality))], 1
    else:
        # quality 80 is crf 17, to the eye the same as the frames
        codec, grid = [*X264, "-crf", str(round(49 - 0.4 * look.quality))], 2
        codec += _faststart(made.suffix)
    silent = made.with_stem("silent") if look.audio else made
    output = ["-vf", TO_BT709, *codec, *BT709, *BITEXACT, silent.name]
    with _fed([*notes, *output], made.parent, size, grid, _rate(look)) as writer:
        yield writer
    if look.audio:
        # afterwards, when the length is known: ffmpeg's own -shortest ends anywhere in a second
        length, late = writer.count / Fraction(_rate(look)), -look.audio_from
        sound = [*sound_input(look.audio, look.audio_from), *encoded_sound(made.suffix, length, late)]
        both = ["-map", "0:v", "-map", "1:a:0", "-map_metadata", "0", "-c:v", "copy"]
        _run(["-i", silent.name, *sound, *both, *_faststart(made.suffix), *BITEXACT, made.name], made.parent)


def _faststart(suffix: str) -> list[str]:
    return ["-movflags", "+faststart"] if suffix in (".mp4", ".mov") else []


@contextmanager
def _gif(made: Path, size: tuple[int, int], look: Look, record_json: str) -> Iterator[VideoWriter]:
    # a gif counts how often it is shown again: 0 is for ever, -1 writes no count
    end = [*GIF, "-loop", str({0: 0, 1: -1}.get(look.plays, look.plays - 1)), *BITEXACT, "plain.gif"]
    scratch, rate = made.parent, _rate(look)
    if look.palette == "per-frame":
        with _fed(["-filter_complex", PER_FRAME, *end], scratch, size, 1, rate) as writer:
            yield writer
    else:
        # by way of a lossless file, as one pass (split, palettegen, paletteuse) holds all frames in ffmpeg's memory:
        # the palette is known after the last frame, and used from the first
        with _fed(["-c:v", "ffv1", "-pix_fmt", "bgr0", *BITEXACT, "frames.nut"], scratch, size, 1, rate) as writer:
            yield writer
        _run(
            ["-i", "frames.nut", "-vf", "palettegen", "-frames:v", "1", "-update", "1", *BITEXACT, "palette.png"],
            scratch,
        )
        _run(["-i", "frames.nut", "-i", "palette.png", "-lavfi", f"paletteuse={DITHER}", *end], scratch, writer.count)
    with (scratch / "plain.gif").open("rb") as plain, made.open("wb") as spliced:
        _splice_comment(plain, spliced, record_json)


@contextmanager
def _fed(output: list[str], folder: Path, size: tuple[int, int], grid: int, rate: str) -> Iterator[VideoWriter]:
    """A writer of raw frames into one ffmpeg, which has ended well when the context ends without an exception."""
    width, height = (side + -side % grid for side in size)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-framerate", rate, "-i", "pipe:0"]
    with ffmpeg([*raw, *output], folder, fed=True) as process:
        writer = VideoWriter(size, grid, process.send)
        yield writer
        if writer.count == 0:
            raise LaserError("a video needs at least one frame")
        process.finish(writer.count)


def _rate(look: Look) -> str:
    return str(Fraction(look.fps).limit_denominator(1001))


def _run(arguments: list[str], folder: Path, frames: int | None = None) -> None:
    with ffmpeg(arguments, folder) as process:
        process.finish(frames)


def _splice_comment(plain: BinaryIO, made: BinaryIO, text: str) -> None:
    """Copy a gif with a Comment Extension right after its global colour table; ffmpeg itself drops comments."""
    header = plain.read(13)
    table = 3 * 2 ** ((header[10] & 7) + 1) if header[10] & 0x80 else 0
    made.write(header + plain.read(table))
    if text:
        data = to_ascii(text).encode("ascii")
        blocks = (data[start : start + 255] for start in range(0, len(data), 255))
        made.write(b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0")
    while chunk := plain.read(1 << 20):
        made.write(chunk)
