"""Workers of this machine as real processes, with mock work: deaths, memory, and the end of the driver."""

import os
import signal
import subprocess
import sys
import time

import pytest

from laser_cli.batch import processes
from laser_cli.batch.crew import Lost, Share
from laser_cli.batch.journal import Journal
from laser_cli.batch.memory import machine_free_mib
from laser_cli.batch.processes import ProcessCrew
from laser_cli.batch.queue import TaskQueue
from laser_cli.batch.schedule import run_tasks
from laser_cli.batch.station import Setup
from laser_cli.measure.mock_jobs import MockStation, content, mock_spool


def drawn(tmp_path, jobs, crew, **more):
    spool = mock_spool(tmp_path / "state", jobs)
    journal = Journal(tmp_path / "state")
    journal.begin(jobs)
    queue = TaskQueue(spool, lambda task: task)
    try:
        return run_tasks(queue, crew, journal, **more)
    finally:
        queue.close()
        journal.close()


def test_processes_draw_and_one_that_dies_is_replaced(tmp_path):
    (tmp_path / "out").mkdir()
    spool = mock_spool(tmp_path / "state", 3, 30.0)
    with ProcessCrew(Setup(str(tmp_path / "out")), make_station=MockStation) as crew:
        (post,) = crew.posts
        crew.give(post, spool.read(0), again=False)
        assert not post.free
        crew._workers[0].process.kill()
        events = []
        while not events:
            events = [event for event in crew.events(1) if not isinstance(event, Share)]
        assert isinstance(events[0], Lost) and events[0].number == 1 and "killed" in events[0].why
        assert drawn(tmp_path, 3, crew, retries=1).done == 3
        alive = [worker.process for worker in crew._workers]
    assert not any(process.is_alive() for process in alive)
    for number in (1, 2, 3):
        assert (tmp_path / "out" / "0" / f"{number}.out").read_text() == content(number)


@pytest.mark.parametrize(("free", "more"), [(1000, 1), (1300, 2)])
def test_another_process_begins_only_where_what_one_took_is_free(monkeypatch, tmp_path, free, more):
    monkeypatch.setattr(processes, "_cards", lambda: [])
    told = []
    crew = ProcessCrew.__new__(ProcessCrew)
    crew.setup, crew.count, crew.note = Setup(str(tmp_path)), 2, told.append
    crew._workers, crew._stopping, crew._told = ["one"], False, False
    crew._start = lambda: crew._workers.append("another")
    crew._grow(1000, free)
    crew._grow(1000, free)
    assert len(crew._workers) == more and len(told) == (more == 1)


def test_free_memory_is_what_the_control_group_leaves(tmp_path):
    for name, number in (
        ("memory.max", "3000000"),
        ("memory.current", "1500000"),
        ("memory.stat", "anon 1\ninactive_file 500000\n"),
    ):
        (tmp_path / name).write_text(number)
    assert machine_free_mib(tmp_path) == pytest.approx(2_000_000 / 2**20)
    (tmp_path / "memory.max").write_text("max")
    assert machine_free_mib(tmp_path) > 10


DRIVER = """
import sys, time
from laser_cli.batch.processes import ProcessCrew
from laser_cli.batch.station import Setup
from laser_cli.measure.mock_jobs import MockStation
if __name__ == "__main__":
    crew = ProcessCrew(Setup(sys.argv[1]), make_station=MockStation)
    print(crew._workers[0].process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_workers_end_with_their_driver(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    driver = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True)
    worker = int(driver.stdout.readline())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    for _ in range(600):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        with open(f"/proc/{worker}/stat") as stat:
            if stat.read().split(") ")[1].startswith("Z"):
                return
        time.sleep(0.1)
    raise AssertionError("a worker outlives its driver")
