"""Times to come, told from times that were measured."""

import json
import subprocess
import sys

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from laser_cli.jobs import timing
from laser_cli.jobs.folders import cache_folder
from laser_cli.jobs.settings import AnimateSettings as Settings
from laser_cli.jobs.timing import estimate, guess, kind_of, remember

WORK = {"first_picture": 0, "inversion": 20, "pacing": 30, "rendering": 170, "total": 220}
TOOK = {"loading": (0, 2.0), "inversion": (10, 5.0), "rendering": (100, 10.0)}
KIND = kind_of(Settings(device="cpu", dtype="float32"), (128, 96))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own, which is not there yet."""
    monkeypatch.setenv("LASER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_same_work_takes_as_long_again_and_twice_the_work_twice(cache):
    assert estimate(KIND, WORK) is None
    remember(KIND, TOOK)
    assert estimate(KIND, WORK) == pytest.approx(2 + 20 / 2 + 200 / 10)
    assert estimate(KIND, {key: 2 * n for key, n in WORK.items()}) == pytest.approx(2 + 2 * (20 / 2 + 200 / 10))
    assert estimate(KIND, {**WORK, "first_picture": 50}) == pytest.approx(2 + 20 / 2 + 250 / 10)  # never measured
    for other in (("cuda", "float32", (128, 96)), ("cpu", "bfloat16", (128, 96)), ("cpu", "float32", (128, 128))):
        assert estimate(kind_of(Settings(device=other[0], dtype=other[1]), other[2]), WORK) is None
    remember(KIND, TOOK)
    assert estimate(KIND, WORK) == pytest.approx(2 + 20 / 2 + 200 / 10)


def test_a_long_run_soon_counts_for_more_than_those_before_it_and_a_short_one_for_little(cache):
    remember(KIND, TOOK)
    remember(KIND, {"rendering": (1, 10.0)})
    assert estimate(KIND, {**WORK, "inversion": 0}) == pytest.approx(2 + 200 * 15 / 51)
    for _ in range(12):
        remember(KIND, {"rendering": (1000, 10.0)})
    assert estimate(KIND, {**WORK, "inversion": 0}) == pytest.approx(2 + 200 / 100, rel=0.01)


def test_only_so_many_kinds_are_kept_the_latest(cache, monkeypatch):
    monkeypatch.setattr(timing, "MOST_KINDS", 3)
    for name in "abacd":
        remember(name, TOOK)
    assert [name for name in "abcd" if estimate(name, WORK) is not None] == ["a", "c", "d"]
    assert sorted(path.name for path in cache.iterdir()) == ["timing.json", "timing.json.lock"]


def test_a_folder_that_cannot_be_is_no_failure(cache):
    cache.write_text("a file")
    remember(KIND, TOOK)
    assert estimate(KIND, WORK) is None and cache.read_text() == "a file"


GOOD = {"version": 1, "kinds": {KIND: {"loading": {"runs": 1, "rows": 0, "seconds": 2}}}}
PLAIN = st.none() | st.floats() | st.text(max_size=3)
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=2), max_leaves=3)
DAMAGED = st.one_of(
    st.text(max_size=20),
    VALUES.map(json.dumps),
    VALUES.map(lambda value: json.dumps({"version": 1, "kinds": value})),
    VALUES.map(lambda value: json.dumps({"version": 1, "kinds": {KIND: {"rendering": value}}})),
    VALUES.map(lambda value: json.dumps({"version": value, "kinds": {}})),
    st.tuples(VALUES, VALUES).map(
        lambda pair: json.dumps(
            {"version": 1, "kinds": {KIND: {key: {"runs": 1, "rows": pair[0], "seconds": pair[1]} for key in TOOK}}}
        )
    ),
)


@given(DAMAGED)
@effort(max_examples=60, deadline=None)
def test_whatever_stands_in_the_file_is_a_time_or_nothing_and_the_next_run_mends_it(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LASER_CACHE", str(folder))
        (folder / "timing.json").write_text(text, encoding="utf-8")
        told = estimate(KIND, WORK)
        assert told is None or 0 <= told < float("inf")
        remember(KIND, TOOK)
        assert estimate(KIND, WORK) is not None


def test_a_guess_grows_with_the_work_the_model_and_the_picture_and_shrinks_with_the_device():
    base = guess(10**9, 64 * 64, "cpu", 1000)
    assert 0 < base < guess(2 * 10**9, 64 * 64, "cpu", 1000) < guess(2 * 10**9, 128 * 64, "cpu", 1000)
    assert guess(10**9, 64 * 64, "cuda:1", 1000) < guess(10**9, 64 * 64, "mps", 1000) < base
    assert guess(10**9, 64 * 64, "cpu", 2000) > base


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of other platforms are their own")
def test_the_cache_lies_where_the_platform_keeps_such_things(monkeypatch, tmp_path):
    monkeypatch.delenv("LASER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "laser"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder().parts[-2:] == (".cache", "laser")


def test_runs_that_end_together_lose_no_time_of_each_other(cache):
    program = "import sys; from laser_cli.jobs.timing import remember; remember(sys.argv[1], {'rendering': (8, 2.0)})"
    running = [subprocess.Popen([sys.executable, "-c", program, f"kind {i}"]) for i in range(6)]
    assert [process.wait(900) for process in running] == [0] * 6
    assert sorted(json.loads((cache / "timing.json").read_text())["kinds"]) == [f"kind {i}" for i in range(6)]


def test_a_lock_that_another_run_holds_costs_no_more_than_the_wait(cache, monkeypatch):
    monkeypatch.setattr(timing, "LOCKED", 0.01)
    cache.mkdir()
    with FileLock(cache / "timing.json.lock"):
        program = (
            "from laser_cli.jobs import timing; timing.LOCKED = 0.01; timing.remember('a', {'rendering': (8, 2.0)})"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
    assert not (cache / "timing.json").exists()
