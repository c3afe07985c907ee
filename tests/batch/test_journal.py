"""The journal: events that last, lines that a kill cut off, one batch in a folder at a time, how far it is."""

import json

import pytest

from laser_cli.batch.journal import FILE, Journal, finished_jobs, progressed, read_events, summary_of
from laser_cli.batch.tasks import Failure, Outcome, Task
from laser_cli.errors import BadInputError, UsageError
from laser_cli.jobs.outputs import Outputs


def task(number):
    where = "jobs.yaml, line 1"
    return Task(number=number, verb="animate", job="{}", outputs=Outputs(), key=f"key {number}", where=where)


def outcome(number, status="done", **more):
    return Outcome(number=number, status=status, paths=(f"{number}.gif",), sizes=(5,), **more)


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "state")
    yield made
    made.close()


def test_events_are_appended_and_a_torn_line_is_left_out(journal, tmp_path):
    journal.begin(2)
    journal.ended(task(1), outcome(1), 1)
    journal.close()
    path = tmp_path / "state" / FILE
    before = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"event":"done","n":2,"key":"ke')
    again = Journal(tmp_path / "state")
    again.begin(2)
    again.close()
    assert path.read_bytes().startswith(before), "what was written is written anew"
    assert [event["event"] for event in read_events(path)] == ["begin", "done", "begin"]
    assert finished_jobs(path) == {"key 1": (5,)}


def test_every_outcome_is_synced_once_for_all_that_came_together(journal, monkeypatch):
    synced = []
    monkeypatch.setattr("os.fsync", synced.append)
    journal.begin(3)
    synced.clear()
    journal.ended(task(1), outcome(1), 1)
    journal.ended(task(2), outcome(2), 1)
    journal.sync()
    journal.sync()
    assert len(synced) == 1


def test_two_batches_do_not_run_in_one_folder(journal, tmp_path):
    with pytest.raises(UsageError, match="running in"):
        Journal(tmp_path / "state")
    journal.close()
    Journal(tmp_path / "state").close()


def test_how_far_a_batch_is(journal, tmp_path):
    journal.begin(5, skipped=1)
    for number in (1, 2, 3):
        journal.started(task(number), 1, "worker 1")
    journal.ended(task(1), outcome(1), 1)
    failure = Failure(exit_code=5, what="there is no picture")
    journal.ended(task(2), Outcome(number=2, status="failed", failure=failure), 1)
    seen = progressed(tmp_path / "state")
    told = summary_of(seen)
    assert (told["state"], told["done"], told["skipped"], told["failed"], told["left"]) == ("running", 1, 1, 1, 2)
    assert [event["n"] for event in told["running"]] == [3]
    assert told["failures"][0]["error"]["what"] == "there is no picture"
    assert json.loads(json.dumps(told)) == told
    journal.close()
    assert progressed(tmp_path / "state").state == "broken off"
    again = Journal(tmp_path / "state")
    again.begin(5, skipped=2)
    again.add("end", state="done")
    again.close()
    assert (progressed(tmp_path / "state").state, progressed(tmp_path / "state").skipped) == ("done", 2)


def test_no_journal_is_an_error_that_says_what_to_name(tmp_path):
    with pytest.raises(BadInputError, match="there is no batch in"):
        progressed(tmp_path / "state")
    assert finished_jobs(tmp_path / "nothing") == {}
