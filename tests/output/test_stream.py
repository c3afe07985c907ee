import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from laser_cli.errors import LaserError
from laser_cli.output.ffmpeg import executable
from laser_cli.output.look import Look
from laser_cli.output.sink import open_sinks
from laser_cli.output.stream import open_stream


def streamed(frames, format, **options) -> bytes:
    height, width = frames[0].shape[:2]
    with open_stream(stream := io.BytesIO(), format, (width, height), Look(**options)) as writer:
        for frame in frames:
            writer.add(frame)
    return stream.getvalue()


def test_rgb24_is_the_frames_as_they_are_shown(smooth):
    frames = [smooth(index, 63, 47) for index in range(4)]
    data = streamed(frames, "rgb24", bounce=True, loop=2, hold_last=0.1, fps=10)
    back = np.frombuffer(data, np.uint8).reshape(-1, 47, 63, 3)
    assert np.array_equal(back, np.stack(frames)[[0, 1, 2, 3, 3, 2, 1] * 2])


@pytest.mark.parametrize("fps", [12, 29.97])
def test_y4m_is_what_ffmpeg_takes_it_for(tmp_path, fps):
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (5, 7, 3), dtype=np.uint8) for _ in range(3)]
    (tmp_path / "a.y4m").write_bytes(data := streamed(frames, "y4m", fps=fps))
    assert data.startswith(b"YUV4MPEG2 W7 H5 F" + {12: b"12:1", 29.97: b"2997:100"}[fps] + b" Ip A1:1 C444")
    # -v info says how it read the header
    command = [executable(), "-i", "a.y4m", "-sws_flags", "accurate_rnd", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=900)
    assert b"yuv444p(tv" in done.stderr
    back = np.frombuffer(done.stdout, np.uint8).reshape(-1, 5, 7, 3)
    assert back.shape[0] == 3
    assert np.abs(back.astype(int) - np.stack(frames)).max() <= 3


def test_a_sink_streams_as_the_frames_come(smooth, tmp_path):
    stream = io.BytesIO()
    with open_sinks(
        None, tmp_path / "f", size=(64, 48), look=Look(), count=2, record={}, stream=(stream, "rgb24")
    ) as sink:
        sink.add(0, smooth(0))
        assert stream.getvalue() == smooth(0).tobytes()
        sink.add(1, smooth(1))
    assert not stream.closed and len(stream.getvalue()) == 2 * 64 * 48 * 3
    assert sink.paths == [tmp_path / "f"]


def test_no_frame_is_an_error_and_a_wrong_one_is_refused(smooth):
    with pytest.raises(LaserError, match="at least one frame"), open_stream(io.BytesIO(), "y4m", (64, 48), Look()):
        pass
    with pytest.raises(ValueError), open_stream(io.BytesIO(), "y4m", (64, 48), Look()) as writer:
        writer.add(smooth(0, 48, 64))


def test_a_reader_that_leaves_is_a_broken_pipe():
    script = """
import sys, numpy as np
from laser_cli.output.look import Look
from laser_cli.output.stream import open_stream
try:
    with open_stream(sys.stdout.buffer, "rgb24", (64, 64), Look()) as writer:
        while True:
            writer.add(np.zeros((64, 64, 3), np.uint8))
except BrokenPipeError:
    sys.stderr.write("broken")
    sys.stderr.flush()
    import os
    os._exit(7)
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.read(1000)
        process.stdout.close()
        assert process.stderr.read() == b"broken" and process.wait(60) == 7
