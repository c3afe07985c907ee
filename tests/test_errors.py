import pickle

import pytest

from laser_cli.errors import (
    BadInputError,
    BatchError,
    LaserError,
    MemoryExhausted,
    NotFoundError,
    UsageError,
)


def test_renders_what_why_and_hint_on_marked_lines():
    error = BadInputError("cannot read a.png", why="line one\nline two", hint="another file")
    assert error.render().splitlines() == [
        "error: cannot read a.png",
        "  why: line one",
        "       line two",
        "  try: another file",
    ]


def test_leaves_out_what_is_not_known():
    assert LaserError("it failed").render() == "error: it failed"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (LaserError, 1),
        (UsageError, 2),
        (NotFoundError, 3),
        (MemoryExhausted, 4),
        (BadInputError, 5),
        (BatchError, 6),
    ],
)
def test_exit_codes_are_those_documented(kind, code):
    assert kind("x").exit_code == code


def test_travels_between_processes_whole():
    back = pickle.loads(pickle.dumps(BadInputError("a", why="b", hint="c")))
    assert (type(back), back.what, back.why, back.hint) == (BadInputError, "a", "b", "c")
