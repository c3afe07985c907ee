"""`laser batch` as a process: what it prints, writes and returns, goes on with, and does with lines."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
STAR = COTTAGE.with_name("star.png")
QUICK = {"steps": 2, "frames": 3, "size": 64, "dtype": "float32", "even_pace": False}
FLAGS = ["--steps", "2", "--frames", "3", "--size", "64", "--dtype", "float32", "--no-even-pace"]


def process(*arguments, folder, **more):
    call = [sys.executable, "-m", "laser_cli", "batch", *map(str, arguments)]
    return subprocess.Popen(
        call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.PIPE, **more
    )


def write_jobs(folder, *rows, **defaults):
    path = folder / "jobs.yaml"
    path.write_text(json.dumps({"defaults": {**QUICK, **defaults}, "jobs": list(rows)}))
    return path


def test_a_batch_draws_what_the_command_draws_tells_what_failed_and_goes_on(laser, tmp_path):
    shutil.copy(COTTAGE, tmp_path / "c.png")
    said = {"description": "night falls"}
    write_jobs(
        tmp_path,
        {**said, "image": str(COTTAGE), "seed": ["1..2"], "out": "{stem}-{seed}.gif"},
        {**said, "image": "c.png", "out": "changed.gif", "id": "the third"},
    )
    extra = ["--report", "out/index.html", "--junit", "out/junit.xml"]
    running = process("jobs.yaml", "-o", "out", *extra, folder=tmp_path)
    paths = [running.stdout.readline()]
    shutil.copy(STAR, tmp_path / "c.png")  # after the check, before its turn
    out, err = running.communicate(timeout=600)
    paths += out.splitlines(keepends=True)
    assert running.returncode == 6, err
    assert paths == ["out/cottage-1.gif\n", "out/cottage-2.gif\n"]
    assert "/3] failed the third" in err and "an input has changed" in err and "(exit code 5)" in err

    alone = tmp_path / "alone.gif"
    assert laser("animate", COTTAGE, "night falls", "--seed", 1, *FLAGS, "-o", alone)[0] == 0
    assert alone.read_bytes() == (tmp_path / "out" / "cottage-1.gif").read_bytes()

    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert [case.get("name") for case in suite] == ["cottage-1.gif", "cottage-2.gif", "the third"]
    assert suite[2][0].get("type") == "exit 5"
    page = (tmp_path / "out" / "index.html").read_text()
    assert '<img src="cottage-1.gif"' in page and "an input has changed" in page and "2 of 3 jobs, 1 failed" in page

    code, stdout, _ = laser("batch", "status", tmp_path / "out", "--json")
    told = json.loads(stdout)
    assert (code, told["state"], told["done"], told["failed"]) == (0, "failed", 2, 1)

    shutil.copy(COTTAGE, tmp_path / "c.png")
    again = process("jobs.yaml", "-o", "out", "--resume", "--json", *extra, folder=tmp_path)
    out, err = again.communicate(timeout=600)
    told = json.loads(out)
    assert again.returncode == 0, err
    assert (told["version"], told["done"], told["skipped"], told["failed"]) == (1, 1, 2, 0)
    assert [row["status"] for row in told["results"]] == ["skipped", "skipped", "done"]
    assert told["results"][2]["id"] == "the third" and told["results"][2]["error"] is None
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".laser-batch", "changed.gif", "cottage-1.gif", "cottage-2.gif", "index.html", "junit.xml",
    ]  # fmt: skip


def test_a_worker_that_stays_answers_every_line_while_its_input_is_open(tmp_path):
    running = process("-", "--json", "-o", "out", "-q", folder=tmp_path)

    def ask(text):
        running.stdin.write(text + "\n")
        running.stdin.flush()
        return json.loads(running.stdout.readline())

    try:
        bad = ask("nonsense")
        assert (bad["version"], bad["n"], bad["status"], bad["error"]["exit_code"]) == (1, 1, "failed", 5)
        bad = ask(json.dumps({"id": 7, "image": "nope.png", "description": "x"}))
        assert bad["id"] == 7 and bad["error"]["what"].startswith("line 2: image: there is no picture")
        job = {"image": str(COTTAGE), "description": "night falls", **QUICK}
        good = ask(json.dumps({"id": "a", **job, "out": "a.gif"}))
        assert (good["status"], good["id"], good["paths"]) == ("done", "a", ["out/a.gif"]) and good["frames"] == 3
        assert (tmp_path / "out" / "a.gif").exists()
        again = ask(json.dumps({**job, "out": "a.gif", "skip_existing": True}))
        assert again["status"] == "skipped"
        out, err = running.communicate(timeout=120)
    finally:
        running.kill()
        running.wait()
    assert (running.returncode, out) == (6, ""), err


def test_a_bad_batch_draws_nothing_and_leaves_nothing(laser, tmp_path):
    path = write_jobs(tmp_path, {"image": "nope.png", "description": "x"}, {"image": str(COTTAGE), "stepps": 1})
    code, stdout, stderr = laser("batch", path, "-o", tmp_path / "out", "--junit", tmp_path / "j.xml")
    assert (code, stdout) == (5, "")
    assert "there is no picture nope.png" in stderr and "stepps" in stderr and "2 things are wrong" in stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.yaml"]


def test_a_dry_run_tells_the_costs_and_leaves_nothing(laser, tmp_path):
    path = write_jobs(tmp_path, {"image": str(COTTAGE), "description": "night falls", "seed": ["1..50"]})
    code, stdout, stderr = laser("batch", path, "-o", tmp_path / "out", "--dry-run", "--json", "--set", "steps=4")
    told = json.loads(stdout)
    assert code == 0, stderr
    one = json.loads(laser("animate", COTTAGE, "night falls", *FLAGS, "--steps", 4, "--dry-run", "--json")[1])
    assert (told["jobs"], told["evaluations"]) == (50, 50 * one["evaluations"]["total"])
    assert told["memory"] == one["memory"]["at_least"] and told["time"]["seconds"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.yaml"]
    assert "jobs: 50" in laser("batch", path, "-o", tmp_path / "out", "--dry-run")[2]


def test_pictures_that_match_are_jobs_without_a_file(laser, tmp_path):
    for name in ("a", "b"):
        shutil.copy(COTTAGE, tmp_path / f"{name}.png")
    said = ["batch", "--images", tmp_path / "*.png", "--description", "night falls", "--dry-run", "--json"]
    assert json.loads(laser(*said, "-o", tmp_path / "out")[1])["jobs"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "which jobs?"),
        (["a.yaml", "b.yaml"], 2, "one file of jobs"),
        (["a.yaml", "--images", "*.png"], 2, "both a file and --images"),
        (["a.yaml", "--set", "stepps=3"], 2, "no command has an option 'stepps'"),
        (["a.yaml", "--report", "a.mp4"], 2, "a report is a page"),
        (["a.yaml"], 5, "cannot read the batch file a.yaml"),
        (["status", "nowhere"], 5, "there is no batch in nowhere"),
    ],
)
def test_what_cannot_be_asked_for(laser, tmp_path, monkeypatch, arguments, code, told):
    monkeypatch.chdir(tmp_path)
    found, _, stderr = laser("batch", *arguments)
    assert found == code and told in stderr
    assert list(tmp_path.iterdir()) == []


def test_ray_that_is_not_installed_is_said(laser, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    path = write_jobs(tmp_path, {"image": str(COTTAGE), "description": "night falls"})
    code, _, stderr = laser("batch", path, "-o", tmp_path / "out", "--ray", "local")
    assert code == 3 and "pip install 'laser-cli[ray]'" in stderr


def test_a_report_replaces_its_own_kind_alone(laser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_jobs(tmp_path, {"image": str(COTTAGE), "description": "night falls"})
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    code, _, stderr = laser("batch", "jobs.yaml", "--report", "mine.html")
    assert code == 2 and "was not made by laser" in stderr
