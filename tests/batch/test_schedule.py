"""The loop of a batch: retries elsewhere, failures alone, groups together, the journal before the watch, signals."""

import os
import signal
import threading
from collections import deque
from itertools import pairwise

import pytest

from laser_cli.batch import queue as queues
from laser_cli.batch.crew import Crew, Lost, Post
from laser_cli.batch.journal import FILE, Journal, read_events
from laser_cli.batch.queue import TaskQueue
from laser_cli.batch.schedule import Watch, run_tasks
from laser_cli.batch.spool import Spool
from laser_cli.batch.tasks import Failure, Outcome, Task
from laser_cli.errors import BadInputError
from laser_cli.jobs.outputs import Outputs

OUT_OF_MEMORY = Failure(exit_code=4, what="out of memory")
BAD = Failure(exit_code=5, what="there is no picture")


class Scripted(Crew):
    """Answers every task by `answer(post, task, attempt)`, which returns an event, or None for none."""

    def __init__(self, answer, nodes=("a", "b")):
        self.answer = answer
        self.workers = [Post(f"worker {node}", node) for node in nodes]
        self.given = []
        self.stopped = False
        self._events = deque()

    @property
    def posts(self):
        return self.workers

    def give(self, post, task, *, again):
        post.drawing = task.number
        self.given.append((task.number, post.node, again))
        attempt = sum(number == task.number for number, _, _ in self.given)
        event = self.answer(post, task, attempt)
        if event is not None:
            self._events.append((post, event))

    def events(self, timeout):
        while self._events:
            post, event = self._events.popleft()
            post.drawing = None
            yield event

    def stop(self):
        self.stopped = True
        for post in self.workers:
            if post.drawing is not None:
                self._events.append((post, Outcome(number=post.drawing, status="stopped")))

    def close(self):
        pass


def done(post, task, attempt):
    return Outcome(number=task.number, status="done")


@pytest.fixture
def batch(tmp_path):
    """`batch(crew, groups)`: runs a task for each group, returns (totals, events of the journal)."""

    def run(crew, groups="aaaa", plan=lambda task: task, waiting="", watch=None, **more):
        spool = Spool(tmp_path / "jobs.jsonl")
        for number, group in enumerate(groups, start=1):
            row = {} if group in waiting else None
            spool.add(
                Task(number=number, verb="mock", job="", outputs=Outputs(), key=str(number), group=group, row=row)
            )
        journal = Journal(tmp_path / "state")
        journal.begin(len(spool))
        queue = TaskQueue(spool, plan)
        try:
            totals = run_tasks(queue, crew, journal, watch=watch, **more)
        finally:
            queue.close()
            journal.close()
        return totals, list(read_events(tmp_path / "state" / FILE))

    return run


def test_every_task_is_drawn_once(batch):
    crew = Scripted(done)
    totals, events = batch(crew, "aaaaa")
    assert (totals.done, totals.failed, totals.left, totals.signal) == (5, 0, 0, None)
    assert sorted(number for number, _, _ in crew.given) == [1, 2, 3, 4, 5]
    assert sorted(event["n"] for event in events if event["event"] == "done") == [1, 2, 3, 4, 5]
    assert not any(again for _, _, again in crew.given)


def test_a_lost_task_begins_again_elsewhere_and_knows_it(batch):
    crew = Scripted(
        lambda post, task, attempt: Lost(task.number, post.node, "killed") if attempt == 1 else done(post, task, 1)
    )
    totals, events = batch(crew, "aa")
    assert totals.done == 2 and [event["event"] for event in events].count("lost") == 2
    for number in (1, 2):
        (first, second) = [(node, again) for n, node, again in crew.given if n == number]
        assert first[0] != second[0], "it was given to the node that lost it"
        assert (first[1], second[1]) == (False, True)


@pytest.mark.parametrize("retries", [0, 2])
def test_a_task_that_is_lost_too_often_fails_alone(batch, retries):
    crew = Scripted(
        lambda post, task, attempt: Lost(1, post.node, "killed") if task.number == 1 else done(post, task, 1)
    )
    totals, events = batch(crew, "aaa", retries=retries)
    assert (totals.done, totals.failed) == (2, 1)
    assert sum(number == 1 for number, _, _ in crew.given) == retries + 1
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert (failed["n"], failed["failure"]["exit_code"], failed["attempts"]) == (1, 1, retries + 1)


def test_memory_is_tried_for_elsewhere_and_bad_input_is_not(batch):
    def answer(post, task, attempt):
        failure = {1: OUT_OF_MEMORY, 2: BAD}.get(task.number)
        return Outcome(number=task.number, status="failed", failure=failure) if failure else done(post, task, 1)

    crew = Scripted(answer)
    totals, events = batch(crew, "aaa", retries=1)
    assert (totals.done, totals.failed) == (1, 2)
    assert [number for number, _, _ in crew.given].count(1) == 2 and [n for n, _, _ in crew.given].count(2) == 1
    assert {e["n"]: e["failure"]["exit_code"] for e in events if e["event"] == "failed"} == {1: 4, 2: 5}


def test_one_node_draws_again_what_it_lost(batch):
    crew = Scripted(lambda post, task, attempt: Lost(1, post.node, "x") if attempt == 1 else done(post, task, 1), ["a"])
    assert batch(crew, "a")[0].done == 1


def test_groups_stay_together_and_workers_stay_with_theirs(batch):
    crew = Scripted(done, ["a"])
    batch(crew, "abababb")
    order = ["abababb"[number - 1] for number, _, _ in crew.given]
    assert sum(one != two for one, two in pairwise(order)) == 1, order


def test_the_journal_is_synced_before_anybody_is_told(batch, monkeypatch):
    happened = []
    sync = Journal.sync
    monkeypatch.setattr(Journal, "sync", lambda self: (sync(self), happened.append("synced")))

    class Hears(Watch):
        def ended(self, task, outcome):
            happened.append(f"told {task.number}")

    batch(Scripted(done, ["a"]), "aa", watch=Hears())
    for number in (1, 2):
        assert happened[happened.index(f"told {number}") - 1] == "synced"


def test_plans_are_made_ahead_and_one_that_fails_fails_its_job_alone(batch):
    planned, begun = [], threading.Event()

    def plan(task):
        assert begun.wait(60), "nothing was drawn while the first plan was made"
        planned.append(task.number)
        if task.number == 2:
            raise BadInputError("cannot be planned")
        return task.model_copy(update={"job": "planned"})

    drawn = []

    def answer(post, task, attempt):
        drawn.append(task.job)
        begun.set()
        return done(post, task, 1)

    crew = Scripted(answer, ["a"])
    totals, events = batch(crew, "wwwa", plan=plan, waiting="w")
    assert (totals.done, totals.failed) == (3, 1) and sorted(planned) == [1, 2, 3]
    assert sorted(drawn) == ["", "planned", "planned"]
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert failed["failure"]["what"] == "cannot be planned"


def test_no_more_plans_are_ahead_than_are_needed_soon(batch, monkeypatch):
    planned, drawn, ahead = [], [], []

    def plan(task):
        planned.append(task.number)
        return task

    def answer(post, task, attempt):
        drawn.append(task.number)
        ahead.append(len(planned) - len(drawn))
        return done(post, task, 1)

    monkeypatch.setattr(queues, "AHEAD", 2)
    assert batch(Scripted(answer, ["a"]), "w" * 9, plan=plan, waiting="w")[0].done == 9
    assert sorted(planned) == sorted(drawn) == list(range(1, 10)) and max(ahead) <= 2


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_cleanly_and_what_was_running_is_left(batch, name):
    def answer(post, task, attempt):
        if task.number == 3:
            os.kill(os.getpid(), getattr(signal, name))
            return None  # it is being drawn when the signal comes
        return done(post, task, 1)

    before = signal.getsignal(getattr(signal, name))
    crew = Scripted(answer, ["a"])
    totals, events = batch(crew, "aaaaa")
    assert crew.stopped and (totals.done, totals.left) == (2, 3)
    assert totals.signal == getattr(signal, name)
    assert [event["n"] for event in events if event["event"] == "stopped"] == [3]
    assert signal.getsignal(getattr(signal, name)) is before


def test_a_second_signal_does_not_wait(batch):
    def answer(post, task, attempt):
        os.kill(os.getpid(), signal.SIGINT)

    crew = Scripted(answer, ["a"])
    crew.stop = lambda: os.kill(os.getpid(), signal.SIGINT)  # nothing ends by being asked
    assert batch(crew, "aa")[0].left == 2


def test_what_a_worker_says_of_an_attempt_that_was_given_up_is_not_counted(batch):
    crew = Scripted(lambda post, task, attempt: done(post, task, 1), ["a"])
    crew._events.append((crew.workers[0], Outcome(number=7, status="done")))
    assert batch(crew, "aa")[0].done == 2
