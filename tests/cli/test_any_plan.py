"""Whatever stands in a plan file: a documented exit code, one message that says what to do, and no file."""

import contextlib
import io
import json
import sys

import pytest
import yaml
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from laser_cli.cli import main
from laser_cli.presets_dir import presets_folder

COTTAGE = presets_folder() / "storybook" / "cottage.png"

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WORDS = st.sampled_from(
    ["a red house", "a house at night", 'it\'s: a "house"', "[x", "\x1b[31m", "ü 猫 🐱", "error: no"]
)
NUMBERS = st.integers(-3, 12) | st.sampled_from([10**6, 10**30]) | st.floats()
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


def part(good, keys):
    """Mappings that are good, or not quite: a value of another kind, a key more or one less."""

    def spoiled(value):
        key = st.sampled_from(sorted(keys)) | TEXT | st.sampled_from(["promt", "frame", "contrl"])
        changed = st.tuples(key, ANYTHING).map(lambda pair: {**value, pair[0]: pair[1]})
        fewer = st.sampled_from([*sorted(keys), ""]).map(lambda k: {x: value[x] for x in value if x != k})
        return st.just(value) | changed | fewer

    return good.flatmap(spoiled)


SEGMENT = st.fixed_dictionaries(
    {"prompt": WORDS, "frames": st.integers(2, 9) | st.integers(-2, 10**6)},
    optional={
        "control": st.sampled_from(["texture", "motion", "hybrid", "hold", "texttur"]),
        "strength": st.floats(0, 1) | st.integers(-1, 2),
        "easing": st.sampled_from(["linear", "ease", "ease-in", "bouncy"]),
    },
)
GOOD = st.fixed_dictionaries({"prompt": WORDS, "frames": st.integers(2, 9)})
SEGMENTS = st.lists(GOOD, min_size=1, max_size=3) | st.lists(part(SEGMENT, ["prompt", "frames"]), max_size=3)
MANY = st.tuples(GOOD, st.sampled_from([64, 65, 200])).map(lambda pair: [pair[0]] * pair[1])
PLAN = st.fixed_dictionaries(
    {"source": WORDS, "segments": SEGMENTS | MANY},
    optional={"version": st.sampled_from([1, 2, "1"]), "description": WORDS, "planner": ANYTHING},
)
FAIR = st.fixed_dictionaries({"source": WORDS, "segments": st.lists(GOOD, min_size=1, max_size=9)})
FILES = (
    FAIR.map(json.dumps)
    | FAIR.map(lambda plan: yaml.safe_dump(plan, allow_unicode=True))
    | part(PLAN, ["source", "segments"]).map(json.dumps)
    | part(PLAN, ["source", "segments"]).map(lambda plan: yaml.safe_dump(plan, allow_unicode=True))
    | ANYTHING.map(json.dumps)
    | TEXT
)


def dry_run(plan, out, *more):
    """(exit code, stdout, stderr) of a dry run in this process."""
    told, notes = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told), contextlib.redirect_stderr(notes):
        for name in ("MODEL", "DEVICE", "DTYPE", "QUIET", "DEBUG"):
            patch.delenv(f"LASER_{name}", raising=False)
        words = ["laser", "animate", COTTAGE, "--plan", plan, "-o", out, "--dry-run", *more]
        patch.setattr(sys, "argv", [str(word) for word in words])
        code = main.exit_code(main.app)
    return code, told.buffer.getvalue().decode(), notes.getvalue()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(FILES, st.sampled_from(["a.mp4", "a.gif", "a.png", "frames.webp"]))
@example('{"source": "a red house", "segments": [{"prompt": "a red house", "frames": 100001}]}', "a.mp4")
def test_any_plan_file_is_told_or_refused_and_never_leaves_a_file(tmp_path_factory, text, name):
    folder = tmp_path_factory.mktemp("plan")
    plan = folder / "plan.yaml"
    plan.write_text(text, encoding="utf-8", newline="")
    code, stdout, stderr = dry_run(plan, folder / name, "--json")
    event(f"exit code {code}")
    assert [path.name for path in folder.iterdir()] == ["plan.yaml"]
    assert "Traceback" not in stderr and "error: unexpected " not in stderr
    if code == 0:
        told = json.loads(stdout)
        assert told["frames"] == told["settings"]["frames"] >= 2 and len(told["plan"]["segments"]) <= 64
        assert told["evaluations"]["total"] > 0 and told["time"]["seconds"] >= 0
        return
    assert code == 5 and stdout == "", stderr
    lines = stderr.splitlines()
    assert lines[0].startswith("error: ") and str(plan) in lines[0]
    assert sum(line.startswith("error: ") for line in lines) == 1
    assert any(line.startswith("  try: ") for line in lines), "it does not say what to do"


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        ({"source": "a house", "segments": [{"prompt": "a barn", "frames": 2}] * 64}, 0),
        ({"source": "a house", "segments": [{"prompt": "a barn", "frames": 2}] * 65}, 5),
        ({"source": "a house", "segments": [{"prompt": "a barn", "frames": 100_000}]}, 0),
        ({"source": "a house", "segments": [{"prompt": "a barn", "frames": 100_001}]}, 5),
        ({"source": "a house", "segments": [{"prompt": "a barn", "frames": 10**30}]}, 5),
    ],
)
def test_a_plan_at_the_limit_is_told_and_one_past_it_refused(tmp_path, plan, code):
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    got, _, stderr = dry_run(tmp_path / "plan.json", tmp_path / "a.mp4")
    assert got == code, stderr
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
