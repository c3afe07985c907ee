"""Plan files: exact round trips, and errors that name the line and the key."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laser_cli.errors import BadInputError, LaserError
from laser_cli.plan.files import parse_plan, plan_text, read_plan, write_plan
from laser_cli.plan.schema import STRENGTHS, FacePoint, Plan, Planner, Segment, with_frames
from laser_cli.storybook.vocabulary import BLENDSHAPES

GOOD = """\
version: 1
description: night falls
source: a cat
segments:
- prompt: a cat at night
  control: texture
  strength: 0.8
  frames: 24
  easing: ease
"""

prose = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
segments = st.builds(
    Segment,
    prompt=prose,
    control=st.sampled_from(("texture", "motion", "hybrid", "hold")),
    strength=st.floats(0, 1),
    frames=st.integers(2, 10**9),
    easing=st.sampled_from(("linear", "ease", "ease-in", "ease-out")),
)
planners = st.builds(Planner, name=prose, version=prose | st.integers(), seed=st.none() | st.integers())
angles = st.floats(-90, 90)
faces = st.lists(
    st.builds(
        FacePoint,
        at=st.floats(0, 100),
        expression=st.dictionaries(st.sampled_from(BLENDSHAPES), st.integers(0, 100), max_size=3),
        yaw=angles,
        pitch=angles,
        roll=angles,
    ),
    max_size=4,
    unique_by=lambda point: point.at,
).map(lambda points: sorted(points, key=lambda point: point.at))
plans = st.builds(
    Plan,
    description=prose,
    source=prose,
    segments=st.lists(segments, min_size=1, max_size=4),
    face=st.just([]) | faces,
    planner=planners,
)


@given(plans, st.sampled_from(("yaml", "json")))
@settings(max_examples=150, deadline=None)
def test_round_trip_is_exact(plan, format):
    assert parse_plan(plan_text(plan, format)) == plan


def test_text_is_for_people():
    text = plan_text(parse_plan(GOOD))
    body = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line.split(":")[0] for line in body if not line.startswith((" ", "-"))] == [
        "version", "description", "source", "segments", "planner",
    ]  # fmt: skip
    assert "hold" in text.splitlines()[1]
    assert "  control: texture" in body


@pytest.mark.parametrize("name", ["plan.yaml", "plan.json"])
def test_files(tmp_path, name):
    plan = parse_plan(GOOD)
    write_plan(plan, tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert read_plan(tmp_path / name) == plan
    if name.endswith("json"):
        assert json.loads((tmp_path / name).read_text())["source"] == "a cat"


def test_a_dash_is_stdout_and_stdin(capsys, monkeypatch):
    plan = parse_plan(GOOD)
    write_plan(plan, "-")
    text = capsys.readouterr().out

    class Stdin:
        def read(self) -> str:
            return text

    monkeypatch.setattr("sys.stdin", Stdin())
    assert read_plan("-") == plan


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "texture",
            "textur",
            [
                "line 6",
                "segments[0].control",
                "'textur' is not one of texture, motion, hybrid, hold, words, local",
                "did you mean 'texture'?",
            ],
        ),
        ("  strength", "  stregth", ["line 7", "segments[0].stregth", "unknown key", "did you mean 'strength'?"]),
        ("source", "sorce", ["line 3", "sorce", "did you mean 'source'?", "missing"]),
        ("version: 1", "version: 2", ["line 1", "version", "2 is not a version"]),
        ("frames: 24", "frames: 1", ["line 8", "segments[0].frames", "greater than or equal to 2"]),
        ("strength: 0.8", "strength: 2", ["line 7", "segments[0].strength", "less than or equal to 1"]),
        ("frames: 24", "frames: many", ["line 8", "valid integer"]),
        (
            "prompt: a cat at night",
            "prompt: yes",
            ["line 5", "segments[0].prompt", "true is not text", "put it in quotes"],
        ),
        ("prompt: a cat at night", "prompt: cat: night", ["line 5, column", "not valid YAML", "quotes"]),
        ("  frames: 24", "  frames: 24\n  frames: 12", ["line 9", "'frames' is there twice", "line 8"]),
        ("easing: ease", "easing: easy", ["line 9", "linear, ease, ease-in, ease-out"]),
        ("- prompt: a cat at night\n  control", "- control", ["line 5", "segments[0].prompt", "missing"]),
        ("description: night falls", "description: 2001-99-99", ["cannot be read"]),
        ("source: a cat", "source: *cat", ["line 3", "aliases"]),
        ("source: a cat", "source: !!python/name:os.system", ["line 3"]),
    ],
)
def test_errors_name_the_line_and_the_key(tmp_path, old, new, told):
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        read_plan(path)
    for words in ("plan.yaml", *told):
        assert words in caught.value.render()


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        ("no", "false is not text (no means that in YAML)"),
        ("1:30", "90 is not text (1:30 means that in YAML)"),
        ("2020-01-02", "2020-01-02 is not text (a date in YAML)"),
        ("2020-01-02 10:00:00", "2020-01-02 10:00:00 is not text (a date in YAML)"),
        ("0x1f", "31 is not text (0x1f means that in YAML)"),
        ("12", "12 is not text\n"),
        ("~", "nothing should be a valid string"),
    ],
)
@pytest.mark.parametrize("key", ["prompt: a cat at night", "source: a cat"])
def test_a_slip_gets_one_true_message(slip, told, key):
    with pytest.raises(BadInputError) as caught:
        parse_plan(GOOD.replace(key, f"{key.split(':')[0]}: {slip}"))
    assert told in caught.value.render() + "\n"
    assert "at least 1" not in caught.value.render() and "valid plan" not in caught.value.what


def test_a_list_that_is_empty_is_told_to_be():
    with pytest.raises(BadInputError, match="at least 1"):
        parse_plan("source: a cat\nsegments: []\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_plans_in_any_encoding_that_says_which_it_is(tmp_path, encoding):
    (tmp_path / "plan.yaml").write_bytes(GOOD.replace("a cat", "ein Kätzchen 猫").encode(encoding))
    assert read_plan(tmp_path / "plan.yaml").source == "ein Kätzchen 猫"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "{" * 20_000,
        "- " * 20_000,
        "? " * 20_000,
        '{"source":' * 20_000,
        '{"a": ' + "[" * 5000 + "]" * 5000 + "}",
        "a: &a [1]\nb: [*a, *a]",
        "a: !!set {}",
        "source: " + "9" * 5000,
        '{"source": ' + "9" * 5000 + "}",
        "source: 0x" + "f" * 100_000,
        "source: 1" + ":30" * 100_000,
        "source: 1." + "9" * 100_000,
        "source: !!binary " + "A" * 1001,
        "source: !!timestamp x",
        "source: !!int x",
        "source: !!float x",
        "source: !!bool x",
        "source: !!null x",
        "source: !!omap [x]",
        "source: !!python/object/apply:os.system [touch owned]",
        "%TAG ! x\n---\na: !b c",
        "a: b\n" * 250_000,
        "x" * 2_000_000,
        "\ud800: 1",
        '{"source": "\\ud800", "segments": [{"prompt": "x", "frames": 2}]}',
        "a" * 100_000 + ": 1",
    ],
    ids=lambda text: text[:20],
)
def test_hostile_plans_are_told(text):
    with pytest.raises(BadInputError) as caught:
        parse_plan(text, "plan.yaml")
    assert "plan.yaml" in caught.value.render() and len(caught.value.render()) < 2000


def mutations(choose: random.Random, whole: bytes) -> bytes:
    """A file with a few of its bytes replaced, removed, repeated or added."""
    data = bytearray(whole)
    for _ in range(choose.randint(1, 5)):
        at, size = choose.randrange(len(data) + 1), choose.randint(1, 30)
        how = choose.randrange(5)
        if how == 0:
            data[at : at + 1] = bytes([choose.randrange(256)])
        elif how == 1:
            del data[at : at + size]
        elif how == 2:
            data[at:at] = data[max(0, at - size) : at] * choose.randint(1, 50)
        elif how == 3:
            data[at:at] = choose.choice(
                [
                    b"{",
                    b"[",
                    b"&a ",
                    b"*a",
                    b"!!int ",
                    b"1e999",
                    b"9" * 200,
                    b"\xff",
                    b"\0",
                    b": ",
                    b"\n- ",
                    b"~",
                    b'"',
                    b"<<: ",
                ]
            )
        else:
            data = data[:at]
    return bytes(data)


@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("format", ["yaml", "json"])
def test_mutated_plans_are_plans_or_bad_input(tmp_path, format, count):
    whole = plan_text(parse_plan(GOOD + FACE), format).encode()
    choose = random.Random(count)
    path = tmp_path / f"plan.{format}"
    for _ in range(count):
        path.write_bytes(mutations(choose, whole))
        try:
            plan = read_plan(path)
        except BadInputError as error:
            assert error.render()
        else:
            assert parse_plan(plan_text(plan)) == plan


def test_json_errors_name_the_line_too(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text('{\n "source": "a cat",\n "segments": [\n  {"prompt": "a dog",\n   "frame": 9}]}')
    with pytest.raises(BadInputError) as caught:
        read_plan(path)
    assert "line 5" in caught.value.render() and "'frames'" in caught.value.render()
    path.write_text('{"source": "a cat", "source": "a dog", "segments": [{"prompt": "x", "frames": 9}]}')
    with pytest.raises(BadInputError, match="twice"):
        read_plan(path)


@pytest.mark.parametrize(
    "text", ["", "- a\n- b", "just words", "{", "\t", "a: [", "? [1]\n: 2", "[" * 3000, "&a [*a]", "\x00", "1" * 5000]
)
def test_what_is_no_plan(text):
    with pytest.raises(BadInputError):
        parse_plan(text)


def test_files_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(LaserError) as caught:
        read_plan(tmp_path / "none.yaml")
    assert caught.value.exit_code == 5
    (tmp_path / "plan.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="cannot read the plan"):
        read_plan(tmp_path / "plan.yaml")
    with pytest.raises(BadInputError):
        read_plan(tmp_path)


lines = GOOD.splitlines(keepends=True)
mutated = st.builds(
    lambda i, j, extra: "".join(lines[:i]) + extra + "".join(lines[j:]),
    st.integers(0, len(lines)),
    st.integers(0, len(lines)),
    st.text("abc:-{}[]\"'#&*!|>%@`\n\t 019.~?,éß\x85\u2028", max_size=25),
)


@given(st.text(max_size=200) | mutated)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_never_anything_but_a_plan_or_bad_input(text):
    try:
        plan = parse_plan(text)
    except BadInputError as error:
        assert error.render()
    else:
        assert parse_plan(plan_text(plan)) == plan


FACE = """\
face:
- {at: 0}
- {at: 50, expression: {mouthSmileLeft: 80, mouthSmileRight: 80}, yaw: -20}
"""


def test_a_face_track_is_read_and_written_a_line_a_point():
    plan = parse_plan(GOOD + FACE)
    text = plan_text(plan)
    assert FACE in text and "percentage" in text and "face" not in plan_text(parse_plan(GOOD))
    assert parse_plan(text) == plan
    assert parse_plan(GOOD + "face: []\n") == parse_plan(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("SmileLeft", "SmilLeft", ["line 12", "expression.mouthSmilLeft", "did you mean 'mouthSmileLeft'?"]),
        ("yaw", "yew", ["line 12", "face[1].yew", "unknown key", "did you mean 'yaw'?"]),
        ("at: 50", "at: 0", ["line 10", "face", "point 2 is at 0, the one before it at 0"]),
        ("Left: 80", "Left: 180", ["line 12", "180 should be less than or equal to 100"]),
        ("-20", "-200", ["line 12", "face[1].yaw", "greater than or equal to -90"]),
        ("at: 0", "yaw: 0", ["line 11", "face[0].at", "missing", "a face point `at`"]),
        (FACE[6:], " 3", ["line 10", "face: 3 is not a list"]),
    ],
)
def test_errors_of_a_face_track(old, new, told):
    with pytest.raises(BadInputError) as caught:
        parse_plan(GOOD + FACE.replace(old, new, 1), "plan.yaml")
    for words in ("plan.yaml", *told):
        assert words in caught.value.render()


def test_segments_without_frames_take_their_even_share():
    ten = "source: a cat\nsegments:\n" + "".join(f"- prompt: a cat {i}\n" for i in range(10))
    plan = parse_plan(ten)
    assert plan.total_frames == 24 and with_frames(plan, 20).total_frames == 20
    assert [s.frames for s in with_frames(plan, 21).segments] == [3] * 10
    mixed = "source: a cat\nsegments:\n- {prompt: a, frames: 5}\n- prompt: b\n- {prompt: c, frames: 9}\n"
    assert [s.frames for s in parse_plan(mixed).segments] == [5, 7, 9]
    many = "source: a cat\nsegments:\n" + "- prompt: a dog\n" * 60
    assert parse_plan(many).total_frames == 61
    with pytest.raises(BadInputError, match="line 4"):
        parse_plan("source: a cat\nsegments:\n- prompt: a\n- {prompt: b, frames: x}\n")


def test_a_segment_leads_back_to_the_source():
    text = "source: a cat\nsegments:\n- prompt: a dog\n- back: true\n"
    plan = parse_plan(text)
    assert plan.prompts == ("a cat", "a dog", "a cat") and [s.back for s in plan.segments] == [False, True]
    assert parse_plan(plan_text(plan)) == plan and plan_text(plan).count("back: true") == 1
    with pytest.raises(BadInputError, match="segment 2 leads back"):
        parse_plan(text.replace("- back: true", "- {back: true, prompt: a bird}"))
    with pytest.raises(BadInputError) as caught:
        parse_plan(text.replace("back: true", "back: 1"))
    assert "segments[1].back" in caught.value.why


def test_a_strength_that_is_not_given_is_that_of_its_control():
    plan = parse_plan("source: a cat\nsegments:\n- {prompt: a dog, control: hybrid}\n- {prompt: a bird}\n")
    assert [s.strength for s in plan.segments] == [STRENGTHS["hybrid"], STRENGTHS["texture"]]
