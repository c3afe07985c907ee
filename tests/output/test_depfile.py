import os
import shutil
import subprocess
from pathlib import Path

import pytest

from laser_cli.errors import UsageError
from laser_cli.output.depfile import check_names, write_depfile

pytestmark = pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="no make")


def obeyed(folder: Path, target: bytes, prerequisite: bytes) -> bool:
    """Whether make reads the depfile's rule as this target and this prerequisite, and does nothing else."""
    here = os.fsencode(folder)
    file, out = os.path.join(here, prerequisite), os.path.join(here, target)
    for path, time in ((file, 1000), (out, 2000)):
        with open(path, "w"):
            os.utime(path, (time, time))
    write_depfile(folder / "out.d", Path(os.fsdecode(target)), [Path(os.fsdecode(prerequisite))])

    def status() -> int:
        command = [b"make", b"-q", b"--", target]
        return subprocess.run(command, cwd=here, capture_output=True, check=False, timeout=60).returncode

    # the recipe joins the included rule only if that rule is the last thing that make read there
    (folder / "Makefile").write_bytes((folder / "out.d").read_bytes() + b"\t@true\n")
    names = sorted(os.listdir(here))
    current = status()
    os.utime(file, (3000, 3000))
    stale = status()
    os.remove(file)
    missing = status()
    tidy = sorted([*os.listdir(here), prerequisite]) == names
    for left in os.listdir(here):
        os.remove(os.path.join(here, left))
    return (current, stale, missing) == (0, 1, 2) and tidy


BYTES = [bytes([code]) for code in range(1, 256) if bytes([code]) != b"/"]
DULL = [b for b in BYTES if b.isalnum() or b >= b"\x80"]
PLACES = {"first": b"%bx.png", "inside": b"a%bx.png", "last": b"a.png%b", "alone": b"%b"}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("role", ["target", "prerequisite"])
def test_every_byte_is_escaped_or_refused(tmp_path, role, place):
    refused = set()
    for byte in BYTES:
        if byte in DULL and byte not in (b"a", b"\xe9"):
            continue  # letters, digits and bytes of UTF-8 are all alike to make
        name = PLACES[place] % byte
        if name == b".":
            continue
        pair = (name, b"p") if role == "target" else (b"o.gif", name)
        try:
            assert obeyed(tmp_path, *pair), f"{name!r} as {role}"
        except UsageError:
            refused.add(byte)
    assert refused <= set(BYTES[8:13]) | {b"=", b";", b"&", b" ", b"\\", b"~"}
    assert {b"\n", b"\r", b"=", b";"} <= refused


@pytest.mark.parametrize(
    "name",
    [
        "a b.png", "c#d.png", "$e$(f).png", "g\\ h.png", "g\\\\#h.png", "i%j.png", "ü.png", "a*b.png", "[a].png",
        "x:y:z.png", "a|b", "a!b", "include", "export", "-include", "define", "$$", "(a).png", "a\udce9.png",
        "\\:", "\\\\[", "{a,b}", "'\"`", "@%^&<>",
    ],
)  # fmt: skip
def test_odd_names_are_read_as_themselves(tmp_path, name):
    for decoy in ("ab", "a", "axb.png", "a.png"):
        (tmp_path / decoy).touch()  # what a wildcard would find
    assert obeyed(tmp_path, b"o.gif", os.fsencode(name))
    if not name.endswith("&"):
        assert obeyed(tmp_path, os.fsencode(name), b"p.png")


@pytest.mark.parametrize(
    "name", ["a!=touch${IFS}X${IFS}.png", "a:=b", "a\nb", "lib(member)", ".PHONY", ".WAIT", "~root"]
)
def test_what_make_cannot_read_is_refused_before_anything_is_written(tmp_path, name):
    for target, prerequisite in ((name, "p.png"), ("o.gif", name)):
        with pytest.raises(UsageError, match="dependency file"):
            check_names(Path(target), [Path(prerequisite)])
        with pytest.raises(UsageError):
            write_depfile(tmp_path / "out.d", Path(target), [Path(prerequisite)])
    assert not list(tmp_path.iterdir())


def test_the_rule_is_gccs(tmp_path):
    write_depfile(tmp_path / "out.d", Path("o.gif"), [Path("a b"), Path("c#$d")])
    assert (tmp_path / "out.d").read_text() == "o.gif: \\\n a\\ b \\\n c\\#$$d\n"
    write_depfile(tmp_path / "out.d", Path("o.gif"), [])
    assert (tmp_path / "out.d").read_text() == "o.gif:\n"
