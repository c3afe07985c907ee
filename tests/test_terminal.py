import unicodedata

import pytest

from laser_cli.errors import BadInputError
from laser_cli.terminal import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcödé, 猫, قط, हिन्दी, 🐈", "plain, ünïcödé, 猫, قط, हिन्दी, 🐈"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb\nc\td", "a\\rb\\nc\\td"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x9b2J", "\\x9b2J"),
        ("caf\udce9.png", "caf\\xe9.png"),
        ("می\u200cروم 👨\u200d👩", "می\u200cروم 👨\u200d👩"),
    ],
)
def test_letters_are_shown_and_commands_are_escaped(text, shown):
    assert printable(text) == shown


def test_nothing_that_steers_gets_through_whatever_the_character():
    for code in range(0x110000):
        shown = printable(chr(code))
        assert shown == chr(code) or shown.isascii()
        if unicodedata.category(chr(code)) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(chr(code)) in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"
        ):  # fmt: skip
            assert shown.isascii() and "\x1b" not in shown


def test_errors_escape_the_names_they_tell_and_keep_their_lines():
    error = BadInputError("cannot read \x1b[2J.png", why="one\ntwo\u202e", hint="x\r")
    assert error.render().splitlines() == [
        "error: cannot read \\x1b[2J.png",
        "  why: one",
        "       two\\u202e",
        "  try: x\\r",
    ]
