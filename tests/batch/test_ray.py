"""Batches on Ray: real jobs with an actor killed, mock jobs with nodes killed, versions compared."""

import json
import os
import signal
import sys
import types

import pytest

ray = pytest.importorskip("ray")

from laser_cli.batch import ray_crew  # noqa: E402
from laser_cli.batch.crew import Post  # noqa: E402
from laser_cli.batch.journal import FILE, Journal, read_events  # noqa: E402
from laser_cli.batch.ray_crew import RayCrew  # noqa: E402
from laser_cli.batch.rows import read_rows  # noqa: E402
from laser_cli.batch.run import Way, run_batch  # noqa: E402
from laser_cli.batch.said import Given  # noqa: E402
from laser_cli.errors import LaserError  # noqa: E402
from laser_cli.jobs.progress import SILENT  # noqa: E402
from laser_cli.output.record import read_record  # noqa: E402
from laser_cli.presets_dir import presets_folder  # noqa: E402

COTTAGE = presets_folder() / "storybook" / "cottage.png"


@pytest.mark.slow
def test_thirty_real_jobs_over_two_actors_of_which_one_is_killed(tmp_path):
    rows = {"image": str(COTTAGE), "description": "night falls", "seed": ["1..30"], "out": "{seed}.gif"}
    quick = {"steps": 2, "frames": 3, "size": 64, "dtype": "float32", "even_pace": False}
    (tmp_path / "jobs.yaml").write_text(json.dumps({**rows, **quick}))
    root, killed = tmp_path / "out", []

    def told(task, outcome):
        assert sys.stdout is sys.stderr, "what Ray prints would be taken for a result"
        if len(killed) == 0 and outcome.number >= 5:
            killed.append(_kill_an_actor())

    way = Way(jobs=2, ray="local", threads=1, retries=3)
    with run_batch(read_rows(tmp_path / "jobs.yaml"), "jobs.yaml", Given(), str(root), way, SILENT, told=told) as ran:
        assert ran.told["done"] + ran.told["skipped"] == 30 and ran.told["failed"] == 0
        results = list(ran.results())
    assert killed and [row["n"] for row in results] == list(range(1, 31))
    events = list(read_events(root / ".laser-batch" / FILE))
    assert any(event["event"] == "lost" for event in events), "the actor that was killed had nothing in hand"
    for row in results:
        record = read_record(root / row["paths"][0])
        assert record["seed"] == row["n"] and record["fingerprint"] == row["fingerprint"]
    assert sorted(path.name for path in root.iterdir()) == sorted([".laser-batch", *(f"{n}.gif" for n in range(1, 31))])
    assert not ray.is_initialized()


def _kill_an_actor():
    """SIGKILL to the process of an actor of this session."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        if any("ray::RayStation" in part for part in process.cmdline()):
            os.kill(process.pid, signal.SIGKILL)
            return process.pid
    raise AssertionError("there is no actor")


@pytest.mark.slow
def test_nothing_is_lost_or_drawn_twice_when_actors_and_nodes_are_killed(tmp_path):
    from laser_cli.measure.batch import cluster, killed

    with cluster() as (nodes, folder):
        figures = {figure.name: figure for figure in killed(nodes, folder / "killed", jobs=200, kills=4, seed=3)}
    assert all(figure.holds is not False for figure in figures.values()), figures
    assert figures["jobs begun again"].value > 0


class FakeCrew(RayCrew):
    def __init__(self):
        self._actors, self.notes, self._told, self.killed = [], [], set(), []
        self.note = self.notes.append
        self.count, self._bad_starts = None, 0
        self.setup = types.SimpleNamespace(root="/outputs", threads=None)

    def _kill(self, actor):
        self.killed.append(actor)


def actor(crew):
    made = ray_crew._Actor(Post("actor", "actor"), None, None)
    crew._actors.append(made)
    return made


def test_what_ray_prints_by_itself_is_no_result(capsys, tmp_path):
    with ray_crew.told_aside():
        print("(raylet) a node died")
    assert capsys.readouterr() == ("", "(raylet) a node died\n")


def test_versions_of_workers_are_compared_with_the_drivers():
    ours, crew = {**ray_crew.versions(), "shared": True}, FakeCrew()
    crew._met(same := actor(crew), {**ours, "node": "a"})
    assert same.ready and not crew.notes and same.post.node == "a"
    crew._met(torch := actor(crew), {**ours, "torch": "0.1", "node": "b"})
    assert torch.ready and "torch 0.1" in crew.notes[0]
    crew._met(old := actor(crew), {**ours, "laser": "0.0.1", "node": "c"})
    assert old in crew.killed and old not in crew._actors and "laser 0.0.1" in crew.notes[1]
    alone = FakeCrew()
    with pytest.raises(LaserError, match="another version"):
        alone._met(actor(alone), {**ours, "laser": "0.0.1", "node": "c"})
    with pytest.raises(LaserError, match="node d does not see the folder /outputs"):
        crew._met(actor(crew), {**ours, "shared": False, "node": "d"})


def test_actors_are_as_many_as_there_are_cards_or_shares_of_cores():
    crew, started = FakeCrew(), []
    crew._stopping = False
    crew._start = lambda needs, share: (started.append((needs, share)), actor(crew))

    def grown(*nodes, count=None, threads=None):
        crew._actors.clear()
        started.clear()
        crew._looked, crew.count, crew.setup.threads = float("-inf"), count, threads
        crew.ray = types.SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": node} for node in nodes])
        crew._grow()
        return len(started), started[0][0] if started else None

    assert grown({"CPU": 32, "GPU": 4}, {"CPU": 8}) == (4, {"num_gpus": 1, "num_cpus": 0})
    assert grown({"CPU": 32}, {"CPU": 8}) == (10, {"num_cpus": 4})
    assert grown({"CPU": 2}, {"CPU": 2}) == (2, {"num_cpus": 2})
    assert grown({"CPU": 8}, threads=2) == (4, {"num_cpus": 2})
    assert grown({"CPU": 8}, count=1, threads=2) == (1, {"num_cpus": 2})


def test_a_journal_of_two_drivers_is_refused(tmp_path):
    journal = Journal(tmp_path / "out" / ".laser-batch")
    with (
        pytest.raises(LaserError, match="running in"),
        run_batch([], "x", Given(), str(tmp_path / "out"), Way(), SILENT),
    ):
        raise AssertionError
    journal.close()
