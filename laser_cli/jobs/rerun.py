"""Running again what made an output: the record inside it as a job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from laser_cli.errors import BadInputError
from laser_cli.jobs.fields import Settings
from laser_cli.jobs.inputs import Input, find_beside
from laser_cli.jobs.job import FrameJob
from laser_cli.jobs.merge import Layer, merge
from laser_cli.jobs.progress import Progress
from laser_cli.jobs.settings import BESIDE
from laser_cli.output.record import read_record

AnyJob = TypeVar("AnyJob", bound=FrameJob)


@dataclass(frozen=True)
class Recorded(Generic[AnyJob]):
    """The job in a file's record: its settings as a layer too, its inputs by their names, not yet looked for."""

    file: Path
    layer: Layer
    job: AnyJob

    def revision(self, settings: Any) -> str | None:
        """The model's revision at that time; None where these settings name another model."""
        return self.job.revision if settings.model == self.layer.values["model"] else None

    def beside(self, recorded: Input) -> Path | None:
        """A recorded input: from the current folder, or beside the output."""
        return find_beside(recorded.name, self.file)

    def audio(self, progress: Progress) -> Input | None:
        """The sound of the record, checked by its SHA-256; what is read is told."""
        recorded = self.job.audio
        if recorded is None:
            return None
        path = self.beside(recorded)
        if path is None or (found := Input.of(path, recorded.name)).sha256 != recorded.sha256:
            what = f"there is no sound {recorded.name}" if path is None else f"{path} is not the sound that was used"
            raise BadInputError(what, why=f"{self.file} was made with it", hint="name it: --audio FILE")
        progress.note(f"the record in {self.file} names the sound {path}, which is read")
        return found

    def picture(self, recorded: Input, given: Path | None = None, *, again: str) -> Input:
        """The picture that the output was made from, as given or as recorded; BadInputError for any other.

        ``again`` is the command that names it anew.
        """
        path = given or self.beside(recorded)
        if path is None:
            why, hint = f"{self.file} was made from it", f"name it: {again}"
            raise BadInputError(f"there is no picture {recorded.name}", why=why, hint=hint)
        found = Input.of(path, recorded.name)
        if found.sha256 != recorded.sha256:
            why = f"its SHA-256 is {found.sha256[:12]}…, the record has {recorded.sha256[:12]}…"
            hint = "the picture as it was, or a run of its own without --from"
            raise BadInputError(f"{path} is not the picture that {self.file} was made from", why=why, hint=hint)
        return found


def read_job(file: Path, job: type[AnyJob], kind: type[Settings]) -> Recorded[AnyJob]:
    """The job in a file's record; BadInputError if it is missing, of another command or damaged.

    Records of the last release have the same form.
    """
    record = read_record(file)
    if record.get("command") != job.verb:
        why = f"its record is of laser {record.get('command')}"
        raise BadInputError(f"{file} was not made by laser {job.verb}", why=why)
    try:
        settings, model = dict(record["settings"]), record["model"]
        parts = job.unrecorded(settings, record)
        beside = {key: record.get(key) for key in BESIDE if key in kind.model_fields and key != "model"}
        layer = Layer(f"the record in {file}", {**settings, **beside, "model": model["id"]}, source="record")
        told = {"settings": merge(kind, layer).model_dump(mode="json"), "revision": model.get("revision"), **parts}
        return Recorded(file, layer, job.model_validate_json(json.dumps(told)))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        why = "it does not say " + str(error) if isinstance(error, KeyError) else str(error).splitlines()[0]
        if isinstance(error, ValidationError):
            problem = error.errors(include_url=False)[0]
            why = f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
        raise BadInputError(f"the record in {file} is damaged", why=why) from error
