"""`laser bench` prints figures and never judges by its exit code."""

import json
import re
import subprocess
import sys

import pytest

from laser_cli.jobs.model import asked_by
from laser_cli.storybook.classifier import FOLDER


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "laser_cli", "bench", *arguments], capture_output=True, text=True, check=False
    )


def test_speed_prints_one_versioned_object():
    done = bench("speed", "--frames", "3", "--steps", "2", "--no-whole", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["version"], told["bench"]) == (1, "speed")
    figures = {f["name"]: f for f in told["figures"]}
    assert all(set(f) == {"name", "value", "unit", "target", "holds"} for f in told["figures"])
    assert figures["U-Net evaluations of the rendering"]["value"] == 2 * (1 + 2 * 2)
    assert any(name.startswith("rendering 3 frames / plain sampling") for name in figures)
    for name in ("animation", "interpolation"):
        beside = figures[f"{name} of 3 frames / the library's pipeline, 3 pictures"]
        assert beside["value"] > 0 and beside["target"] == 1.1


def test_speed_of_a_checkpoint_beside_the_library_and_its_memory(tmp_path):
    from tests.models import tiny

    for make in (tiny.sd, tiny.sdxl):
        folder = make(tmp_path / make.__name__)
        told = ("--frames", "3", "--steps", "1", "--warmup", "1", "--rounds", "1", "--chunk", "2", "--no-whole")
        done = bench("speed", "--model", str(folder), *told, "--parts", "library,memory", "--device", "cpu", "--json")
        assert done.returncode == 0, done.stderr
        figures = {f["name"]: f["value"] for f in json.loads(done.stdout)["figures"]}
        memory = [f"peak memory, --chunk {way}" for way in ("1", "2", "2 --free-text-encoders")]
        assert all(figures[name] > 100 for name in memory)
        assert "interpolation / the library's pipeline, by U-Net evaluation" in figures


def test_speed_knows_its_parts():
    done = bench("speed", "--parts", "own,everything")
    assert done.returncode == 2 and "there is no everything" in done.stderr


def test_a_layout_of_random_weights_is_written_once(tmp_path):
    done = bench("layout", "sd1", str(tmp_path / "m"), "--small")
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "m"), done.stderr
    assert (tmp_path / "m" / "unet" / "config.json").is_file()
    again = bench("layout", "sd1", str(tmp_path / "m"), "--small")
    assert again.returncode == 2 and "is there already" in again.stderr
    strange = bench("layout", "flux", str(tmp_path / "x"))
    assert strange.returncode == 2 and "sd1, sd2, sdxl" in strange.stderr


def test_plan_prints_a_table():
    done = bench("plan", "--items", "30")
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert "target" in done.stdout and all(re.search(r" of \d", row) for row in rows)
    assert any(row.startswith("open domain: stages in order, rules") for row in rows)


def test_storybook_prints_figures_and_writes_a_sheet(tmp_path):
    done = bench("storybook", "--items", "2", "--steps", "2", "--sheet", str(tmp_path / "sheet.png"), "--json")
    assert done.returncode == 0, done.stderr
    figures = {f["name"]: f for f in json.loads(done.stdout)["figures"]}
    assert {"VAE round trip, scenes", "VAE round trip, puppets", "inversion in 50 steps, re-generated"} <= set(figures)
    assert figures["VAE round trip, scenes"]["value"] > 20
    asked = asked_by("storybook")
    assert asked and figures["guidance of the generated pictures"]["value"] == asked.values["guidance"]
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_interpolate_prints_a_table_or_says_what_it_lacks():
    arguments = ("--items", "1", "--frames", "3", "--steps", "2", "--methods", "outer,text", "--no-whole")
    done = bench("interpolate", *arguments)
    if not (FOLDER / "config.json").is_file():
        assert done.returncode == 3 and "classifier" in done.stderr and "bench interpolate" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert "outer, even" in done.stdout and "dissolve, uniform" in done.stdout and "target" in done.stdout


def test_interpolate_knows_its_methods():
    done = bench("interpolate", "--methods", "outer,magic")
    assert done.returncode == 2 and "magic" in done.stderr and not done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--method", "magic"), "magic"),
        (("--frames", "24"), "--frames 25 --every 4"),
        (("--every", "6"), "--frames 37 --every 6"),
        (("--out", "FILE"), "folder"),
    ],
)
def test_animate_says_what_cannot_be_before_it_loads_anything(laser, tmp_path, arguments, told):
    (tmp_path / "file").write_text("")
    code, out, err = laser("bench", "animate", *(str(tmp_path / "file") if a == "FILE" else a for a in arguments))
    assert code == 2 and told in err and not out


def test_all_writes_one_file_and_says_what_failed(laser, tmp_path, monkeypatch):
    asked = []

    file = tmp_path / "all.json"

    def run_all(options, say, whole):
        asked.append(options | {"whole": whole})
        yield {"benches": [], "failed": [], "left": ["plan"]}
        assert json.loads(file.read_text())["left"] == ["plan"], "what was measured is kept at once"
        yield {"benches": [{"bench": "plan", "figures": []}], "failed": ["speed"][len(asked) - 1 :], "left": []}

    monkeypatch.setattr("laser_cli.measure.every.run_all", run_all)
    code, out, err = laser("bench", "--all", "--json", file, "--items", "3")
    assert code == 6 and out == f"{file}\n" and "speed" in err
    assert json.loads(file.read_text()) == {
        "version": 1,
        "benches": [{"bench": "plan", "figures": []}],
        "failed": ["speed"],
        "left": [],
    }
    assert laser("bench", "--all", "--json", file, "--no-whole")[0] == 0
    every = {"--model": None, "--items": None, "whole": False}
    assert asked == [every | {"--items": "3", "whole": True}, every]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--all",), "--all needs a file"),
        (("--items", "3"), "they go with --all"),
        (("--no-whole",), "they go with --all"),
        (("--all", "--json", "FILE", "plan"), "plan is one of them"),
        (("--all", "--json", "missing/FILE"), "missing"),
    ],
)
def test_all_is_asked_for_as_a_whole(laser, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    code, out, err = laser("bench", *arguments)
    assert code in (2, 5) and told in err and not out


def test_benches_of_models_are_imported_without_a_word():
    modules = ("storybook", "speed", "conditions", "animation.bench", "interpolations.bench", "portraits.bench")
    told = "; ".join(f"import laser_cli.measure.{name}" for name in modules)
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bench_alone_shows_its_help(laser):
    code, out, err = laser("bench")
    assert code == 2 and "animate" in out + err and "--all" in out + err
