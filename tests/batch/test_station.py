"""A station: files finished beside the next drawing, checkpoints at its end, failures that leave nothing."""

import hashlib
import shutil
from pathlib import Path

import pytest

from laser_cli.batch.build import build
from laser_cli.batch.expand import expand
from laser_cli.batch.remote import Place
from laser_cli.batch.rows import Row
from laser_cli.batch.said import Given, merged, verb_of
from laser_cli.batch.station import InputsMissing, Setup, Station
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
QUICK = {"description": "night falls", "steps": 6, "frames": 3, "size": 64, "dtype": "float32", "even_pace": False}


def task_of(number=1, **said):
    row = Row({"image": str(COTTAGE), **QUICK, **said}, "jobs.yaml", number)
    (single,) = expand(merged(row, verb_of(row), Given()), verb_of(row))
    return build(single, number)


def drawn(station, task, **more):
    return station.draw(task, **more) or station.finish(task.number)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The station's folder, its station with a loaded model, and a finished job."""
    folder = tmp_path_factory.mktemp("whole")
    station = Station(Setup(str(folder), threads=1))
    outcome = drawn(station, task_of(out="a.gif"))
    assert outcome.status == "done", outcome.failure
    return folder, station, outcome


def test_an_outcome_tells_the_files_and_the_work(whole):
    folder, station, outcome = whole
    assert outcome.paths == ("a.gif",) and outcome.sizes == ((folder / "a.gif").stat().st_size,)
    assert outcome.evaluations > 0 and outcome.told["frames"] == 3 and outcome.peak_mib > 0
    from laser_cli.output.record import read_record

    assert read_record(folder / "a.gif")["fingerprint"] == outcome.fingerprint
    assert station.draw(task_of(out="a.gif"), again=True).status == "skipped"


def test_drawing_goes_on_while_files_are_finished(whole, tmp_path):
    _, station, _ = whole
    first, second = task_of(11, out="11.gif"), task_of(12, out="12.gif", seed=2)
    assert station.draw(first) is None and station.draw(second) is None
    assert [station.finish(number).status for number in (12, 11)] == ["done", "done"]


def test_a_stop_saves_what_is_drawn_and_another_station_goes_on_to_the_same_bytes(whole, tmp_path):
    folder, station, outcome = whole
    breaking = Station(Setup(str(tmp_path), threads=1))
    breaking.models = station.models
    task, bars = task_of(out="a.gif"), [0, 1.0]

    def tick(share):
        bars[0] += share < bars[1]  # the inversion's bar is the first, the rendering's the second
        bars[1] = share
        if bars[0] == 2 and share > 0.4:
            breaking.stop()

    stopped = drawn(breaking, task, tick=tick)
    assert stopped.status == "stopped" and stopped.failure is None
    assert [path.name for path in tmp_path.iterdir()] == [".a.gif.laser-render"]
    assert drawn(breaking, task).status == "stopped", "a station that was stopped begins nothing"
    other = Station(Setup(str(tmp_path), threads=1))
    other.models = station.models
    done = drawn(other, task, again=True)
    assert done.status == "done" and done.evaluations < outcome.evaluations
    assert (tmp_path / "a.gif").read_bytes() == (folder / "a.gif").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]


def test_an_encoder_that_fails_fails_its_job_and_leaves_nothing(whole, tmp_path, monkeypatch):
    from laser_cli.errors import LaserError
    from laser_cli.output.sink import FrameSink

    def broken(self, index, frame):
        raise LaserError("the encoder broke")

    monkeypatch.setattr(FrameSink, "add", broken)
    station = Station(Setup(str(tmp_path), threads=1))
    station.models = whole[1].models
    failed = drawn(station, task_of(out="a.gif"))
    assert failed.status == "failed" and failed.failure.what == "the encoder broke"
    # a drawing that took long has a checkpoint, which --resume goes on from
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".laser-render")] == []


def test_other_weights_and_out_of_memory_are_failures_of_the_job(whole, tmp_path, monkeypatch):
    station = whole[1]
    other = drawn(station, task_of(out="b.gif").model_copy(update={"revision": "another"}))
    assert other.failure.exit_code == 1 and "another model here" in other.failure.what
    monkeypatch.setattr(type(station.models), "get", lambda *_: (_ for _ in ()).throw(MemoryError()))
    freed = []
    monkeypatch.setattr(type(station.models), "free", lambda self: freed.append(True))
    assert drawn(station, task_of(out="b.gif")).failure.exit_code == 4 and freed


def test_an_input_that_is_not_here_is_asked_for(whole, tmp_path):
    picture = tmp_path / "c.png"
    shutil.copy(COTTAGE, picture)
    task = task_of(image=str(picture), out="c.gif")
    picture.unlink()
    with pytest.raises(InputsMissing) as missing:
        whole[1].draw(task)
    assert missing.value.digests == (hashlib.sha256(COTTAGE.read_bytes()).hexdigest(),)


def test_an_actor_draws_with_what_it_is_sent(tmp_path):
    from laser_cli.batch.ray_station import RayStation
    from laser_cli.measure.mock_jobs import MockStation

    picture = tmp_path / "c.png"
    shutil.copy(COTTAGE, picture)
    task = task_of(image=str(picture), out="c.gif").model_copy(update={"label": "0"})
    picture.unlink()
    seen = []

    class Checks(MockStation):
        def draw(self, task, *, again=False):
            path = task.read_job().image.path
            if not path.exists():
                raise InputsMissing((task.read_job().image.sha256,))
            seen.append(path)
            return super().draw(task, again=again)

    actor = RayStation(Setup(str(tmp_path)), Checks, "nowhere")
    digests = actor.draw(task, False)
    assert digests == (task.read_job().image.sha256,)
    assert actor.draw(task, False, digests, COTTAGE.read_bytes()).status == "done"
    assert seen[0].suffix == ".png" and seen[0].read_bytes() == COTTAGE.read_bytes()


def test_an_address_gets_whole_files_checkpoints_and_gives_them_back(tmp_path):
    place = Place(f"file://{tmp_path}/there")
    (place.folder / "a").mkdir()
    made = place.folder / "a" / "b.gif"
    made.write_bytes(b"GIF89")
    frames = place.folder / "frames"
    frames.mkdir()
    (frames / "frame_0000.png").write_bytes(b"x")
    place.deliver([made, frames])
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "there/a/b.gif", "there/frames/frame_0000.png",
    ]  # fmt: skip
    assert place.sizes([Path("a/b.gif"), Path("frames")]) == (5, 1)
    assert place.sizes([Path("nope")]) is None
    place.forget([made, frames])
    assert not made.exists() and not frames.exists()
    place.fetch(made, frames)
    assert made.read_bytes() == b"GIF89" and (frames / "frame_0000.png").exists()
    saved = place.folder / ".c.gif.laser-render"
    saved.write_bytes(b"half")
    place.keep(saved)
    assert (tmp_path / "there" / saved.name).exists()
    place.drop(saved)
    assert not (tmp_path / "there" / saved.name).exists()


def test_an_address_that_nobody_knows_is_said():
    from laser_cli.errors import NotFoundError

    with pytest.raises(NotFoundError, match="cannot write to"):
        Place("nonsense://bucket/folder")
