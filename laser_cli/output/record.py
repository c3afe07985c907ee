"""The record of a run, which travels inside its outputs so that each can be made again."""

import json
import re
import subprocess
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path, PurePath
from typing import Any

from laser_cli.errors import BadInputError
from laser_cli.output.ffmpeg import executable

VERSION = 1
PNG_KEY = "laser"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:laser="urn:laser:record:1"><laser:record>{}</laser:record>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
PAGE = '<script type="application/json" id="laser-record">{}</script>'
LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow", "imageio-ffmpeg", "llama-cpp-python")

Record = dict[str, Any]


def make_record(
    command: str,
    settings: Mapping[str, Any],
    *,
    seed: int | None = None,
    prompt: str | None = None,
    model: str | None = None,
    revision: str | None = None,
    input_sha256: str | None = None,
    dtype: str | None = None,
    device: str | None = None,
    fingerprint: str | None = None,
) -> Record:
    """Everything needed to repeat a run; no time and no absolute path, which would change the bytes of the output.

    `fingerprint`: of the settings and inputs (output.make), for runs that may be skipped when nothing changed.
    """
    import laser_cli

    record = {
        "version": VERSION,
        "program": "laser",
        "program_version": laser_cli.__version__,
        "command": command,
        "prompt": prompt,
        "seed": seed,
        "model": {"id": portable(model), "revision": revision},
        "input_sha256": input_sha256,
        "dtype": dtype,
        "device": device,
        "libraries": library_versions(),
        "settings": portable(settings),
    }
    return record if fingerprint is None else {**record, "fingerprint": fingerprint}


def to_json(record: Mapping[str, Any]) -> str:
    """One line of JSON, keys in the record's order: the same record gives the same text."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read_record(path: Path) -> Record:
    """The record inside a video, animation, picture or report that laser wrote; told by content, not by name."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise BadInputError(f"cannot read {path}", why=error.strerror or str(error)) from error
    if head.startswith((b"\x89PNG", b"GIF8")) or (head[:4], head[8:12]) == (b"RIFF", b"WEBP"):
        text = _picture_text(path)
    elif head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3"):
        text = _video_comment(path)
    elif head.lower().startswith(b"<!doctype html>"):
        text = from_page(path.read_text("utf-8", "replace"))
    else:
        why = "only mp4, webm, gif, webp, apng, png and laser's reports carry a record that it can read"
        raise BadInputError(f"there is no record in {path}", why=why)
    return _parse(text, path)


def to_xmp(text: str) -> bytes:
    """A record's JSON as XMP, in ASCII: XML forbids some letters that JSON allows."""
    return XMP.format(escape(to_ascii(text), quote=False)).encode("ascii")


def to_page(text: str) -> str:
    """A record's JSON as an element of a web page that nothing in it can end."""
    return PAGE.format(to_ascii(text).replace("<", "\\u003c"))


def to_ascii(text: str) -> str:
    """The same JSON, other letters escaped: for formats that know only ASCII."""
    return json.dumps(json.loads(text), separators=(",", ":"))


def from_page(page: str) -> str:
    """What `to_page` put into a web page, or "" if it is another's."""
    found = re.search(re.escape(PAGE).replace(r"\{\}", "(.*?)"), page, re.DOTALL)
    return found[1] if found else ""


def has_png_record(path: Path) -> bool:
    """Whether a file is a PNG that laser wrote; a cheap look at its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return head.startswith(b"\x89PNG") and b"iTXt" + PNG_KEY.encode() + b"\0" in head


def ffmetadata(comment: str) -> str:
    """An ffmpeg metadata file with one comment: unlike an argument it may be of any length and stays out of `ps`."""
    escaped = "".join("\\" + letter if letter in "=;#\\\n" else letter for letter in comment)
    return f";FFMETADATA1\ncomment={escaped}\n"


def comment_of(metadata: str) -> str:
    """The global comment of an ffmpeg metadata file, or "" if it has none; webm keeps keys in capitals."""
    fields: list[str] = [""]
    letters = iter(metadata)
    for letter in letters:
        if letter == "\\":
            fields[-1] += next(letters, "")
        elif letter == "\n":
            fields.append("")
        else:
            fields[-1] += letter
    for field in fields:
        if field.startswith("["):  # a stream or a chapter: no longer the file's own
            break
        if field[:8].lower() == "comment=":
            return field[8:]
    return ""


def _parse(text: str, path: Path) -> Record:
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("program") != "laser":
        why = "it was not written by laser, or another program removed its metadata"
        raise BadInputError(f"{path} carries no record of a laser run", why=why)
    version = record.get("version")
    if version != VERSION:
        why = f"its record has version {version}, this program reads {VERSION}"
        raise BadInputError(f"cannot use the record in {path}", why=why, hint="update laser-cli")
    return record


def _picture_text(path: Path) -> str:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            text = picture.info.get({"PNG": PNG_KEY, "WEBP": "xmp"}.get(picture.format or "", "comment"), "")
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInputError(f"cannot read {path}", why=str(error)) from error
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    xmp = re.search("<laser:record>(.*?)</laser:record>", text, re.DOTALL)
    return unescape(xmp[1]) if xmp and text.startswith("<") else text


def _video_comment(path: Path) -> str:
    # file: keeps a name such as "a:b.mp4" from being read as a protocol
    source = ["-nostdin", "-v", "error", "-i", f"file:{path}", "-f", "ffmetadata", "pipe:1"]
    done = subprocess.run([executable(), *source], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise BadInputError(f"cannot read {path}", why="".join(last))
    return comment_of(done.stdout.decode("utf-8", "replace"))


def portable(value: Any) -> Any:
    """Plain JSON values; of an absolute path only its name is kept."""
    if isinstance(value, Mapping):
        return {str(key): portable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [portable(item) for item in value]
    if isinstance(value, PurePath):
        return value.name if value.is_absolute() else value.as_posix()
    if isinstance(value, str) and PurePath(value).is_absolute() and Path(value).exists():
        return PurePath(value).name
    return value


def library_versions() -> dict[str, str]:
    """Version by name of those LIBRARIES that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
