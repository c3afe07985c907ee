"""Finds, checks and loads the nets of a HelloMeme version: from a folder, or from the hub and its cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import MotionAdapter as AnimateDiff
from diffusers.models.embeddings import SinusoidalPositionalEmbedding
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from laser_cli.controls.knit import reference
from laser_cli.controls.knit.control import ControlV1, ControlV2, ControlV3
from laser_cli.controls.knit.control_base import ControlBase, ProjectedControl, Projector
from laser_cli.controls.knit.drive import Drive
from laser_cli.controls.knit.driven import PoseMaps
from laser_cli.controls.knit.motion import MotionAdapter, MotionV5, SKMotion
from laser_cli.controls.knit.places import recall
from laser_cli.controls.knit.pose import pose_maps
from laser_cli.controls.knit.reference import ReferenceAdapter
from laser_cli.controls.knit.versions import (
    FACE_TOOLS,
    FILE,
    OWNER,
    PREFIX,
    VERSIONS,
    Net,
    Role,
    Version,
    find_version,
    lacking,
)
from laser_cli.errors import BadInputError, NotFoundError

LAYOUTS: dict[str, Callable[[], nn.Module]] = {
    "v1_reference": reference.reference_v1,
    "v2_reference": reference.reference_v2,
    "v3_reference": reference.reference_v3,
    "v5_reference": reference.reference_v5,
    "v5b_reference": reference.reference_v5b,
    "v1_control": lambda: ControlV1(pdfgc=False),
    "v1_control2": lambda: ControlV1(pdfgc=True),
    "v2_control": lambda: ControlV2(pdfgc=False),
    "v2_control2": lambda: ControlV2(pdfgc=True),
    "v3_control": ControlV3,
    "v4_control_base": lambda: ControlBase(stored_positions=True),
    "v5_control_base": lambda: ControlBase(stored_positions=False),
    "v4_control_proj": lambda: Projector(attend=False),
    "v5_control_proj": lambda: Projector(attend=True),
    "v3_motion": lambda: MotionAdapter(SKMotion),
    "v5_motion": lambda: MotionAdapter(MotionV5),
    "animatediff": lambda: AnimateDiff(use_motion_mid_block=False, motion_max_seq_length=32),
}
"""The net of every layout at its published width."""
TEXT_WIDTH = 768
"""Of SD 1.5's text embeddings."""
POSITIONS = ".pe"
"""What the names of position tables end in; they are computed where a file leaves them out."""


@dataclass(frozen=True)
class Nets:
    """A version's nets, loaded: `control` turns a drive into control maps by insertion point.

    `maps` draws the pose maps that they read. `place`: where all heads are, for nets of faces that have one place.
    """

    version: Version
    reference: ReferenceAdapter
    control: Callable[[Drive], Mapping[str, Tensor]]
    motion: MotionAdapter | None = None
    animatediff: nn.Module | None = None
    maps: PoseMaps = pose_maps
    place: tuple[float, float, float] | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The precision that the nets compute in."""
        return next(self.reference.parameters()).dtype

    def controls(self, drive: Drive) -> dict[str, Tensor]:
        """Control maps of a drive by insertion point."""
        return dict(self.control(drive.to(self.dtype)))

    def prepare(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the reference net reads of a picture's maps by insertion point."""
        return self.reference.prepare({point: x.to(self.dtype) for point, x in features.items()})

    @property
    def own(self) -> bool:
        """Whether these are a model's own adapters, and none that were published."""
        return self.version.name not in VERSIONS


def load(
    name: str,
    folder: str | Path | None = None,
    *,
    route: str = "arkit",
    video: bool = False,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Nets:
    """The nets of `hellomeme:v5b` and the like; with their motion modules for `video`.

    They come from `folder`, from the one that the user has named with `laser models add`, or from the hub. `route` says
    how expressions come, `arkit` or `pdfgc`. Raises NotFoundError for a net that is not there or not whole, and for
    motion modules that a version does not have.
    """
    version = find_version(name)
    folder = folder or recall(PREFIX + version.name)
    unused = "control_pdfgc" if route == "arkit" else "control_arkit"
    wanted = [net for net in version.nets if net.role != unused and (video or not net.for_video)]
    if video and not version.clips:
        raise NotFoundError(f"{PREFIX}{version.name} has no motion modules", hint=f"for videos use {PREFIX}v5b")
    loaded: dict[str, Any] = {net.role: load_net(net, find_net(net, folder), dtype, device) for net in wanted}
    control = next((loaded[role] for role in ("control", "control_arkit", "control_pdfgc") if role in loaded), None)
    if control is None:
        control = ProjectedControl(loaded["base"], loaded["projector"])
    return Nets(version, loaded["reference"], control, loaded.get("motion"), loaded.get("animatediff"))


def find_net(net: Net, folder: str | Path | None = None) -> Path:
    """The file of a net: under `folder`, or from the hub, its cache first. Raises NotFoundError."""
    found = local_file(net, folder) if folder else _cached(net)
    if found:
        return found
    if folder:
        raise NotFoundError(
            f"{net.repo} is not in {folder}",
            why=f"neither {net.repo}/{FILE} nor {net.repo}.safetensors",
            hint=f"copy {OWNER}/{net.repo} from the hub there",
        )
    return _downloaded(net)


def local_file(net: Net, folder: str | Path) -> Path | None:
    """The file of a net in a folder: `REPO/diffusion_pytorch_model.safetensors` or `REPO.safetensors`."""
    folder = Path(os.path.expanduser(folder))
    tries = (folder / net.repo / FILE, folder / f"{net.repo}.safetensors")
    return next((file for file in tries if file.is_file()), None)


def _cached(net: Net) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(f"{OWNER}/{net.repo}", FILE)
    return Path(found) if isinstance(found, str) else None


def _downloaded(net: Net) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(f"{OWNER}/{net.repo}", FILE))
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise NotFoundError(
            f"cannot get {OWNER}/{net.repo}",
            why=str(error).splitlines()[0],
            hint=f"check the network, or name a folder that holds {net.repo}/{FILE}",
        ) from error


def check_file(net: Net, file: Path) -> None:
    """Compare the names and shapes in a file with the net's; the weights are not read. Raises NotFoundError."""
    try:
        with safe_open(file, "pt") as opened:
            given = {key: list(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise NotFoundError(f"{file} cannot be read", why=str(error), hint="copy or download it again") from error
    wanted = shapes(net.layout)
    missing = [key for key in wanted if key not in given and not key.endswith(POSITIONS)]
    surplus = [key for key in given if key not in wanted]
    other = [key for key in wanted if key in given and given[key] != wanted[key]]
    problems = [
        *([f"{len(missing)} of {len(wanted)} tensors are missing, {missing[0]} first"] if missing else []),
        *([f"{len(surplus)} tensors do not belong there, {surplus[0]} first"] if surplus else []),
        *([f"{other[0]} is {given[other[0]]}, not {wanted[other[0]]}"] if other else []),
    ]
    if problems:
        fits = [name for name in LAYOUTS if name != net.layout and _fits(given, shapes(name))]
        hint = f"it holds the net {fits[0]}" if fits else f"copy {OWNER}/{net.repo} from the hub again"
        raise NotFoundError(f"{file} is not {net.repo}", why="\n".join(problems), hint=hint)


def shapes(layout: str) -> dict[str, list[int]]:
    """The name and shape of every tensor of a net; no memory is taken for them."""
    with torch.device("meta"):
        return {key: list(tensor.shape) for key, tensor in LAYOUTS[layout]().state_dict().items()}


def _fits(given: Mapping[str, list[int]], wanted: Mapping[str, list[int]]) -> bool:
    return all(given.get(key) == shape for key, shape in wanted.items() if not key.endswith(POSITIONS)) and (
        given.keys() <= wanted.keys()
    )


def load_net(net: Net, file: Path, dtype: torch.dtype, device: str | torch.device) -> Any:
    """The net with a file's weights, after `check_file`; memory for one copy of them."""
    check_file(net, file)
    with torch.device("meta"):
        module = LAYOUTS[net.layout]()
    with safe_open(file, "pt") as opened:
        weights = {key: opened.get_tensor(key).to(device, dtype) for key in opened.keys()}  # noqa: SIM118
    module.load_state_dict(weights, strict=False, assign=True)
    for part in module.modules():
        if isinstance(part, SinusoidalPositionalEmbedding) and part.pe.is_meta:
            part.pe = SinusoidalPositionalEmbedding(part.pe.shape[2], part.pe.shape[1]).pe.to(device, dtype)
    return module.eval().requires_grad_(False)


@dataclass(frozen=True)
class Status:
    """What of a version is on this machine: `files` by role, `absent` nets, and what is wrong with files for video."""

    version: Version
    files: Mapping[Role, Path]
    absent: tuple[Net, ...]
    unfit: tuple[str, ...] = ()

    @property
    def draws(self) -> bool:
        """Whether single frames can be drawn."""
        return not lacking(self.version, self.files)

    @property
    def draws_clips(self) -> bool:
        """Whether clips can be drawn, by its motion modules."""
        return self.version.clips and not any(net.for_video for net in self.absent)

    @property
    def why_no_clips(self) -> str:
        """What is missing for clips."""
        missing = [f"{net.repo} is missing" for net in self.absent if net.for_video]
        return "\n".join(self.unfit or missing) if self.version.clips else "this version has no motion modules"

    @property
    def notes(self) -> list[str]:
        """What is missing, and what works without it."""
        said = [*self.unfit, *(f"missing: {net.repo}, for {net.role}" for net in self.absent)]
        if not self.version.clips:
            said.append("it has no motion modules: frames are drawn one by one")
        elif not self.draws_clips:
            said.append("without its motion modules frames are drawn one by one")
        return said + [f"not needed: {tool.name}, for {tool.gives}; {tool.instead}" for tool in FACE_TOOLS]


def status(name: str, folder: str | Path | None = None, *, download: bool = False, video: bool = False) -> Status:
    """Find and check every net of a version, as `load` looks for them.

    `download` fetches those that frames need, with `video` those of clips as well.

    Raises NotFoundError for a file that is there and not whole, if single frames need it.
    """
    version, files, absent, unfit = find_version(name), {}, [], []
    folder = folder or recall(PREFIX + version.name)
    for net in version.nets:
        file = local_file(net, folder) if folder else _cached(net)
        if file is None and download and not folder and (video or not net.for_video):
            file = _downloaded(net)
        try:
            if file is not None:
                check_file(net, file)
                files[net.role] = file
        except NotFoundError as error:
            if not net.for_video:
                raise
            unfit.append(f"{error.what}: {error.why}")
        if net.role not in files:
            absent.append(net)
    return Status(version, files, tuple(absent), tuple(unfit))


def point_channels(blocks: Sequence[int]) -> dict[str, int]:
    """Channels at the insertion points of a U-Net with these `block_out_channels`."""
    ups = [blocks[-1], *reversed(blocks[1:])]
    downs = {f"down_{i}": c for i, c in enumerate(blocks)}
    return {**downs, "mid": blocks[-1], **{f"up_{i}": c for i, c in enumerate(ups)}}


def check_base(nets: Nets, unet: Any, height: int, width: int) -> None:
    """Raise BadInputError if a U-Net cannot take the nets, or not at this picture size."""
    name, channels = nets.version.title, list(unet.config.block_out_channels)
    given = point_channels(channels)
    # SD 2.x is as wide as SD 1.5, and reads text of another width
    made = "another U-Net" if nets.own else "SD 1.5"
    other = channels == list(reference.DOWN_CHANNELS) and unet.config.cross_attention_dim != TEXT_WIDTH
    if other or any(given.get(point) != wanted for point, wanted in nets.reference.channels.items()):
        raise BadInputError(
            f"{name} does not fit this model",
            why=f"it is made for {made}, and this U-Net has the channels {channels}"
            f" and reads text of width {unet.config.cross_attention_dim}",
            hint=f"use a model of {'its own U-Net' if nets.own else 'the SD 1.5 family'} with --model",
        )
    if nets.version.max_side and max(height, width) > nets.version.max_side:
        raise BadInputError(
            f"{name} draws at most {nets.version.max_side} pixels a side, not {width}x{height}",
            hint=f"ask for a smaller picture, or use {PREFIX}v5b",
        )
