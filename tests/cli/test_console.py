import io
import json
from pathlib import Path

import pytest

from laser_cli.cli.console import Console, clock_text


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make(**options):
    out, err, clock = io.StringIO(), io.StringIO(), Clock()
    return Console(stdout=out, stderr=err, clock=clock, **options), out, err, clock


def test_result_is_one_path_a_line():
    console, out, err, _ = make()
    console.result([Path("a.mp4"), Path("frames")], {"ignored": 1})
    assert (out.getvalue(), err.getvalue()) == ("a.mp4\nframes\n", "")


def test_json_result_is_one_versioned_object():
    console, out, _, _ = make(json=True)
    console.result([Path("ä.mp4")], {"seed": 7})
    assert json.loads(out.getvalue()) == {"version": 1, "paths": ["ä.mp4"], "seed": 7}
    assert out.getvalue().count("\n") == 1


def test_notes_and_warnings_go_to_stderr():
    console, out, err, _ = make()
    console.note("loading [model]")
    console.warn("slow")
    assert (out.getvalue(), err.getvalue()) == ("", "loading [model]\nwarning: slow\n")


def test_quiet_says_nothing_but_the_result():
    console, out, err, clock = make(quiet=True)
    console.note("a")
    console.warn("b")
    with console.progress(2, "c") as bar:
        clock.now += 60
        bar.advance()
    console.result([Path("x.gif")])
    assert (out.getvalue(), err.getvalue()) == ("x.gif\n", "")


def test_heartbeat_at_most_every_ten_seconds():
    console, out, err, clock = make()
    with console.progress(600, "rendering") as bar:
        for _ in range(240):
            clock.now += 1 / 8
            bar.advance()
    # 30 seconds have passed, 8 steps each: the 360 that are left take 45
    assert err.getvalue().splitlines() == [
        "rendering 80/600 (13%) 1:05 left",
        "rendering 160/600 (26%) 0:55 left",
        "rendering 240/600 (40%) 0:45 left",
    ]
    assert out.getvalue() == ""


def test_heartbeat_takes_a_new_label_and_more_steps_at_once():
    console, _, err, clock = make()
    with console.progress(4, "inverting") as bar:
        clock.now += 10
        bar.advance(4, "saving")
    assert err.getvalue() == "saving 4/4 (100%) 0:00 left\n"


def test_a_short_job_is_not_talked_about():
    console, _, err, _ = make()
    with console.progress(3, "x") as bar:
        bar.advance(3)
    assert err.getvalue() == ""


def test_a_terminal_gets_a_bar_and_notes_stand_above_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out, err = io.StringIO(), Terminal()
    console = Console(stdout=out, stderr=err)
    with console.progress(2, "rendering [x]") as bar:
        console.note("a note with [brackets]")
        bar.advance()
        bar.advance(label="encoding")
    console.note("afterwards")
    shown = err.getvalue()
    assert "a note with [brackets]" in shown and "encoding" in shown and shown.endswith("afterwards\n")
    assert "rendering [x]" in shown
    assert out.getvalue() == ""


def test_the_bar_goes_when_the_job_fails(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    console = Console(stdout=io.StringIO(), stderr=Terminal())
    with pytest.raises(RuntimeError), console.progress(2, "x"):
        raise RuntimeError
    assert console._bar is None


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (31.2, "0:31"), (59.6, "1:00"), (3671, "1:01:11")])
def test_clock_text(seconds, text):
    assert clock_text(seconds) == text
