"""Workers: order, errors, early ends, thread settings; and which cores a process may use."""

import os
import subprocess
import sys
import threading
import time

import pytest
import torch

from laser_cli.engine import workers as module
from laser_cli.engine.workers import AHEAD, WAITING, Workers, available_cores, cgroup_quota


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_order(count):
    def work(item):
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(Workers(count).map(work, range(12))) == [i * i for i in range(12)]


@pytest.mark.parametrize("count", [1, 3])
def test_an_error_comes_where_its_result_would(count):
    def work(item):
        if item == 2:
            raise MemoryError(item)
        return item

    results = Workers(count).map(work, range(6))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(MemoryError):
        next(results)


def test_two_workers_work_at_the_same_time():
    meet = threading.Barrier(2, timeout=30)
    assert list(Workers(2).map(lambda item: meet.wait() >= 0, range(2))) == [True, True]


def test_who_stops_early_leaves_nothing_running():
    begun, release = [], threading.Event()

    def work(item):
        begun.append(item)
        release.wait(30)
        return item

    pool = Workers(2)
    release.set()
    results = pool.map(work, range(50))
    next(results)
    results.close()
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count < 50


def test_results_that_nobody_takes_do_not_pile_up():
    begun: list[int] = []
    results = Workers(2).map(begun.append, range(50))
    next(results)
    time.sleep(0.05)
    assert len(begun) <= 2 * AHEAD
    assert len(list(results)) == 49


def test_what_runs_is_told_to_stop():
    stopped, first = threading.Event(), threading.Event()

    def work(item):
        if item == 0:
            return item
        first.set()
        return stopped.wait(60)

    results = Workers(2).map(work, range(2), stopped.set)
    assert next(results) == 0 and first.wait(60)
    results.close()
    assert stopped.is_set()


def test_workers_have_one_torch_thread_and_their_callers_modes():
    def modes(_):
        return torch.get_num_threads(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    before = torch.get_num_threads()
    with torch.inference_mode():
        assert list(Workers(2).map(modes, range(4))) == [(1, True, False)] * 4
    with torch.no_grad():
        assert list(Workers(2).map(modes, range(2))) == [(1, False, False)] * 2
    assert list(Workers(2).map(modes, range(2))) == [(1, False, True)] * 2
    assert torch.get_num_threads() == before


def test_affinity_and_quota_are_heeded(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    for quota, cores in ((None, 6), (2.5, 3), (0.5, 1), (64.0, 6)):
        monkeypatch.setattr(module, "cgroup_quota", lambda quota=quota: quota)
        assert available_cores() == cores


def test_quotas_of_both_versions_of_control_groups(tmp_path):
    assert cgroup_quota(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    for name, value in (("cpu.cfs_quota_us", "150000\n"), ("cpu.cfs_period_us", "100000\n")):
        (tmp_path / "cpu" / name).write_text(value)
    assert cgroup_quota(tmp_path) == 1.5
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert cgroup_quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("400000 100000\n")
    assert cgroup_quota(tmp_path) == 4
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cgroup_quota(tmp_path) is None


PROGRAM = """
import os, sys
sys.argv = ["laser", "--version"]
from laser_cli.cli.main import run
try:
    run()
except SystemExit:
    pass
print({name: os.environ.get(name) for name in %r}, "torch" in sys.modules)
"""


@pytest.mark.parametrize("own", [{}, {"OMP_WAIT_POLICY": "ACTIVE"}])
def test_commands_wait_quietly_unless_the_user_says_otherwise(own):
    quiet = {name: value for name, value in os.environ.items() if name not in WAITING}
    call = [sys.executable, "-c", PROGRAM % sorted(WAITING)]
    told = subprocess.run(call, env=quiet | own, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    assert told == f"{ ({name: {**WAITING, **own}[name] for name in sorted(WAITING)}) } False"
