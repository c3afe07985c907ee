"""Rows of batch files: every format, the lines that errors name, and what one row stands for."""

import io
import json
import sys

import pytest

from laser_cli.batch.expand import expand
from laser_cli.batch.rows import Cell, Row, read_assignments, read_rows
from laser_cli.batch.said import Given, merged, verb_of
from laser_cli.batch.verbs import VERBS, typed
from laser_cli.errors import BadInputError, UsageError
from laser_cli.jobs.settings import AnimateSettings


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def values(rows):
    return [dict(row.values) for row in rows]


YAML = "defaults: {steps: 3}\njobs:\n  - image: a.png\n    description: night falls\n  - description: snow\n"
JSONL = '{"defaults": {"steps": 3}}\n{"image": "a.png", "description": "night falls"}\n\n{"description": "snow"}\n'
CSV = 'image,description\na.png,"night falls"\n\n,snow\n'


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("jobs.yaml", YAML, [3, 5]),
        ("jobs.jsonl", JSONL, [2, 4]),
        ("jobs.csv", CSV, [2, 4]),
        ("jobs.txt", YAML, [3, 5]),
        ("jobs.txt", JSONL, [2, 4]),
        ("jobs.txt", CSV, [2, 4]),
        ("jobs.csv", b"\xef\xbb\xbf" + CSV.encode(), [2, 4]),
        ("jobs.csv", CSV.encode("utf-16"), [2, 4]),
    ],
)
def test_every_format_says_the_same(tmp_path, name, text, lines):
    rows = list(read_rows(written(tmp_path, name, text)))
    assert values(rows) == [{"image": "a.png", "description": "night falls"}, {"description": "snow"}]
    assert [row.line for row in rows] == lines
    if "steps" in str(text):
        assert all(row.defaults == {"steps": 3} for row in rows)


def test_stdin_is_read_line_by_line(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(JSONL.encode())))
    assert len(list(read_rows(__import__("pathlib").Path("-")))) == 2


def test_yaml_knows_the_line_of_every_key_and_one_mapping_is_one_row(tmp_path):
    (row,) = read_rows(written(tmp_path, "jobs.yaml", "image: a.png\n\nseed: [1..3]\n"))
    assert (row.at("image"), row.at("seed")) == tuple(f"{tmp_path}/jobs.yaml, line {n}" for n in (1, 3))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.yaml", "jobs: 3", "list of jobs"),
        ("a.yaml", "jobs: []\nsteps: 3", "'steps' stands beside the jobs"),
        ("a.yaml", "- a: [", "not valid YAML"),
        ("a.csv", "image,image\na,b", "each once"),
        ("a.csv", 'image\n"a', "line 2"),
        ("a.jsonl", b"\xff\xfe\xff", "UTF-8"),
        ("a.jsonl", b'{"image": "\xff"}', "UTF-8"),
    ],
)
def test_a_file_that_is_none_is_an_error(tmp_path, name, text, told):
    with pytest.raises(BadInputError) as error:
        list(read_rows(written(tmp_path, name, text)))
    assert told in error.value.render()


@pytest.mark.parametrize("line", ["[1]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "nonsense"])
def test_a_bad_line_is_named_and_the_others_are_read(tmp_path, line):
    bad, good = read_rows(written(tmp_path, "a.jsonl", f'{line}\n{{"seed": 1}}\n'))
    assert isinstance(bad, BadInputError) and "a.jsonl, line 1" in bad.what
    assert good.values == {"seed": 1}


def test_too_many_cells_and_rows_that_are_no_mapping_are_named(tmp_path):
    (bad,) = read_rows(written(tmp_path, "a.csv", "image\na,b\n"))
    assert "line 2: too many cells" in bad.what
    bad, _ = read_rows(written(tmp_path, "a.yaml", "- night falls\n- image: a.png\n"))
    assert "a.yaml, line 1" in bad.what


def expanded(said, **defaults):
    row = Row(said, "jobs.yaml", 1, defaults=defaults)
    return values(expand(merged(row, verb_of(row), Given()), verb_of(row)))


def test_a_grid_is_every_combination_the_last_key_fastest():
    rows = expanded({"seed": ["1..2"], "guidance": [1.5, 3], "steps": 4})
    assert [(row["seed"], row["guidance"]) for row in rows] == [(1, 1.5), (1, 3), (2, 1.5), (2, 3)]
    assert all(row["steps"] == 4 for row in rows)


@pytest.mark.parametrize(
    ("key", "value", "count"),
    [
        ("seed", "1..8", 8),
        ("seed", ["1..3", 9], 4),
        ("seed", "0..10..5", 3),
        ("seed", "3..1", 3),
        ("seed", Cell("1..3"), 3),
        ("seed", Cell("[1, 2]"), 2),
        ("lora", ["a.safetensors:0.5", "b.safetensors"], 1),  # a list is what this field takes
        ("lora", [["a.safetensors"], ["b.safetensors"]], 2),
        ("description", ["night falls", "it snows"], 2),
        ("description", "1..8", 1),
        ("description", Cell("[word] falls"), 1),
        ("fps", "24000/1001", 1),
    ],
)
def test_what_stands_for_many(key, value, count):
    assert len(expanded({key: value})) == count


def test_stops_and_seeds_of_an_interpolation_are_lists_themselves():
    rows = expanded({"command": "interpolate", "stops": ["a", "b"], "seeds": [3, 7]})
    assert rows == [{"command": "interpolate", "stops": ["a", "b"], "seeds": [3, 7]}]


@pytest.mark.parametrize("bad", [{"seed": []}, {"seed": "1..99999999"}, {"seed": "1..2..0"}, {"images": "none/*.png"}])
def test_what_stands_for_none_is_an_error_with_its_key(bad):
    with pytest.raises(BadInputError) as error:
        expanded(bad)
    assert f"jobs.yaml, line 1: {next(iter(bad))}" in error.value.what


def test_patterns_are_sorted_and_name_each_picture_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.png", "a.png", "c.txt"):
        (tmp_path / name).touch()
    rows = expanded({"images": ["*.png", "a.*"], "description": "night falls"})
    assert [row["image"] for row in rows] == ["a.png", "b.png"]


def test_defaults_go_beneath_and_each_command_takes_what_it_has():
    assert expanded({"steps": 2}, steps=9, stops=["a", "b"], guidance=2.0) == [{"steps": 2, "guidance": 2.0}]
    assert expanded({"plan": "p.yaml"}, description="x") == [{"plan_file": "p.yaml"}]
    with pytest.raises(BadInputError, match="unknown key 'stepps'"):
        expanded({}, stepps=9)


def test_keys_are_the_options_of_the_commands():
    verb = VERBS["interpolate"]
    for key in ("guide", "guides", "from", "output", "out", "frames_dir", "frames-dir", "seed", "exact", "spacing"):
        assert verb.find(key), key
    for key in ("resume", "format", "even"):
        assert VERBS["animate"].find(key) is None, key


def test_cells_become_what_their_field_is():
    assert typed(AnimateSettings, "steps", Cell("12")) == 12
    assert typed(AnimateSettings, "bounce", Cell("true")) is True
    assert typed(AnimateSettings, "model", Cell("12")) == "12"
    assert typed(AnimateSettings, "lora", ["a"]) == ("a",)
    with pytest.raises(ValueError, match="integer"):
        typed(AnimateSettings, "steps", "12")


def test_assignments():
    assert read_assignments(["even-pace=false", "description=a=b"]) == {"even_pace": "false", "description": "a=b"}
    with pytest.raises(UsageError):
        read_assignments(["steps"])


def test_json_lines_keep_their_types(tmp_path):
    (row,) = read_rows(written(tmp_path, "a.jsonl", json.dumps({"seed": "1..2", "steps": 3})))
    assert [dict(r.values)["seed"] for r in expand(merged(row, VERBS["animate"], Given()), VERBS["animate"])] == [1, 2]
