"""ControlNets and IP-Adapters as a command line, a plan or a record names them, for the keyframes of a job."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.errors import BadInputError, NotFoundError, UsageError
from laser_cli.jobs.conditions import EDGES, Adapter, Controlled, Shown
from laser_cli.jobs.inputs import Input, find_beside, name_in_record
from laser_cli.jobs.rerun import Recorded
from laser_cli.jobs.sources import ConditionSources
from laser_cli.models.find import STORYBOOK
from laser_cli.models.options import files_key

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.models.adapter import See
    from laser_cli.models.model import Model
    from laser_cli.models.pose import Pose
    from laser_cli.stages.conditions import Lead

NONE = "none"
"""In place of a file: no condition, or no image prompt, at that keyframe."""


@dataclass(frozen=True)
class Nets:
    """The ControlNets that are asked for and the conditions named with them, read and checked; for any keyframes."""

    nets: tuple[Controlled, ...] = ()
    conditions: tuple[Shown, ...] = ()

    def over(self, keyframes: int, what: str, planned: Sequence[Sequence[Shown]] = ()) -> tuple[Controlled, ...]:
        """Each net with a condition for each keyframe; UsageError if there are too few or too many.

        ``what`` is what messages call keyframes. ``planned``: those of a plan, by keyframe, where none are named.
        """
        if not self.nets:
            if any(any(each) for each in planned):
                why = "its keyframes have conditions, which are for a ControlNet"
                raise UsageError("the plan needs a ControlNet", why=why, hint="--controlnet MODEL, for each of them")
            return ()
        count, each = len(self.nets), keyframes * len(self.nets)
        if not self.conditions and planned:
            rows = [tuple(net) for net in zip(*_padded(planned, count), strict=True)]
        elif len(self.conditions) == count:
            rows = [(condition,) * keyframes for condition in self.conditions]
        elif len(self.conditions) == each:
            rows = [self.conditions[i * keyframes : (i + 1) * keyframes] for i in range(count)]
        else:
            why = f"{count} ControlNets and {keyframes} {what}s take {count} conditions, or {each}, net by net"
            raise UsageError(f"--condition is given {len(self.conditions)} times", why=why)
        for row in rows:
            if not any(row):
                raise UsageError("a ControlNet has no condition at all", hint="leave it out, or give it a --condition")
        return tuple(net.model_copy(update={"conditions": row}) for net, row in zip(self.nets, rows, strict=True))


def read_nets(sources: ConditionSources) -> Nets:
    """The ControlNets and conditions of a command line; each file is looked at."""
    from laser_cli.models.load_control_net import parse_control_net

    if sources.condition and not sources.controlnet:
        raise UsageError("--condition would do nothing here", why="it is for --controlnet")
    choices = [parse_control_net(text) for text in sources.controlnet]
    conditions = tuple(condition_named(path) for path in sources.condition)
    nets = [
        Controlled(net=_net(choice.name), weight=choice.weight, start=choice.start, end=choice.end, conditions=())
        for choice in choices
    ]
    return Nets(tuple(nets), conditions)


def condition_named(path: Path, beside: Path | None = None) -> Shown:
    """A condition by the name it is given: a file, from here or ``beside`` another, or the words none and edges."""
    if str(path) == NONE:
        return None
    if str(path) == EDGES and not path.exists():
        return "edges"
    found = find_beside(str(path), beside) if beside and not path.is_absolute() else None
    condition = Input.of(found or path, name_in_record(path))
    read_condition(condition)
    return condition


def recorded_nets(before: Recorded[Any]) -> tuple[Controlled, ...]:
    """The ControlNets of a record where they lie now, checked by their digests."""
    hint = "name it and its conditions: --controlnet MODEL --condition FILE"
    made = []
    for control in before.job.controls:
        net = _net(control.net.name, hint)
        if net.sha256 != control.net.sha256:
            what = f"{net.name} is not the ControlNet that {before.file} was made with"
            raise BadInputError(what, why="its digest is another", hint=hint)
        conditions = tuple(
            before.picture(each, again="--condition FILE") if isinstance(each, Input) else each
            for each in control.conditions
        )
        made.append(control.model_copy(update={"net": net, "conditions": conditions}))
    return tuple(made)


def read_adapter(
    sources: ConditionSources,
    before: Recorded[Any] | None,
    own: Sequence[Input | None],
    anew: bool,
    what: str,
    model: str,
) -> Adapter | None:
    """The adapter that is asked for, or that of the record that is run again, and its image prompts.

    ``own``: what each keyframe is shown where no image prompt is named. ``anew``: the keyframes are not those of the
    record. ``what`` is what messages call keyframes.
    """
    recorded = before.job.adapter if before else None
    if sources.ip_adapter is None and recorded is None:
        for option, value in (
            ("--ip-scale", sources.ip_scale),
            ("--image-prompt", sources.image_prompt or None),
            ("--image-mask", sources.image_mask or None),
        ):
            if value is not None:
                raise UsageError(f"{option} would do nothing here", why="it is for --ip-adapter")
        return None
    if model == STORYBOOK:
        why, hint = "IP-Adapters are trained for the checkpoints of others", "--model FOLDER, of Stable Diffusion 1.5"
        raise UsageError("the storybook model has no IP-Adapter", why=why, hint=hint)
    file = _adapter_file(sources.ip_adapter, before)
    kept = recorded if recorded and not anew else None
    images = _images(sources.image_prompt, kept and kept.images, own, before, what)
    masks = _masks(sources.image_mask, kept and kept.masks, len(own), before, what)
    if not any(images):
        why = f"no {what} is a picture, and no --image-prompt was given"
        raise UsageError("--ip-adapter has no picture to draw by", why=why, hint="--image-prompt PICTURE")
    for picture in (*images, *masks):
        if picture:
            picture.picture()
    scale = sources.ip_scale if sources.ip_scale is not None else recorded.scale if recorded else 0.6
    return Adapter(file=file, scale=scale, images=images, masks=masks)


def with_conditions(model: Model, adapter: Adapter | None, controls: Sequence[Controlled]) -> tuple[Model, See | None]:
    """The model with an adapter and ControlNets, loaded, and what turns pictures into the adapter's tokens."""
    from laser_cli.models.adapter import load_adapter
    from laser_cli.models.control_net import with_control_nets
    from laser_cli.models.load_control_net import load_control_net

    see = None
    if adapter:
        model, see = load_adapter(model, adapter.file.path, adapter.scale)
    if controls:
        nets = [load_control_net(model, c.net.path, c.weight, c.start, c.end) for c in controls]
        model = with_control_nets(model, nets)
    return model, see


def leads_of(
    adapter: Adapter | None, controls: Sequence[Controlled], keyframes: int, own: Mapping[int, np.ndarray]
) -> list[Lead]:
    """What leads each keyframe, read from its files, each file once; ``own``: the pictures that keyframes are."""
    from laser_cli.stages.conditions import Lead

    read: dict[Path, np.ndarray | Pose] = {}
    drawn: dict[int, np.ndarray] = {}

    def once(file: Input | None) -> Any:
        if file is None:
            return None
        if file.path not in read:
            read[file.path] = read_condition(file)
        return read[file.path]

    def condition(k: int, shown: Shown) -> Any:
        if isinstance(shown, Input):
            return once(shown)
        return _edges(own, k, drawn) if shown == EDGES else None

    images = adapter.images if adapter else (None,) * keyframes
    masks = (adapter.masks if adapter else ()) or (None,) * keyframes
    return [
        Lead(
            tuple(condition(k, control.conditions[k]) for control in controls),
            once(images[k]),
            once(masks[k]),
        )
        for k in range(keyframes)
    ]


def read_condition(file: Input) -> np.ndarray | Pose:
    """A condition's picture (h, w, 3) uint8, or the pose in a .json; BadInputError if it cannot be read."""
    from laser_cli.models.pose import read_pose

    return read_pose(file.path) if file.path.suffix.lower() == ".json" else file.picture()


def require_edges(controls: Sequence[Controlled], own: Sequence[Input | None], what: str) -> None:
    """UsageError if the edges of a keyframe are wanted that is no picture."""
    for control in controls:
        for k, shown in enumerate(control.conditions):
            if shown == EDGES and own[k] is None:
                why = f"{what} {k + 1} is no picture, whose edges could be found"
                raise UsageError("--condition edges has no picture", why=why, hint="--condition FILE")


def _edges(own: Mapping[int, np.ndarray], k: int, drawn: dict[int, np.ndarray]) -> np.ndarray:
    from laser_cli.models.edges import canny

    picture = own[k]
    if id(picture) not in drawn:
        drawn[id(picture)] = canny(picture)
    return drawn[id(picture)]


def _padded(planned: Sequence[Sequence[Shown]], count: int) -> list[tuple[Shown, ...]]:
    """A plan's conditions by keyframe, one for each net; UsageError if a keyframe has more than there are nets."""
    most = max(len(each) for each in planned)
    if most > count:
        why = f"a keyframe of the plan has {most} conditions, {count} ControlNets are given"
        raise UsageError("the plan has more conditions than ControlNets", why=why, hint="--controlnet for each of them")
    return [(*each, *(None,) * (count - len(each))) for each in planned]


def _net(name: str, hint: str | None = None) -> Input:
    from laser_cli.models.load_control_net import find_control_net

    try:
        path = find_control_net(name)
    except NotFoundError as error:
        error.hint = hint or error.hint
        raise
    local = Path(os.path.expanduser(name))
    return Input(name=name_in_record(local) if local.exists() else name, path=path, sha256=files_key(path))


def _adapter_file(path: Path | None, before: Recorded[Any] | None) -> Input:
    """The adapter's file: as named, else the recorded one, checked by its SHA-256."""
    from laser_cli.models.adapter import find_adapter

    if path is not None:
        return Input.of(find_adapter(path))
    assert before and before.job.adapter
    recorded = before.job.adapter.file
    found = before.beside(recorded)
    if found is None:
        what = f"there is no IP-Adapter {recorded.name}"
        raise NotFoundError(what, why=f"{before.file} was made with it", hint="name it: --ip-adapter FILE")
    file = Input.of(find_adapter(found))
    if file.sha256 != recorded.sha256:
        what = f"{file.path} is not the IP-Adapter that {before.file} was made with"
        raise BadInputError(what, why="its SHA-256 is another", hint="--ip-adapter FILE takes it all the same")
    return file


def _images(
    paths: Sequence[Path],
    recorded: Sequence[Input | None] | None,
    own: Sequence[Input | None],
    before: Recorded[Any] | None,
    what: str,
) -> tuple[Input | None, ...]:
    """The image prompts, one for each keyframe."""
    if paths:
        # of an animation one is enough: what its keyframes become; the picture that is there is drawn without
        if len(paths) == 1 and what == "keyframe":
            return (None, *(Input.of(paths[0]),) * (len(own) - 1))
        if len(paths) != len(own):
            why = f"{len(paths)} image prompts, {len(own)} {what}s"
            raise UsageError(f"--image-prompt is given once for each {what}, or not at all", why=why)
        return tuple(None if str(path) == NONE else Input.of(path) for path in paths)
    if recorded and before:
        return tuple(before.picture(image, again="--image-prompt PICTURE") if image else None for image in recorded)
    return tuple(own)


def _masks(
    paths: Sequence[Path],
    recorded: Sequence[Input | None] | None,
    keyframes: int,
    before: Recorded[Any] | None,
    what: str,
) -> tuple[Input | None, ...]:
    """Where the image prompts count, one mask for each keyframe; none at all where they count everywhere."""
    if paths:
        if len(paths) not in (1, keyframes):
            why = f"{len(paths)} masks, {keyframes} {what}s"
            raise UsageError(f"--image-mask is given once, or once for each {what}", why=why)
        masks = tuple(None if str(path) == NONE else Input.of(path) for path in paths)
        return masks * keyframes if len(masks) == 1 else masks
    if recorded and before:
        return tuple(before.picture(mask, again="--image-mask PICTURE") if mask else None for mask in recorded)
    return ()
