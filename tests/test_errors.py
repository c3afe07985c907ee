import errno
import pickle

import pytest

from laser_cli.errors import (
    BadInputError,
    LaserError,
    MemoryExhausted,
    NotFoundError,
    UsageError,
    machine_error,
    reason,
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
    ],
)
def test_exit_codes_are_those_documented(kind, code):
    assert kind("x").exit_code == code


def test_travels_between_processes_whole():
    back = pickle.loads(pickle.dumps(BadInputError("a", why="b", hint="c")))
    assert (type(back), back.what, back.why, back.hint) == (BadInputError, "a", "b", "c")


def wrapped(outer: Exception, inner: Exception) -> Exception:
    try:
        raise outer from inner
    except Exception as error:
        return error


@pytest.mark.parametrize(
    ("error", "kind", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), LaserError, "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), LaserError, "quota"),
        (OSError(errno.EFBIG, "File too large"), LaserError, "larger than allowed"),
        (OSError(errno.EMFILE, "Too many open files"), LaserError, "too many open files"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MemoryExhausted, "out of memory"),
        (OSError(errno.ELOOP, "Too many levels", "a.png"), BadInputError, "a.png"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300), BadInputError, "aaa"),
        (RuntimeError("Error serializing: I/O error: No space left (os error 28)"), LaserError, "the disk is full"),
        (RuntimeError("could not create a primitive"), MemoryExhausted, "out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), MemoryExhausted, "out of memory"),
        (ImportError("libx.so: failed to map segment from shared object"), MemoryExhausted, "out of memory"),
        (MemoryError(), MemoryExhausted, "out of memory"),
        (wrapped(ValueError("cannot save"), OSError(errno.ENOSPC, "No space left")), LaserError, "the disk is full"),
    ],
)
def test_what_the_machine_refuses_is_told_as_such(error, kind, what):
    told = machine_error(error)
    assert type(told) is kind and what in told.what


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y"), RuntimeError("shape mismatch"), OSError("odd")])
def test_bugs_are_not_excused(error):
    assert machine_error(error) is None


def test_a_reason_is_told_in_words():
    assert reason(OSError(errno.ELOOP, "Too many levels of symbolic links")) == "it is a link that leads back to itself"
    assert reason(OSError(errno.EBUSY, "Device or resource busy")) == "Device or resource busy"
    assert reason(ValueError("first\nsecond")) == "first" and reason(IndexError()) == "IndexError"
