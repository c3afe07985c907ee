import pytest

from laser_cli.errors import BadInputError
from laser_cli.text import decode_text, read_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_any_encoding_that_says_which_it_is(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("a 猫 and ü".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "a 猫 and ü"


def test_utf_16_of_either_order():
    assert decode_text(b"\xff\xfea\0") == decode_text(b"\xfe\xff\0a") == "a"


@pytest.mark.parametrize("data", [b"caf\xe9", b"\xff\xfea", b"\x89PNG\r\n\x1a\n\0\0", b"\xff\xfe\x00\xd8"])
def test_what_is_no_text_is_told(tmp_path, data):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(BadInputError, match=r"cannot read .*a\.txt"):
        read_text(tmp_path / "a.txt")


def test_only_so_much_is_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"x" * 11)
    with pytest.raises(BadInputError) as told:
        read_text(tmp_path / "a.txt", limit=10)
    assert "larger than" in told.value.why
    assert len(read_text(tmp_path / "a.txt", limit=11)) == 11


@pytest.mark.parametrize("name", ["missing.txt", "", "a\0b", "x" * 300])
def test_files_that_cannot_be_read_are_told(tmp_path, name):
    with pytest.raises(BadInputError, match="cannot read"):
        read_text(tmp_path / name)
