"""Files of a task: output names filled in, checked before the work, and placed in the folder of the batch."""

from __future__ import annotations

from pathlib import Path

from laser_cli.batch.rows import Row
from laser_cli.batch.said import FieldError
from laser_cli.batch.tasks import Task
from laser_cli.batch.verbs import Said, Verb
from laser_cli.errors import BadInputError, LaserError
from laser_cli.jobs import names
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.job import FrameJob, Job
from laser_cli.jobs.outputs import Outputs, look_of

NAME = "{stem}_{n:03}"
"""What outputs are called where rows name none, without the ending."""


def outputs_of(verb: Verb, said: Said, job: Job, row: Row, number: int) -> Outputs:
    """The outputs with their templates filled in; a name from the command and its number where none is given."""
    outputs = Outputs(**{name: getattr(said.outputs, name) for name in type(said.outputs).model_fields})
    if outputs.stream:
        raise FieldError(BadInputError("the frames of a batch go to files", hint="out: NAME.mp4"), row, "out")
    if not outputs.paths:
        single = getattr(job.settings, "at", None) is not None
        outputs = outputs.model_copy(update={"out": Path(NAME + (".png" if single else verb.ending))})
    source = getattr(said.words, "image", None)
    words = getattr(said.words, "description", None) or " ".join(getattr(said.words, "stops", ()))
    preset = getattr(said.sources, "preset", None)
    values = names.values_of(job.settings, verb.name, source, words, preset=preset, n=number)
    if "id" in row.values:
        values["id"] = names.short_words(str(row.values["id"])) or "none"
    filled = {}
    for name in ("out", "frames_dir", "sheet", "report", "depfile", "preview"):
        template = getattr(outputs, name)
        if template is not None and names.is_template(template):
            try:
                filled[name] = Path(names.fill(template, values))
            except LaserError as error:
                raise FieldError(error, row, name) from error
    outputs = outputs.model_copy(update=filled)
    if getattr(job.settings, "at", None) is not None and outputs.out and outputs.out.suffix.lower() != ".png":
        raise FieldError(BadInputError("--at draws one picture", why=f"{outputs.out} is none"), row, "out")
    if verb.name == "invert" and outputs.out and outputs.out.suffix != ".safetensors":
        why = "an inversion is a safetensors file"
        raise FieldError(BadInputError(f"cannot write {outputs.out.name}", why=why), row, "out")
    return outputs


def with_sound(job: Job, outputs: Outputs) -> Job:
    """The job with the sound that the row names, as `laser animate` takes it."""
    from laser_cli.output.video import FILMS

    if not isinstance(job, FrameJob):
        return job
    holds = outputs.file is not None and outputs.file.suffix.lower() in FILMS
    if outputs.audio:
        if not holds:
            raise BadInputError("--audio is for a video", hint="a name that ends in .mp4, .mov, .mkv or .webm")
        return job.model_copy(update={"audio": Input.of(outputs.audio)})
    return job if holds else job.model_copy(update={"audio": None})


def check_outputs(task: Task, root: Path) -> None:
    """Raise for outputs that cannot be, as `laser animate` does before its work."""
    job, outputs = task.read_job(), placed(task.outputs, root)
    if isinstance(job, FrameJob):
        outputs.check(look_of(job.settings, job.audio), job.count, read=task.read)
    else:
        outputs.guard(task.read)
    if outputs.no_clobber and not outputs.skip_existing:
        from laser_cli.output.make import refuse_clobber

        refuse_clobber(outputs.paths)


def placed(outputs: Outputs, root: Path) -> Outputs:
    """The outputs under the folder of the batch."""
    fields = ("out", "frames_dir", "sheet", "report", "depfile", "preview")
    here = {name: root / path for name in fields if (path := getattr(outputs, name)) is not None}
    return outputs.model_copy(update=here)
