"""The prompt that a picture carries: laser's own record, or what A1111 and ComfyUI leave in PNG text and EXIF."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli import limits
from laser_cli.output.pictures import opened
from laser_cli.output.record import PNG_KEY, read_record

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST = 10_000  # characters: no longer than a plan's prompts
TEXT_KEYS = (
    "text",
    "text_g",
    "text_l",
    "t5xxl",
    "clip_l",
    "prompt",
    "string",
    "value",
    "wildcard_text",
    "populated_text",
)
LINK_KEYS = ("positive", "guider", "conditioning", "conditioning_1", "base_positive", *TEXT_KEYS)
EXTRA_NETWORK = re.compile(r"<\w+:[^<>]*>")  # A1111's <lora:name:0.8>: no words of the prompt

Graph = Mapping[str, Any]


def picture_prompt(path: Path) -> str | None:
    """The prompt that a picture was made with, in one line; None if it carries none that laser can read."""
    with opened(path) as picture:
        ours = PNG_KEY in picture.info
        texts = [] if ours else list(_texts(picture))
    if ours:
        prompt = read_record(path).get("prompt")
        return str(prompt) if prompt else None
    for text in texts:
        prompt = comfy_prompt(text) if text.lstrip()[:1] == "{" else a1111_prompt(text)
        if prompt:
            return prompt
    return None


def a1111_prompt(text: str) -> str | None:
    """The prompt of A1111's `parameters`: the lines before "Negative prompt:" and "Steps:"."""
    lines: list[str] = []
    for line in text[: 2 * LONGEST].strip().splitlines():
        if line.startswith(("Negative prompt:", "Steps:")):
            break
        lines.append(line)
    return _one_line(EXTRA_NETWORK.sub(" ", " ".join(lines)))


def comfy_prompt(text: str) -> str | None:
    """The positive prompt of ComfyUI's graph (API format): the text that a sampler's conditioning leads back to."""
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(graph, dict):
        return None
    nodes = {str(key): node for key, node in graph.items() if isinstance(node, dict)}
    kinds = {key: str(node.get("class_type", "")) for key, node in nodes.items()}
    starts = [key for key, kind in kinds.items() if "Sampler" in kind]
    starts += [key for key, kind in kinds.items() if "TextEncode" in kind]
    for start in starts:
        if prompt := _one_line(_upstream(nodes, start)):
            return prompt
    return None


def _upstream(nodes: Graph, start: str) -> str:
    """The first text on the way from a node back along its links."""
    waiting, seen = [start], set()
    while waiting:
        key = waiting.pop(0)
        inputs = nodes.get(key, {}).get("inputs")
        if key in seen or not isinstance(inputs, dict):
            continue
        seen.add(key)
        for name in LINK_KEYS:
            value = inputs.get(name)
            if isinstance(value, str) and name in TEXT_KEYS and value.strip():
                return value
            if isinstance(value, list) and value:
                waiting.append(str(value[0]))
    return ""


def _texts(picture: Image) -> Iterator[str]:
    """What programs write their parameters into: PNG text, EXIF's comment, description, make and model, comments."""
    for key in ("parameters", "prompt", "comment"):
        value = picture.info.get(key)
        if isinstance(value, str | bytes) and 0 < len(value) <= limits.PICTURE_TEXT:
            yield value if isinstance(value, str) else value.decode("utf-8", "replace")
    if len(picture.info.get("exif") or b"") > limits.PICTURE_TEXT:
        return
    from PIL.ExifTags import IFD, Base

    exif = picture.getexif()
    comment = exif.get_ifd(IFD.Exif).get(Base.UserComment)
    if isinstance(comment, bytes) and comment:
        yield _user_comment(comment)
    for tag in (Base.ImageDescription, Base.Make, Base.Model):
        value = exif.get(tag)
        # ComfyUI writes "prompt:{...}" into the make or model of the camera
        if isinstance(value, str) and (found := re.match(r"(?:prompt|parameters)\s*:\s*(?=\S)", value, re.IGNORECASE)):
            yield value[found.end() :]


def _user_comment(data: bytes) -> str:
    """EXIF's UserComment: eight bytes name its encoding; of UTF-16 the order of the bytes is guessed by the zeros."""
    code, text = data[:8], data[8:]
    if code == b"UNICODE\0":
        little = text[1::2].count(0) > text[::2].count(0)
        return text.decode("utf-16-le" if little else "utf-16-be", "replace")
    return (text if code in (b"ASCII\0\0\0", bytes(8)) else data).decode("utf-8", "replace").strip("\0")


def _one_line(text: str) -> str | None:
    return " ".join(text[: 2 * LONGEST].replace("\0", " ").split())[:LONGEST] or None
