"""The published versions of HelloMeme: which nets each has, where they lie, and what each can do. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from laser_cli.errors import NotFoundError

PREFIX = "hellomeme:"
OWNER = "songkey"
"""The hub user whose repositories hold the nets, each with one file of this name."""
FILE = "diffusion_pytorch_model.safetensors"

Role = Literal["reference", "control", "control_arkit", "control_pdfgc", "base", "projector", "animatediff", "motion"]

VIDEO: tuple[Role, ...] = ("animatediff", "motion")
"""The nets without which single frames are drawn all the same."""


@dataclass(frozen=True)
class Net:
    """One file: its `role` in a version, the name of its `repo`, and of the `layout` that builds it."""

    role: Role
    repo: str
    layout: str

    @property
    def for_video(self) -> bool:
        """Whether single frames are drawn without it."""
        return self.role in VIDEO


@dataclass(frozen=True)
class Version:
    """A set of nets that work together on SD 1.5.

    `max_side`: the largest picture in pixels that its position tables reach, None for any. `reference_control`: the
    reference pass runs under the portrait's own control (v5c). `zero_pdfgc`: an unconditional PD-FGC vector is zero,
    else it is the encoder's of an all -1 image.
    """

    name: str
    nets: tuple[Net, ...]
    sampler: Literal["euler", "dpmsolver++ sde"]
    max_side: int | None
    reference_control: bool = False
    zero_pdfgc: bool = True

    @property
    def title(self) -> str:
        """What users call it: `hellomeme:v5b`; adapters that are not published have their own name."""
        return f"{PREFIX}{self.name}" if self.name in VERSIONS else self.name

    @property
    def clips(self) -> bool:
        """Whether its frames can read each other over time: v1 and v2 have AnimateDiff alone, v5c nothing."""
        return any(net.role == "motion" for net in self.nets)

    @property
    def split_routes(self) -> bool:
        """Whether coefficients and PD-FGC vectors have a control net each, one of which is enough."""
        return any(net.role == "control_arkit" for net in self.nets)


def _v5(reference: str, projector: str, *motion: Net) -> tuple[Net, ...]:
    base = Net("base", "hm5_control_base", "v5_control_base")
    layout = "v5_reference" if reference == "hm5_reference" else "v5b_reference"
    return (
        Net("reference", reference, layout),
        base,
        Net("projector", projector, "v5_control_proj"),
        *motion,
    )


_V5_MOTION = Net("motion", "hm5_motion", "v5_motion")

VERSIONS = {
    version.name: version
    for version in (
        Version(
            "v1",
            (
                Net("reference", "hm_reference", "v1_reference"),
                Net("control_arkit", "hm_control", "v1_control"),
                Net("control_pdfgc", "hm_control2", "v1_control2"),
                Net("animatediff", "hm_animatediff_frame12", "animatediff"),
            ),
            "euler",
            max_side=512,
            zero_pdfgc=False,
        ),
        Version(
            "v2",
            (
                Net("reference", "hm2_reference", "v2_reference"),
                Net("control_arkit", "hm2_control", "v2_control"),
                Net("control_pdfgc", "hm2_control2", "v2_control2"),
                Net("animatediff", "hm2_animatediff_frame12", "animatediff"),
            ),
            "euler",
            max_side=512,
            zero_pdfgc=False,
        ),
        Version(
            "v3",
            (
                Net("reference", "hm3_reference", "v3_reference"),
                Net("control", "hm3_control_mix", "v3_control"),
                Net("animatediff", "hm3_animatediff", "animatediff"),
                Net("motion", "hm3_motion", "v3_motion"),
            ),
            "dpmsolver++ sde",
            max_side=512,
        ),
        Version(
            "v4",
            (
                Net("reference", "hm4_reference", "v3_reference"),
                Net("base", "hm_control_base", "v4_control_base"),
                Net("projector", "hm4_control_proj", "v4_control_proj"),
                Net("animatediff", "hm4_animatediff", "animatediff"),
                Net("motion", "hm4_motion", "v3_motion"),
            ),
            "dpmsolver++ sde",
            max_side=512,
        ),
        Version("v5", _v5("hm5_reference", "hm5_control_proj", _V5_MOTION), "dpmsolver++ sde", max_side=None),
        Version("v5b", _v5("hm5b_reference", "hm5_control_proj", _V5_MOTION), "dpmsolver++ sde", max_side=None),
        Version(
            "v5c",
            _v5("hm5c_reference", "hm5c_control_proj"),
            "dpmsolver++ sde",
            max_side=None,
            reference_control=True,
        ),
    )
}


@dataclass(frozen=True)
class FaceTool:
    """A net that the published pipeline measures faces with, and what laser does in its place."""

    name: str
    repo: str
    gives: str
    instead: str


FACE_TOOLS = (
    FaceTool(
        "the face models (hello_face_det, hello_face_landmark, hello_arkit_blendshape, hello_3dmm)",
        "hello_group_facemodel",
        "head pose and coefficients of a driving picture",
        "a face track gives them: laser track reads videos, captures and plans",
    ),
    FaceTool(
        "the image encoder of IP-Adapter",
        "IP-Adapter",
        "embeddings of the eyes and the mouth beside the coefficients",
        "zeros, as in the unconditional half: coefficients alone drive the expression",
    ),
    FaceTool(
        "the PD-FGC encoder",
        "pd_fgc_motion",
        "the vectors of the PD-FGC route",
        "the coefficient route is used, and every version has it",
    ),
)


def is_hellomeme(name: str) -> bool:
    """Whether a model's name is one of these, such as `hellomeme:v5b`."""
    return name.startswith(PREFIX)


def find_version(name: str) -> Version:
    """The version that `hellomeme:v5b` or `v5b` names. Raises NotFoundError for any other."""
    wanted = name.removeprefix(PREFIX)
    if wanted not in VERSIONS:
        near = get_close_matches(wanted, VERSIONS, n=1)
        known = ", ".join(PREFIX + known for known in VERSIONS)
        raise NotFoundError(
            f"there is no {PREFIX}{wanted}", hint=f"did you mean {PREFIX}{near[0]}?" if near else f"there are {known}"
        )
    return VERSIONS[wanted]


def enough(version: Version, roles: Iterable[Role]) -> bool:
    """Whether single frames can be drawn with the nets of these roles."""
    return not lacking(version, roles)


def lacking(version: Version, roles: Iterable[Role]) -> list[Net]:
    """The nets that are not there and that single frames need; of two control nets with a route each, one is enough."""
    here = set(roles)
    if version.split_routes and here & {"control_arkit", "control_pdfgc"}:
        here |= {"control_arkit", "control_pdfgc"}
    return [net for net in version.nets if net.role not in here and not net.for_video]
