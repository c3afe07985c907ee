"""Shared fixtures, and the rule that GPU tests are skipped where there is no GPU."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

HANDLED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

settings.register_profile("untimed", deadline=None)  # no test depends on how busy the machine is
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Workers share the cores, and so do the programs they start: threads of several in turns would crawl."""
    if shared := getattr(config, "workerinput", None):
        share = max(1, (os.cpu_count() or 1) // shared["workercount"])
        os.environ.setdefault("OMP_NUM_THREADS", str(share))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def heed_interrupts() -> Iterator[None]:
    """Ctrl-C ends a test, and the programs that it starts, whatever the shell or an earlier test has made of it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell that runs pytest in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    found = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in found.items():
        if handler is not None:  # None: not Python's
            signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> Iterator[Path]:
    """Nothing is read from this machine's cache folder and settings file, and nothing written, by no test's process."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASER_CACHE", str(folder))
        patch.setenv("LASER_NO_CONFIG", "1")
        yield folder


@pytest.fixture
def smooth() -> Callable[..., np.ndarray]:
    """`smooth(index, width, height)`: a coloured wave that moves with the index, as (h, w, 3) uint8."""

    def picture(index: int = 0, width: int = 64, height: int = 48) -> np.ndarray:
        y, x = np.mgrid[0:height, 0:width]
        waves = [
            np.sin(x / width * 3 + index / 8),
            np.cos(y / height * 3 - index / 9),
            np.sin((x + y) / (width + height)),
        ]
        return np.stack([127.5 + 100 * wave for wave in waves], axis=-1).astype(np.uint8)

    return picture


@pytest.fixture(scope="session")
def storybook():
    """The embedded model in float32 on the CPU."""
    from laser_cli.models.load import load_model

    return load_model("storybook", "cpu", "float32")


@pytest.fixture(scope="session")
def red_ball() -> np.ndarray:
    """A drawn picture of the storybook world, (size, size, 3) uint8; its caption is `RED_BALL`."""
    from laser_cli.stages.invert import to_array
    from laser_cli.storybook.draw import draw
    from laser_cli.storybook.scenes import Scene

    return to_array(draw([Scene()])[0])
