"""Sound for videos: any audio file, cut or filled up with silence to the length of the pictures."""

import os
import subprocess
from fractions import Fraction
from functools import cache
from pathlib import Path

from laser_cli.errors import BadInputError, reason
from laser_cli.output.ffmpeg import executable

# no playlists, which name other files
FORMATS = "wav,mp3,flac,ogg,aac,mov,matroska,aiff,w64,caf,asf,avi,ac3,eac3,amr,mpegts,mpeg,wv,ape,au"
RATE = 48_000  # samples a second
SECONDS_TO_READ = 60
SOUND_ENCODERS = ("aac", "libopus")  # the second for webm


def sound_input(path: Path, start: float = 0.0) -> list[str]:
    """ffmpeg's arguments that read a file as sound from `start` seconds on; it can lead nowhere else."""
    # file: keeps a name such as "a:b.wav" from being read as a protocol
    seek = ["-ss", f"{start:.6f}"] if start > 0 else []
    only = ["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS]
    return [*seek, *only, "-i", f"file:{os.path.abspath(path)}"]


def encoded_sound(suffix: str, seconds: Fraction, delay: float = 0.0) -> list[str]:
    """ffmpeg's arguments that encode sound for a container, cut or filled up with silence to a length.

    `delay`: seconds of silence before it.
    """
    webm = suffix == ".webm"
    samples = round(seconds * RATE)
    late = f"adelay={round(delay * RATE)}S:all=1," if delay > 0 else ""
    fitted = f"aresample={RATE},{late}apad=whole_len={samples},atrim=end_sample={samples}"
    codec = ["-c:a", SOUND_ENCODERS[webm], "-b:a", "160k" if webm else "192k"]
    return ["-af", fitted, *codec, "-flags:a", "+bitexact"]


def check_audio(path: Path) -> None:
    """Raise BadInputError unless a file holds sound that can be decoded; call it before the work."""
    try:
        stamp = path.stat().st_mtime_ns
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise BadInputError(f"cannot read the sound {path}", why=reason(error)) from error
    if failure := _failure(path, stamp):
        hint = "a WAV, MP3, FLAC, Ogg, M4A or video file with sound"
        raise BadInputError(f"{path} is no sound that laser can read", why=failure, hint=hint)


def has_sound(path: Path) -> bool:
    """Whether a file can be read as sound: a film may have none."""
    return path.is_file() and not _failure(path, path.stat().st_mtime_ns)


@cache
def _failure(path: Path, stamp: int) -> str:
    """What ffmpeg says of a file whose first second it cannot decode as sound, or ""."""
    command = [executable(), "-nostdin", "-hide_banner", "-v", "error", *sound_input(path)]
    command += ["-map", "0:a:0", "-t", "1", "-f", "null", "-"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=SECONDS_TO_READ
        )
    except subprocess.TimeoutExpired:
        return f"ffmpeg took over {SECONDS_TO_READ} s"
    if done.returncode == 0:
        return ""
    told = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return told[-1] if told else f"ffmpeg ended with {done.returncode}"
