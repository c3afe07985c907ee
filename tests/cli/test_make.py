"""A Makefile like the README's, with real `make`: nothing twice, only what changed, no half-made target."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from laser_cli.presets_dir import presets_folder

pytestmark = pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="needs make")

EXAMPLES = presets_folder() / "storybook"
MAKEFILE = """\
all: $(patsubst %.plan.yaml,%.gif,$(wildcard *.plan.yaml))

%.gif: %.png %.plan.yaml
\t$(LASER) animate $< --plan $*.plan.yaml -o $@ --depfile $@.d --quiet $(FLAGS)

-include $(wildcard *.d)
"""
PLAN = """\
source: {source}
segments:
  - prompt: {target}
    frames: 3
"""


def make(folder: Path, flags: str = "--steps 2") -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(
        ["make", f"LASER={sys.executable} -m laser_cli", f"FLAGS={flags}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def built(folder: Path) -> str:
    process = make(folder)
    told, _ = process.communicate(timeout=900)
    assert process.returncode == 0, told
    return told


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Makefile").write_text(MAKEFILE)
    for name in ("cottage", "star"):
        shutil.copy(EXAMPLES / f"{name}.png", tmp_path)
        (tmp_path / f"{name}.plan.yaml").write_text(PLAN.format(source=f"a {name}", target=f"a blue {name}"))
    return tmp_path


@pytest.mark.slow
def test_a_second_make_does_nothing_and_a_changed_plan_rebuilds_only_what_it_must(folder):
    assert built(folder).count(" animate ") == 2
    assert "animate" not in built(folder)
    star = (folder / "star.gif").read_bytes()
    assert "cottage.plan.yaml" in (folder / "cottage.gif.d").read_text()
    later = time.time() + 2
    (folder / "cottage.plan.yaml").write_text(PLAN.format(source="a cottage", target="a red cottage"))
    os.utime(folder / "cottage.plan.yaml", (later, later))
    told = built(folder)
    assert "cottage.png" in told and "star.png" not in told
    assert (folder / "star.gif").read_bytes() == star


@pytest.mark.slow
def test_a_killed_build_leaves_no_target(folder):
    (folder / "star.plan.yaml").unlink()
    process = make(folder, "--steps 60")
    deadline = time.monotonic() + 900
    while not list(folder.glob(".*laser-*")):  # the output is being made, aside
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=900)
    assert process.returncode != 0
    while list(folder.glob(".*laser-*")) and time.monotonic() < deadline:  # make may be gone before laser is
        time.sleep(0.1)
    assert sorted(path.name for path in folder.iterdir()) == [
        "Makefile",
        "cottage.plan.yaml",
        "cottage.png",
        "star.png",
    ]
