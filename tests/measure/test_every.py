"""All benchmarks in one go."""

import json
from subprocess import CompletedProcess

from laser_cli.measure.every import BENCHES, WHOLE, run_all


def test_every_benchmark_runs_by_itself_and_one_that_fails_stops_no_other():
    asked, said = [], []

    def run(arguments):
        asked.append(list(arguments))
        if arguments[0] == "storybook":
            return CompletedProcess(arguments, 3, "")
        if arguments[0] == "plan":
            return CompletedProcess(arguments, 0, "a library says this first\n{}")
        return CompletedProcess(arguments, 0, json.dumps({"version": 1, "bench": arguments[0], "figures": []}))

    first, *_, told = run_all({"--model": "storybook", "--items": "2"}, said.append, run)
    assert [bench["bench"] for bench in first["benches"]] == ["speed"] and first["left"] == [*BENCHES][1:]
    assert told["failed"] == ["plan", "storybook"] and told["left"] == []
    assert any("plan printed no JSON but 'a library says" in text for text in said)
    assert [bench["bench"] for bench in told["benches"]] == [name for name in BENCHES if name not in told["failed"]]
    assert all("version" not in bench for bench in told["benches"]) and len(said) == len(BENCHES) + 1
    assert asked[0] == ["speed", "--json", "--model", "storybook"]
    assert asked[1] == ["plan", "--json", "--items", "2"]
    assert asked[2] == ["storybook", "--json", "--model", "storybook", "--items", "2"]
    assert told["model"] == "storybook" and told["revision"] and told["date"] and "torch" in told["versions"]


def test_options_that_are_left_out_are_the_benchmarks_own():
    asked = []

    def run(arguments):
        asked.append(list(arguments))
        return CompletedProcess(arguments, 1, "")

    *_, told = run_all({"--model": None, "--items": None}, run=run)
    assert told["failed"] == list(BENCHES)
    assert asked == [[name, "--json"] for name in BENCHES]


def test_long_animations_can_be_left_out_where_there_are_some():
    asked = []

    def run(arguments):
        asked.append(list(arguments))
        return CompletedProcess(arguments, 1, "")

    list(run_all({}, run=run, whole=False))
    brief = [arguments[0] for arguments in asked if arguments[1:] == ["--json", "--no-whole"]]
    assert set(brief) == WHOLE and all(len(arguments) == 2 for arguments in asked if arguments[0] not in WHOLE)
