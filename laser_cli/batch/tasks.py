"""What workers are given and give back: a task, which is a checked job and its files, and its outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from laser_cli.errors import LaserError, machine_error
from laser_cli.jobs.fields import Frozen
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.job import Job
from laser_cli.jobs.outputs import Outputs

Status = Literal["done", "skipped", "failed", "stopped"]


class Task(Frozen):
    """A job of a batch. `outputs` and `read` are relative to the batch's folder and to where it was started.

    `key`: the fingerprint of the job as it was checked, and of its outputs' names: what --resume compares. `revision`:
    of the weights that the driver has, None where it has none. `row`: what the job is built of when its plan is due,
    None where it is planned.
    """

    number: int
    id: str | None = None
    where: str = ""
    verb: str
    job: str
    outputs: Outputs
    read: tuple[Path, ...] = ()
    key: str
    group: str = ""
    label: str = ""
    revision: str | None = None
    row: dict[str, Any] | None = None

    def read_job(self) -> Job:
        """The job itself."""
        return job_of(self.verb, self.job)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The names of its outputs, the primary one first."""
        return self.outputs.paths


def job_of(verb: str, text: str) -> Job:
    """A command's job from its JSON."""
    from laser_cli.jobs.animate import AnimateJob
    from laser_cli.jobs.interpolate import InterpolateJob
    from laser_cli.jobs.invert import InvertJob

    kinds: dict[str, type[Job]] = {kind.verb: kind for kind in (AnimateJob, InterpolateJob, InvertJob)}
    return kinds[verb].model_validate_json(text)


class Failure(Frozen):
    """Why a job failed, as the command alone would have told it."""

    exit_code: int
    what: str
    why: str = ""
    hint: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure that an error is; what is neither laser's nor the machine's is a bug, named by its kind."""
        told = error if isinstance(error, LaserError) else machine_error(error)
        if told is not None:
            return cls(exit_code=told.exit_code, what=told.what, why=told.why, hint=told.hint)
        first = next(iter(str(error).strip().splitlines()), "")
        what = f"unexpected {type(error).__name__}: {first}".rstrip(": ")
        return cls(exit_code=1, what=what, hint="LASER_DEBUG=1 shows the traceback")

    @property
    def line(self) -> str:
        """All of it in one line."""
        return ": ".join(text for text in (self.what, self.why) if text)


class Outcome(Frozen):
    """What became of a task: `paths` and `sizes` of the files, `fingerprint` as in their records, `node`: where."""

    number: int
    status: Status
    paths: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    fingerprint: str | None = None
    seconds: float = 0.0
    evaluations: int = 0
    told: dict[str, Any] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    failure: Failure | None = None
    node: str = ""
    peak_mib: int = 0
    """The most memory that the worker has taken so far, on its device."""


def with_inputs(value: Any, change: Callable[[Input], Input]) -> Any:
    """A job, or a part of one, with other inputs; what stays the same is not copied."""
    if isinstance(value, Input):
        return change(value)
    if isinstance(value, Frozen):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        changed = {name: new for name, old in fields.items() if (new := with_inputs(old, change)) is not old}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, tuple) and any(isinstance(item, Frozen) for item in value):
        items = tuple(with_inputs(item, change) for item in value)
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def json_line(told: Any) -> str:
    """One line of JSON."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), default=str) + "\n"
