"""A batch is checked whole: every bad row is named with its line and field, and a refused batch leaves nothing."""

import shutil

import pytest

from laser_cli.batch.check import BadRows, Revisions, check
from laser_cli.batch.remote import Place
from laser_cli.batch.rows import Cell, Row
from laser_cli.batch.said import Given
from laser_cli.batch.spool import Spool
from laser_cli.errors import BadInputError
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"
GOOD = {"image": str(COTTAGE), "description": "night falls"}
BETWEEN = {"command": "interpolate", "stops": ["a red ball", "a blue cube"]}


@pytest.fixture
def checked(tmp_path):
    """`checked(*rows)`: the tasks of rows, each a mapping; the folder of the batch is `tmp_path / "out"`."""
    count = iter(range(1000))
    (tmp_path / "out").mkdir()

    def run(*rows, given=None, finished=None):
        spool = Spool(tmp_path / f"jobs{next(count)}")
        items = [Row(row, "jobs.yaml", line) for line, row in enumerate(rows, start=1)]
        given, place = given or Given(), Place(str(tmp_path / "out"))
        check(items, "jobs.yaml", given, spool, place, finished=finished or {}, revisions=Revisions(needed=False))
        return spool

    return run


@pytest.mark.parametrize(
    ("row", "field", "told"),
    [
        ({**GOOD, "image": "nope.png"}, "image", "there is no picture nope.png"),
        ({**GOOD, "stepps": 3}, "stepps", "did you mean 'steps'?"),
        ({**GOOD, "steps": "many"}, "steps", "valid integer"),
        ({**GOOD, "guidance": 99}, "guidance", "less than or equal to 30"),
        ({**GOOD, "command": "animat"}, "command", "did you mean 'animate'?"),
        ({**GOOD, "model": "./nowhere"}, "model", "there is no model ./nowhere"),
        ({**GOOD, "device": "gpu"}, "device", "unknown device 'gpu'"),
        ({**GOOD, "dtype": "int8"}, "dtype", "unknown dtype"),
        ({**GOOD, "distance": "miles"}, "distance", "unknown distance 'miles'"),
        ({**GOOD, "preset": "nope"}, "preset", "there is no preset 'nope'"),
        ({**GOOD, "planner": "magic"}, "planner", "there is no planner 'magic'"),
        ({**GOOD, "plan": "nope.yaml"}, "plan", "both a description and --plan"),
        ({"image": str(COTTAGE), "plan": "nope.yaml"}, "plan", "nope.yaml"),
        ({"image": str(COTTAGE), "plan": {"source": "a", "segments": 3}}, "plan", "segments"),
        ({**GOOD, "out": "{sead}.gif"}, "out", "did you mean {seed}?"),
        ({**GOOD, "out": "a.txt"}, "out", ".txt is not a format"),
        ({**GOOD, "out": "-"}, "out", "go to files"),
        ({**GOOD, "from": "nope.mp4"}, "from", "nope.mp4"),
        ({**GOOD, "image": "-"}, "image", "stdin"),
        ({"image": str(COTTAGE)}, None, "what should happen?"),
        ({**BETWEEN, "stops": ["a"]}, None, "two stops are needed"),
        ({**BETWEEN, "distance": "pixels", "spacing": "uniform"}, "distance", "would do nothing"),
        ({**BETWEEN, "at": 0.5, "out": "a.mp4"}, "out", "--at draws one picture"),
        ({"command": "invert", "image": str(COTTAGE), "out": "a.mp4"}, "out", "safetensors"),
        ({"command": "invert"}, None, "no picture"),
        ({**GOOD, "out": "a.gif", "audio": "a.wav"}, "audio", "--audio is for a video"),
    ],
)
def test_a_bad_row_is_named_with_line_and_field(checked, tmp_path, row, field, told):
    with pytest.raises(BadRows) as error:
        checked(GOOD, row)
    text = error.value.render()
    assert error.value.exit_code == 5 and told in text
    assert f"jobs.yaml, line 2: {field}: " in text if field else "jobs.yaml, line 2: " in text
    assert list((tmp_path / "out").iterdir()) == []


def test_all_that_is_wrong_is_told_at_once(checked):
    with pytest.raises(BadRows) as error:
        checked({**GOOD, "steps": 0, "guidance": 99}, GOOD, {**GOOD, "image": "nope.png"})
    assert len(error.value.errors) == 3


def test_names_that_collide_are_refused_whatever_their_spelling(checked):
    for first, second in (("a.gif", "a.gif"), ("a.gif", "b/../A.gif"), ("{stem}.gif", "cottage.gif")):
        with pytest.raises(BadRows, match="is the name of job 1 too"):
            checked({**GOOD, "out": first}, {**GOOD, "out": second})
    with pytest.raises(BadRows, match="is the name of job 1 too"):
        checked({**GOOD, "seed": [1, 2], "out": "{stem}.gif"})
    assert len(checked({**GOOD, "seed": [1, 2], "out": "{stem}-{seed}.gif"}, {**GOOD, "out": "{n}.gif"})) == 3


def test_no_job_replaces_what_another_reads(checked, tmp_path):
    picture = tmp_path / "out" / "made.png"
    shutil.copy(COTTAGE, picture)
    with pytest.raises(BadRows, match="would be replaced"):
        checked({**GOOD, "out": "made.png", "force": True}, {**GOOD, "image": str(picture)})


def test_folders_of_names_are_made_and_unmade_where_the_batch_is_refused(checked, tmp_path):
    checked({**GOOD, "out": "a/b/{n}.gif"})
    assert (tmp_path / "out" / "a" / "b").is_dir()
    with pytest.raises(BadRows):
        checked({**GOOD, "out": "c/d/{n}.gif"}, {**GOOD, "steps": 0})
    assert not (tmp_path / "out" / "c").exists()


def test_flags_go_before_rows_and_rows_before_variables(checked, monkeypatch):
    from laser_cli.batch.verbs import variables

    monkeypatch.setenv("LASER_DTYPE", "float16")
    given = Given({**variables(), "preset": "draft"}, {"frames": Cell("5")})
    said, other = (task.read_job() for task in checked({**GOOD, "frames": 9, "dtype": "float32"}, GOOD, given=given))
    assert (said.settings.frames, said.settings.dtype, said.settings.steps) == (5, "float32", 10)
    assert other.settings.dtype == "float16" and not other.settings.even_pace


def test_a_seed_by_chance_is_chosen_when_the_batch_is_checked(checked):
    seeds = {task.read_job().settings.seed for task in checked(*[{**GOOD, "seed": -1}] * 4)}
    assert len(seeds) == 4 and -1 not in seeds


def test_jobs_of_one_model_and_size_are_a_group(checked):
    spool = checked(GOOD, {**GOOD, "size": 64}, {**GOOD, "seed": 2}, {**GOOD, "size": 64, "guidance": 2})
    assert list(spool.groups) == [0, 1, 0, 1]


def test_the_key_tells_jobs_apart_by_all_that_decides_their_files(checked):
    keys = [
        task.key
        for task in checked(
            {**GOOD, "out": "a.gif"}, {**GOOD, "out": "b.gif"}, {**GOOD, "seed": 1, "out": "c.gif"}, BETWEEN
        )
    ]
    assert len(set(keys)) == 4
    assert keys[0] == next(iter(checked({**GOOD, "out": "a.gif"}))).key


def test_what_is_done_is_left_alone_while_its_files_are_whole(checked, tmp_path):
    (task,) = checked({**GOOD, "out": "a.gif"})
    finished = {task.key: (5,)}
    assert list(checked({**GOOD, "out": "a.gif"}, finished=finished).finished) == [0]
    (tmp_path / "out" / "a.gif").write_bytes(b"GIF89")
    assert list(checked({**GOOD, "out": "a.gif"}, finished=finished).finished) == [1]
    (tmp_path / "out" / "a.gif").unlink()
    assert list(checked({**GOOD, "out": "a.gif", "seed": 2}, finished=finished).finished) == [0]


def test_plans_of_models_wait_and_those_of_rules_do_not(checked, tmp_path):
    model = tmp_path / "planner.gguf"
    model.write_bytes(b"GGUF")
    spool = checked(GOOD, {**GOOD, "planner": str(model)}, BETWEEN, {**BETWEEN, "guide": ["auto"]})
    assert list(spool.waiting) == [0, 1, 0, 0]


def test_a_row_of_cells_whose_plan_waits_is_built_again_as_it_was(checked, tmp_path):
    from laser_cli.batch.build import build

    model = tmp_path / "planner.gguf"
    model.write_bytes(b"GGUF")
    cells = {"planner": str(model), "seed": "-1", "steps": "3", "bounce": "true", "even_pace": "no"}
    (waiting,) = checked({**GOOD, **{key: Cell(value) for key, value in cells.items()}})
    again = build(Row(waiting.row, waiting.where), waiting.number)
    assert waiting.row and again.job == waiting.job


def test_a_batch_without_jobs_is_an_error(checked):
    with pytest.raises(BadInputError, match="has no jobs"):
        checked()
