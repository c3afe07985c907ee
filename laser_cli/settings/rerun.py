"""Running again what made an output: the record inside it as settings, a plan and the inputs it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from laser_cli.errors import BadInputError
from laser_cli.output.record import read_record
from laser_cli.plan.schema import Plan
from laser_cli.settings.inputs import find_beside, recorded_picture
from laser_cli.settings.merge import Layer, check
from laser_cli.settings.schema import BESIDE

NOT_SETTINGS = ("image", "plan", "inversion")


@dataclass(frozen=True)
class Rerun:
    """What a record says of its run; `image` and `inversion` are the inputs' names as recorded."""

    file: Path
    layer: Layer
    plan: Plan
    image: str | None
    input_sha256: str | None
    inversion: str | None
    revision: str | None

    def find(self, name: str) -> Path | None:
        """An input by its recorded name, from the current folder or beside the output that carries the record."""
        return find_beside(name, self.file)

    def picture(self, given: Path | None) -> Path | None:
        """The picture that was animated, checked by its SHA-256; None where the run drew its first picture itself."""
        if self.image is None:
            if given is not None:
                why = "it drew its first picture from the prompt"
                raise BadInputError(f"the run in {self.file} had no picture", why=why, hint="leave the picture out")
            return None
        again = "laser animate IMAGE --from FILE"
        return recorded_picture(self.image, self.input_sha256, self.file, given, again=again)


def read_rerun(file: Path) -> Rerun:
    """The run that made a file; BadInputError if its record is missing, of another command or damaged."""
    record = read_record(file)
    if record.get("command") != "animate":
        why = f"its record is of laser {record.get('command')}"
        raise BadInputError(f"{file} was not made by laser animate", why=why)
    settings = record.get("settings")
    model = record.get("model")
    if not isinstance(settings, dict) or not isinstance(model, dict):
        raise BadInputError(f"the record in {file} is damaged")
    values: dict[str, Any] = {key: value for key, value in settings.items() if key not in NOT_SETTINGS}
    values |= {key: record.get(key) for key in BESIDE if key != "model"} | {"model": model.get("id")}
    layer = Layer(f"the record in {file}", values)
    check(layer)
    try:
        plan = Plan.model_validate(settings.get("plan"))
    except ValidationError as error:
        raise BadInputError(f"the plan in the record of {file} is damaged", why=str(error).splitlines()[0]) from error
    image, digest, inversion = settings.get("image"), record.get("input_sha256"), settings.get("inversion")
    revision = model.get("revision")
    for name in (image, digest, inversion, revision):
        if name is not None and not isinstance(name, str):
            raise BadInputError(f"the record in {file} is damaged")
    return Rerun(file, layer, plan, image, digest, inversion, revision)
