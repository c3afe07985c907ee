"""The record of a run, which travels inside its outputs so that each can be made again."""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from html import escape, unescape
from pathlib import Path, PurePath
from typing import Any

from laser_cli import limits
from laser_cli.errors import BadInputError, LaserError, parsing
from laser_cli.output.ffmpeg import executable
from laser_cli.terminal import printable

VERSION = 1
PNG_KEY = "laser"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:laser="urn:laser:record:1"><laser:record>{}</laser:record>'
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
PAGE = '<script type="application/json" id="laser-record">{}</script>'
LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "pillow", "imageio-ffmpeg", "llama-cpp-python")

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
SECONDS_TO_READ = 60

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
    """One line of JSON, keys in the record's order: the same record gives the same text.

    Bytes of file names that are no text stay as JSON's escapes, so that the line is UTF-8 and names the same file.
    """
    line = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def read_record(path: Path) -> Record:
    """The record inside a video, animation, picture or report that laser wrote; told by content, not by name.

    BadInputError for files without one, damaged ones, and those of another version.
    """
    record = _parse(_text_in(path), path)
    version = record.get("version")
    if version != VERSION:
        why = f"its record has version {printable(str(version)[:40])}, this program reads {VERSION}"
        raise BadInputError(f"cannot use the record in {path}", why=why, hint="update laser-cli")
    return record


def has_record(path: Path) -> bool:
    """Whether laser wrote a file: it carries a record of any version, or is an inversion or a saved render."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        if b'"laser-inversion-' in head or b'"laser-render-' in head:
            return True
        return bool(_parse(_text_in(path), path))
    except (OSError, LaserError):
        return False


def _text_in(path: Path) -> str:
    """The text that stands where laser puts its record, read no further than a record can be long."""
    with parsing(f"cannot read {path}"):
        with path.open("rb") as file:
            head = file.read(16)
        if head.startswith(b"GIF8"):
            return _gif_comment(path)
        if head.startswith(b"\x89PNG") or (head[:4], head[8:12]) == (b"RIFF", b"WEBP"):
            return _picture_text(path)
        if head[4:8] == b"ftyp" or head.startswith(b"\x1aE\xdf\xa3"):
            return _video_comment(path)
        if head.lower().startswith(b"<!doctype html>"):
            with path.open("rb") as file:
                return from_page(file.read(limits.PAGE_BYTES).decode("utf-8", "replace"))
    why = "only mp4, mov, mkv, webm, gif, webp, apng, png and laser's reports carry a record that it can read"
    raise BadInputError(f"there is no record in {path}", why=why)


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
    opening, closing = PAGE.split("{}")
    _, found, rest = page.partition(opening)
    text, ended, _ = rest.partition(closing)
    return text if found and ended else ""


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
    # a backslash escapes any character, a line break too; a bare line break ends a field
    for field in re.findall(r"(?:[^\\\n]|\\.)+", metadata, re.DOTALL):
        if field.startswith("["):  # a stream or a chapter: no longer the file's own
            break
        if field[:8].lower() == "comment=":
            return re.sub(r"\\(.)", r"\1", field[8:], flags=re.DOTALL)
    return ""


def _parse(text: str, path: Path) -> Record:
    try:
        record = json.loads(text, parse_constant=_refuse) if len(text) <= limits.RECORD_BYTES else None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("program") != "laser":
        why = "it was not written by laser, or another program removed its metadata"
        raise BadInputError(f"{path} carries no record of a laser run", why=why)
    return record


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _picture_text(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as picture:
        text = picture.info.get({"PNG": PNG_KEY, "WEBP": "xmp"}.get(picture.format or "", "comment"), "")
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if text.startswith("<"):
        _, found, rest = text.partition("<laser:record>")
        return unescape(rest.partition("</laser:record>")[0]) if found else ""
    return text


def _gif_comment(path: Path) -> str:
    """The comment that stands where laser puts it, right behind a gif's colour table."""
    with path.open("rb") as file:
        header = file.read(13)
        file.seek(3 * 2 ** ((header[10] & 7) + 1) if header[10] & 0x80 else 0, 1)
        blocks: list[bytes] = []
        if file.read(2) == b"\x21\xfe":
            while len(blocks) * 255 < limits.RECORD_BYTES and (length := file.read(1)) not in (b"", b"\0"):
                blocks.append(file.read(length[0]))
        return b"".join(blocks).decode("utf-8", "replace")


def _video_comment(path: Path) -> str:
    # file: keeps a name such as "a:b.mp4" from being read as a protocol; the file can name no other place
    source = ["-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist", "mov,matroska"]
    source += ["-i", f"file:{path}"]
    with tempfile.TemporaryFile() as made, tempfile.TemporaryFile() as messages:
        command = [executable(), *source, "-f", "ffmetadata", "pipe:1"]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=made, stderr=messages, check=False, timeout=SECONDS_TO_READ
            )
        except subprocess.TimeoutExpired as error:
            raise BadInputError(f"cannot read {path}", why=f"ffmpeg took over {SECONDS_TO_READ} s") from error
        if done.returncode != 0:
            messages.seek(0)
            last = messages.read(65_536).decode("utf-8", "replace").strip().splitlines()[-1:]
            raise BadInputError(f"cannot read {path}", why="".join(last))
        made.seek(0)
        return comment_of(made.read(2 * limits.RECORD_BYTES).decode("utf-8", "replace"))


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
