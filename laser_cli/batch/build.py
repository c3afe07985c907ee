"""A row as a task: its values typed, its job built as the command builds it, its output names filled in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from laser_cli.batch.rows import Row
from laser_cli.batch.said import FieldError, field_of, said_by, verb_of
from laser_cli.batch.targets import outputs_of, with_sound
from laser_cli.batch.tasks import Task, with_inputs
from laser_cli.batch.verbs import Said, Verb, plain, settled
from laser_cli.errors import BadInputError, LaserError
from laser_cli.jobs.distance import choose_distance
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.job import Job
from laser_cli.jobs.model import options_of
from laser_cli.jobs.outputs import Outputs
from laser_cli.jobs.planning import PlannerChoice, Planning, callbacks_of, request_for
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.sampling import RANDOM_SEED, chosen_seed
from laser_cli.jobs.settings import FrameSettings, ModelChoice

DEVICES, DTYPES = ("auto", "cuda", "mps", "cpu"), ("auto", "float32", "bfloat16", "float16")


def build(
    row: Row,
    number: int,
    progress: Progress = SILENT,
    *,
    revision_of: Callable[[ModelChoice], str | None] = lambda settings: None,
    planned: bool = False,
) -> Task:
    """The task of a row that stands for one job, its files not looked at yet.

    A plan that takes a model's time is made only if it shall be `planned`; until then the rules stand in. Errors are
    FieldErrors. `revision_of` finds the weights that settings name, None where they are not on this machine.
    """
    verb = verb_of(row)
    row = pinned(row, verb)
    said = said_by(row, verb)
    waiting = not planned and _plans_slowly(verb, said, row)
    if waiting:
        said = Said(**{**said.__dict__, "planning": said.planning.model_copy(update={"planner": "rules"})})
    try:
        built = verb.build(said, progress)
        outputs = outputs_of(verb, said, built.job, row, number)
        job = with_sound(built.job, outputs)
        text = with_inputs(job, _absolute).model_dump_json()
        revision = _weights(job, revision_of, row)
    except LaserError as error:
        raise FieldError(error, row, field_of(error, row)) from error
    except UnicodeEncodeError as error:
        raise FieldError(BadInputError("a name is not UTF-8 text"), row, None) from error
    read = tuple(dict.fromkeys((*built.read, *(found.path for found in job.inputs))))
    return Task(
        number=number,
        id=None if "id" not in row.values else str(row.values["id"]),
        where=row.at(),
        verb=verb.name,
        job=text,
        outputs=outputs,
        read=tuple(Path(os.path.abspath(path)) for path in read),
        key=_key(job.model_copy(update={"revision": revision}), outputs),
        group=group_of(job),
        label=_label(said, job),
        revision=revision,
        row={key: settled(verb, key, value) for key, value in row.values.items()} if waiting else None,
    )


def _weights(job: Job, revision_of: Callable[[ModelChoice], str | None], row: Row) -> str | None:
    """The weights that the job names, found, and what else it asks of a machine, as far as that is told by its name."""
    settings = job.settings
    for key, known in (("device", DEVICES), ("dtype", DTYPES)):
        value = getattr(settings, key)
        if value.split(":")[0] not in known:
            raise FieldError(BadInputError(f"unknown {key} {value!r}", hint=f"one of {', '.join(known)}"), row, key)
    if isinstance(settings, FrameSettings):
        try:
            choose_distance(settings.distance, settings.model)
        except LaserError as error:
            raise FieldError(error, row, "distance") from error
    try:
        return revision_of(settings)
    except LaserError as error:
        raise FieldError(error, row, field_of(error, row) or "model") from error


def _absolute(found: Input) -> Input:
    """An input by its whole path, for workers in other folders; what is no file is a model's name."""
    if not found.path.exists():
        return found
    return found.model_copy(update={"path": Path(os.path.abspath(found.path))})


def pinned(row: Row, verb: Verb) -> Row:
    """The row with a seed that is to be chosen by chance chosen, so that building it again makes the same job."""
    for key in ("seed", "seeds"):
        value = plain(row.values.get(key))
        if value == RANDOM_SEED:
            return row.with_values(**{key: chosen_seed(RANDOM_SEED)})
        if isinstance(value, list) and RANDOM_SEED in value:
            return row.with_values(**{key: [chosen_seed(seed) for seed in value]})
    return row


def _plans_slowly(verb: Verb, said: Said, row: Row) -> bool:
    """Whether a model makes the plan or the guides: that waits until the drawing can go on beside it."""
    from laser_cli.plan.planners import choose, find_planner

    if not isinstance(said.planning, PlannerChoice):
        return False
    name = said.planning.planner
    try:
        if verb.name == "interpolate":
            asked = "auto" in getattr(said.sources, "guides", ())
            return asked and name not in (None, "rules") and bool(find_planner(name))
        if said.plan is not None or said.sources.plan_file is not None or not said.words.description:
            return False
        if name is not None:
            return name != "rules" and bool(find_planner(name))
        assert isinstance(said.planning, Planning)
        source = said.sources.prompt
        if source is None and said.words.image is not None:
            from laser_cli.output.prompts import picture_prompt

            source = picture_prompt(said.words.image)
        request = request_for(said.planning, said.words.description, source)
        return choose(None, request, callbacks_of(SILENT)) is not find_planner("rules")
    except LaserError as error:
        raise FieldError(error, row, field_of(error, row)) from error


def _key(job: Job, outputs: Outputs) -> str:
    """What tells a job of a batch from all others: what it draws, and into which files."""
    told = job.fingerprint + "\0" + "\0".join(path.as_posix() for path in outputs.paths)
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def group_of(job: Job) -> str:
    """What tasks have in common that are drawn one after the other: model, what is added to it, and size."""
    from laser_cli.output.pictures import opened

    settings = job.settings
    options = options_of(settings)
    size = str(getattr(settings, "size", None))
    if image := getattr(job, "image", None):
        with opened(image.path) as picture:
            size += " {}x{}".format(*picture.size)
    told = f"{settings.model} {settings.device} {settings.dtype} {settings.offload} {options} {size}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def _label(said: Said, job: Job) -> str:
    """What people call the job."""
    described = getattr(said.words, "description", None)
    return " ".join((described or job.prompts[-1]).split())[:200]
