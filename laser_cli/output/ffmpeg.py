"""One ffmpeg process, held to account: its exit status and the number of frames that it wrote are checked."""

import errno
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from laser_cli.errors import LaserError, machine_error, out_of_memory

LAST_LINES = 4
TOLD_BY_FFMPEG = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EMFILE, errno.ENOMEM)


class Ffmpeg:
    """A running ffmpeg that works in `folder`; made by `ffmpeg()`, fed by `send`, ended by `finish`."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, messages: IO[bytes], progress: IO[bytes], fed: bool
    ) -> None:
        common = ["-nostdin", "-hide_banner", "-v", "error", "-nostats", "-progress", "pipe:1", "-y"]
        self._messages = messages
        self._progress = progress
        self._process = subprocess.Popen(
            [executable(), *common, *arguments],
            cwd=folder,
            stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
            # files, because a pipe that nobody reads would fill up and block it
            stdout=progress,
            stderr=messages,
            # Ctrl-C is ours to handle: an ffmpeg that stopped first would look like a failure
            start_new_session=True,
        )

    def send(self, data: bytes) -> None:
        """Pipe raw frames in; LaserError if ffmpeg has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except BrokenPipeError:
            self._process.wait()
            raise self._failure("it stopped before the last frame") from None

    def finish(self, frames: int | None = None) -> None:
        """Wait for the end; LaserError unless it went well and, if given, exactly `frames` frames were written."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                self._process.wait()
                raise self._failure("it stopped before the last frame") from None
        if self._process.wait() != 0:
            raise self._failure(f"exit status {self._process.returncode}")
        self._progress.seek(0)
        counts = re.findall(rb"^frame=\s*(\d+)", self._progress.read(), re.MULTILINE)
        written = int(counts[-1]) if counts else 0
        if frames is not None and written != frames:
            raise self._failure(f"it wrote {written} of {frames} frames")

    def kill(self) -> None:
        """End it now, if it is still running."""
        self._process.kill()
        if self._process.stdin is not None:
            with suppress(OSError):  # what was buffered has nowhere to go
                self._process.stdin.close()
        self._process.wait()

    def _failure(self, why: str) -> LaserError:
        self._messages.seek(0)
        text = self._messages.read().decode("utf-8", "replace")
        if told := _machine_failure(text, self._process.returncode):
            return told
        return LaserError("ffmpeg failed", why="\n".join([why, *text.strip().splitlines()[-LAST_LINES:]]))


@contextmanager
def ffmpeg(arguments: Sequence[str], folder: Path, *, fed: bool = False) -> Iterator[Ffmpeg]:
    """Start ffmpeg in `folder` (file names are relative to it); it is gone when the context ends, however it ends."""
    with tempfile.TemporaryFile() as messages, tempfile.TemporaryFile() as progress:
        process = Ffmpeg(arguments, folder, messages, progress, fed)
        try:
            yield process
        finally:
            process.kill()


def _machine_failure(messages: str, status: int | None) -> LaserError | None:
    """A full disk, a limit or exhausted memory behind the end of an ffmpeg; None if it failed by itself."""
    number = next((number for number in TOLD_BY_FFMPEG if os.strerror(number) in messages), None)
    if number is None and out_of_memory(RuntimeError(messages)):
        number = errno.ENOMEM
    if status is not None and status < 0:
        if -status == getattr(signal, "SIGXFSZ", None):
            number = errno.EFBIG
        elif -status == getattr(signal, "SIGKILL", None):
            number = errno.ENOMEM  # the system's way to make room; we kill it only after a failure of our own
    return machine_error(OSError(number, os.strerror(number))) if number else None


def encoders() -> set[str]:
    """The names of all encoders that this ffmpeg has; LaserError without an ffmpeg."""
    command = [executable(), "-nostdin", "-hide_banner", "-v", "error", "-encoders"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LaserError("ffmpeg failed", why=f"exit status {done.returncode}\n{done.stderr.strip()}".strip())
    return set(re.findall(r"^ [VAS][A-Z.]{5} (\S+)", done.stdout, re.MULTILINE))


def executable() -> str:
    """The path of imageio-ffmpeg's ffmpeg, or of the one that IMAGEIO_FFMPEG_EXE names; LaserError without one."""
    import imageio_ffmpeg

    hint = "pip install imageio-ffmpeg"
    try:
        found = str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        # it is also called missing where it could not be started, for want of memory or of descriptors
        bundled = sorted(Path(imageio_ffmpeg.__file__).parent.glob("binaries/ffmpeg-*"))
        if not bundled:
            raise LaserError("ffmpeg is missing", why=str(error), hint=hint) from error
        found = str(bundled[0])
    if shutil.which(found) is None:
        raise LaserError("ffmpeg is missing", why=f"there is no program {found}", hint=hint)
    return found
