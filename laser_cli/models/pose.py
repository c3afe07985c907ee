"""OpenPose keypoints: read, interpolated, and drawn as the skeletons that ControlNets for poses were trained on."""

from __future__ import annotations

import colorsys
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from laser_cli.errors import BadInputError

BODY, LEFT, RIGHT, FACE = "pose_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "face_keypoints_2d"
POINTS = {BODY: 18, LEFT: 21, RIGHT: 21, FACE: 70}
"""Parts of a person and their numbers of keypoints."""
OF_BODY_25 = (*range(8), *range(9, 19))
"""Where the 18 points of COCO's body lie among OpenPose's 25."""
JOINTS = (
    *("nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist"),
    *("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"),
    *("right eye", "left eye", "right ear", "left ear"),
)
LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
"""Joints that a limb connects, in the order of their colours."""
FINGERS = tuple((0 if k % 4 == 1 else k - 1, k) for k in range(1, 21))
COLOURS = tuple(tuple(round(255 * c) for c in colorsys.hsv_to_rgb(k / 18, 1, 1)) for k in range(18))
"""Of limbs and joints: around the circle of hues, red first."""
LIMB_LIGHT = 0.6


@dataclass(frozen=True)
class Pose:
    """People as keypoints by part, each [n, 3]: x, y and confidence; a confidence of 0 is a point not seen.

    x and y are in px of ``canvas`` (w, h); None: of whatever is drawn.
    """

    people: tuple[Mapping[str, np.ndarray], ...]
    canvas: tuple[float, float] | None = None

    def at(self, size: tuple[int, int]) -> Pose:
        """The same on another canvas (w, h) px."""
        if self.canvas is None:
            return Pose(self.people, size)
        scale = np.array([size[0] / self.canvas[0], size[1] / self.canvas[1], 1.0])
        return Pose(tuple({part: points * scale for part, points in who.items()} for who in self.people), size)


def read_pose(path: Path) -> Pose:
    """A pose from OpenPose's JSON, also with ``canvas_width`` and ``canvas_height``; BadInputError if it is none."""
    hint = "OpenPose's JSON: people with pose_keypoints_2d, and hands and a face if they were seen"
    try:
        told = json.loads(path.read_text("utf-8"))
        told = told[0] if isinstance(told, list) and told else told
        people = tuple(_person(who) for who in told["people"])
        canvas = (float(told["canvas_width"]), float(told["canvas_height"])) if "canvas_width" in told else None
    except OSError as error:
        raise BadInputError(f"cannot read the pose {path}", why=error.strerror or str(error), hint=hint) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        why = f"it has no {error.args[0]}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise BadInputError(f"{path} is not a pose", why=why, hint=hint) from error
    if not people or (canvas is not None and min(canvas) <= 0):
        raise BadInputError(f"{path} is not a pose", why="it shows nobody" if not people else "its canvas is empty")
    if canvas is None and all(points[:, :2].max(initial=0) <= 1 for who in people for points in who.values()):
        canvas = (1.0, 1.0)
    return Pose(people, canvas)


def _person(told: Mapping[str, Any]) -> dict[str, np.ndarray]:
    found = {}
    for part, count in POINTS.items():
        numbers = np.array(told[BODY] if part == BODY else told.get(part) or [], dtype=float)
        points = numbers.reshape(-1, 3)
        if part == BODY and len(points) == 25:
            points = points[list(OF_BODY_25)]
        if part == FACE and len(points) == 68:
            points = np.concatenate([points, np.zeros((2, 3))])
        if len(points) not in (0, count):
            raise ValueError(f"{part} has {len(points)} points, {count} are known")
        if not np.isfinite(points).all():
            raise ValueError(f"{part} has numbers that are none")
        found[part] = points if len(points) else np.zeros((count, 3))
    return found


def between(a: Pose, b: Pose, t: float) -> Pose:
    """The pose at t in 0..1 on the way from a to b, on one canvas.

    Points seen once only are held, and go with the rest of the body; so do people, who stay where they are.
    """
    people = []
    for one, other in zip_longest(a.people, b.people):
        one, other = one or other, other or one
        both = (one[BODY][:, 2] > 0) & (other[BODY][:, 2] > 0)
        moved = (other[BODY] - one[BODY])[both].mean(axis=0) if both.any() else np.zeros(3)
        moved[2] = 0
        people.append({part: _points(one[part], other[part], t, moved) for part in POINTS})
    return Pose(tuple(people), a.canvas)


def _points(a: np.ndarray, b: np.ndarray, t: float, moved: np.ndarray) -> np.ndarray:
    seen_a, seen_b = a[:, 2:] > 0, b[:, 2:] > 0
    once = np.where(seen_a, a + t * moved, b - (1 - t) * moved)
    return np.where(seen_a & seen_b, (1 - t) * a + t * b, np.where(seen_a | seen_b, once, 0.0))


def held(a: Pose, b: Pose) -> Iterator[str]:
    """What of two poses is seen in one of them only, so that it is held still between them."""
    if len(a.people) != len(b.people):
        yield f"{abs(len(a.people) - len(b.people))} of the people"
    for who, (one, other) in enumerate(zip(a.people, b.people, strict=False)):
        once = (one[BODY][:, 2] > 0) != (other[BODY][:, 2] > 0)
        of = f" of person {who + 1}" if len(a.people) > 1 else ""
        yield from (f"the {JOINTS[k]}{of}" for k in np.flatnonzero(once))
        for part, name in ((LEFT, "left hand"), (RIGHT, "right hand"), (FACE, "face")):
            if bool((one[part][:, 2] > 0).any()) != bool((other[part][:, 2] > 0).any()):
                yield f"the {name}{of}"


def draw_pose(pose: Pose, size: tuple[int, int]) -> np.ndarray:
    """The skeleton on black, (h, w, 3) uint8: limbs, joints, hands and faces as ControlNet's annotator draws them."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    unit = max(1.0, min(size) / 512 * 4)  # 4 px on 512
    for who in pose.at(size).people:
        body = who[BODY]
        for (a, b), colour in zip(LIMBS, COLOURS, strict=False):
            if body[a, 2] > 0 and body[b, 2] > 0:
                _limb(draw, body[a, :2], body[b, :2], unit, tuple(int(LIMB_LIGHT * c) for c in colour))
        for point, colour in zip(body, COLOURS, strict=True):
            _dot(draw, point, unit, colour)
        for part in (LEFT, RIGHT):
            for k, (a, b) in enumerate(FINGERS):
                one, other = who[part][a], who[part][b]
                if one[2] > 0 and other[2] > 0:
                    hue = tuple(round(255 * c) for c in colorsys.hsv_to_rgb(k / len(FINGERS), 1, 1))
                    draw.line([*one[:2], *other[:2]], fill=hue, width=max(1, round(unit / 2)))
            for point in who[part]:
                _dot(draw, point, unit, (0, 0, 255))
        for point in who[FACE]:
            _dot(draw, point, unit * 0.75, (255, 255, 255))
    return np.asarray(image)


def _limb(draw: Any, a: np.ndarray, b: np.ndarray, half: float, colour: tuple[int, ...]) -> None:
    """An ellipse from a to b, as thick as twice ``half``."""
    middle, along = (a + b) / 2, (b - a) / 2
    length = float(np.hypot(*along)) or 1.0
    across = np.array([-along[1], along[0]]) / length * half
    turns = [2 * math.pi * k / 32 for k in range(32)]
    draw.polygon([tuple(middle + math.cos(r) * along + math.sin(r) * across) for r in turns], fill=colour)


def _dot(draw: Any, point: np.ndarray, radius: float, colour: tuple[int, ...]) -> None:
    x, y, seen = point
    if seen > 0:
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
