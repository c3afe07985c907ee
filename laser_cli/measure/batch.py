"""`laser batch` measured: beside a shell's loop, and on Ray with workers and nodes that are killed while it runs.

The work on Ray is a mock: it sleeps, and writes a file that tells whether it is whole. Run as a module it measures the
memory of a driver: ``python -m laser_cli.measure.batch JOBS``.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laser_cli.batch.check import check
from laser_cli.batch.journal import FILE, JOBS, Journal, read_events
from laser_cli.batch.queue import TaskQueue
from laser_cli.batch.remote import Place
from laser_cli.batch.rows import read_rows
from laser_cli.batch.said import Given
from laser_cli.batch.schedule import Totals, Watch, run_tasks
from laser_cli.batch.spool import Spool
from laser_cli.batch.station import Setup
from laser_cli.batch.summary import json_parts, results, totals_of
from laser_cli.batch.tasks import Outcome, Task
from laser_cli.measure.figures import Figure
from laser_cli.measure.mock_jobs import TWICE, InstantCrew, MockStation, content, mock_spool

Say = Callable[[str], object]
NODES = 4
LOST_NODES = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 5,
}
"""How soon the cluster notices that a node is gone."""


def shell_loop(items: int = 20, say: Say = lambda text: None) -> list[Figure]:
    """Seconds of a batch beside those of the same jobs in a shell's loop, each a command of its own."""
    from laser_cli.presets_dir import presets_folder

    cottage = str(presets_folder() / "storybook" / "cottage.png")
    job = [cottage, "night falls", "--preset", "draft", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        say(f"a batch of {items} jobs")
        rows = {"image": cottage, "description": "night falls", "seed": [f"1..{items}"], "preset": "draft"}
        Path(folder, "jobs.yaml").write_text(json.dumps({**rows, "out": "{seed}.mp4"}))
        together = _seconds(["batch", f"{folder}/jobs.yaml", "-o", f"{folder}/batch", "--quiet"])
        say(f"the same jobs in a loop of {items} commands")
        alone = sum(
            _seconds(["animate", *job, "--seed", str(seed), "-o", f"{folder}/{seed}.mp4"])
            for seed in range(1, items + 1)
        )
    return [
        Figure(f"a batch of {items} storybook jobs, preset draft / a shell's loop", together / alone, "x", 0.75),
        Figure("the batch", together, "s"),
        Figure("the loop", alone, "s"),
    ]


def _seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "laser_cli", *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def driver_memory(jobs: int = 10_000, say: Say = lambda text: None) -> list[Figure]:
    """Peak memory of a driver that checks, draws and sums up jobs, 100 and so many, each in a process of its own."""
    peaks = []
    for count in (100, jobs):
        say(f"a driver of {count:,} jobs")
        told = subprocess.run(
            [sys.executable, "-m", __name__, str(count)], stdout=subprocess.PIPE, check=True, text=True
        )
        peaks.append(json.loads(told.stdout)["peak_mib"])
    return [
        Figure(f"driver's peak memory at {jobs:,} jobs / at 100", peaks[1] / peaks[0], "x", 1.1),
        Figure("driver's peak memory at 100 jobs", peaks[0], "MiB"),
    ]


def on_ray(jobs: int = 10_000, kills: int = 20, seed: int = 1, say: Say = lambda text: None) -> list[Figure]:
    """What a job costs on a local cluster of four nodes, whether any is lost when workers and nodes are killed, and
    how work that sleeps scales from one actor to four."""
    import psutil

    with cluster() as (nodes, folder):
        say(f"{jobs:,} jobs on {NODES} nodes")
        memory: dict[int, float] = {}

        class Weighed(Watch):
            ended_jobs = 0

            def ended(self, task: Task, outcome: Outcome) -> None:
                self.ended_jobs += 1
                if self.ended_jobs in (100, jobs):
                    memory[self.ended_jobs] = psutil.Process().memory_info().rss / 2**20

        totals, _ = _run(folder / "cost", jobs, 0.0, watch=Weighed())
        figures = [
            Figure("overhead a job, on Ray's local cluster", 1000 * totals.seconds / jobs, "ms", 20, of=jobs),
            Figure(f"driver's memory after {jobs:,} jobs / after 100", memory[jobs] / memory[min(100, jobs)], "x", 1.1),
        ]
        say(f"{jobs:,} jobs, {kills} kills")
        figures += killed(nodes, folder / "killed", jobs, kills, seed)
        for actors in (1, 2, 4):
            say(f"{actors} actors")
            spent = _run(folder / f"scale{actors}", 100, 0.1, count=actors)[0].seconds
            figures.append(Figure(f"100 jobs that sleep 0.1 s, {actors} actors", spent, "s"))
        one, four = (figure.value for figure in (figures[-3], figures[-1]))
        figures.append(Figure("efficiency of 4 actors, beside 1", one / four / 4, "", 0.9, "higher"))
    return figures


def killed(nodes: Any, folder: Path, jobs: int, kills: int, seed: int) -> list[Figure]:
    """Jobs lost, finished twice and half-written while actors and nodes are killed at seeded moments."""
    chance = random.Random(seed)
    moments = sorted(chance.sample(range(1, jobs), min(kills, jobs - 1)))

    class Killer(Watch):
        ended_jobs = 0
        crew: Any = None
        nodes_killed = 0

        def ended(self, task: Task, outcome: Outcome) -> None:
            self.ended_jobs += 1
            while moments and self.ended_jobs >= moments[0]:
                moments.pop(0)
                if chance.random() < 0.3:
                    nodes.remove_node(chance.choice(sorted(nodes.worker_nodes, key=str)), allow_graceful=False)
                    _patiently(lambda: nodes.add_node(num_cpus=1))
                    self.nodes_killed += 1
                elif self.crew.posts:
                    self.crew.kill(chance.choice(self.crew.posts))

    killer = Killer()
    totals, root = _run(folder, jobs, 0.002, watch=killer, retries=100)
    events = list(read_events(folder / "state" / FILE))
    ended = Counter(event["n"] for event in events if event["event"] in ("done", "skipped", "failed"))
    whole = sum(_whole(root / str(n // 1000) / f"{n}.out", n) for n in range(1, jobs + 1))
    twice = len((root / TWICE).read_text().splitlines()) if (root / TWICE).exists() else 0
    begun_again = sum(event["event"] == "lost" for event in events)
    return [
        Figure(f"jobs without an outcome, {kills} kills ({killer.nodes_killed} of nodes)", jobs - len(ended), "", 0),
        Figure("jobs that failed", totals.failed, "", 0),
        Figure("jobs with two outcomes", sum(count > 1 for count in ended.values()), "", 0),
        Figure("finished files written a second time", twice, "", 0),
        Figure("files that are missing or half-written", jobs - whole, "", 0),
        Figure("jobs begun again", begun_again),
    ]


def _whole(path: Path, number: int) -> bool:
    try:
        return path.read_text() == content(number)
    except OSError:
        return False


def _patiently(start: Callable[[], Any], tries: int = 3) -> Any:
    """Start nodes; on a busy machine Ray takes its own slow start for a failure, so it is tried again."""
    for _ in range(tries - 1):
        try:
            return start()
        except Exception as error:  # Ray raises just that
            if "timed out" not in str(error):
                raise
    return start()


@contextmanager
def cluster() -> Iterator[tuple[Any, Path]]:
    """A Ray cluster of four nodes with one CPU each in this machine, and a temporary folder."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import logging

    import ray
    from ray.cluster_utils import Cluster

    from laser_cli.batch.ray_crew import told_aside

    head = {"num_cpus": 0, "_system_config": LOST_NODES}
    with told_aside():
        nodes = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
        try:
            for _ in range(NODES):
                _patiently(lambda: nodes.add_node(num_cpus=1))
            ray.init(address=nodes.address, log_to_driver=False, logging_level=logging.ERROR)
            with tempfile.TemporaryDirectory() as folder:
                yield nodes, Path(folder)
        finally:
            ray.shutdown()
            nodes.shutdown()


def _run(
    folder: Path, jobs: int, seconds: float, *, count: int | None = None, watch: Watch | None = None, retries: int = 2
) -> tuple[Totals, Path]:
    """Run mock jobs on the cluster that is connected; returns what became of them, and their folder."""
    from laser_cli.batch.ray_crew import RayCrew

    root, state = folder / "out", folder / "state"
    root.mkdir(parents=True)
    spool = mock_spool(state, jobs, seconds)
    journal = Journal(state)
    journal.begin(jobs)
    queue = TaskQueue(spool, lambda task: task)
    try:
        crew = RayCrew("auto", Setup(str(root), threads=1), count, make_station=MockStation)
        with crew:
            if watch is not None and hasattr(watch, "crew"):
                watch.crew = crew
            crew.wait_for(count or NODES)
            return run_tasks(queue, crew, journal, retries=retries, watch=watch), root
    finally:
        queue.close()
        journal.close()
        spool.close()


def _main(jobs: int) -> None:
    """A driver by itself: rows read and checked, drawn at once, summed up; prints its peak memory."""
    import resource

    with tempfile.TemporaryDirectory() as folder:
        file, root = Path(folder, "jobs.jsonl"), Path(folder, "out")
        root.mkdir()
        with file.open("w") as rows:
            for number in range(jobs):
                stops = [f"a red ball, picture {number}", "a blue cube"]
                rows.write(json.dumps({"command": "interpolate", "stops": stops, "out": "{n}.mp4"}) + "\n")
        journal = Journal(root / "state")
        spool = Spool(root / "state" / JOBS)
        check(read_rows(file), "jobs.jsonl", Given(), spool, Place(str(root)))
        journal.begin(jobs)
        queue = TaskQueue(spool, lambda task: task)
        totals = run_tasks(queue, InstantCrew(root), journal)
        for _ in json_parts(totals_of(totals, jobs, 0), results(root / "state", spool)):
            pass
        queue.close()
        journal.close()
        spool.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_mib": peak / (2**20 if sys.platform == "darwin" else 2**10)}))


if __name__ == "__main__":
    _main(int(sys.argv[1]))
