"""A row as a task: its values typed, its job built as the command builds it, its output names filled in."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from laser_cli.batch.rows import Row
from laser_cli.batch.tasks import Task, json_line, with_inputs
from laser_cli.batch.verbs import FOR_ALL, VERBS, Said, Verb, known_somewhere, layer_of, plain, typed
from laser_cli.errors import BadInputError, LaserError
from laser_cli.jobs import names
from laser_cli.jobs.config import config_for
from laser_cli.jobs.distance import choose_distance
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.job import FrameJob, Job
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.model import options_of
from laser_cli.jobs.outputs import Outputs, look_of
from laser_cli.jobs.planning import PlannerChoice, Planning, callbacks_of, request_for
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.settings import RANDOM_SEED, FrameSettings, ModelChoice, chosen_seed
from laser_cli.plan.schema import Plan

NAME = "{stem}_{n:03}"
"""What outputs are called where rows name none, without the ending."""
DEVICES, DTYPES = ("auto", "cuda", "mps", "cpu"), ("auto", "float32", "bfloat16", "float16")
AWAY = {"description": "plan", "plan": "description", "plan_file": "description", "image": "images", "images": "image"}
"""Keys that exclude each other: a row's own goes before what the file says of all."""


@dataclass(frozen=True)
class Given:
    """What a command line says of all rows. `beneath` them: preset and variables; `above` them: --set.

    `config`: the settings file, beneath presets.
    """

    beneath: Mapping[str, Any] = field(default_factory=dict)
    above: Mapping[str, Any] = field(default_factory=dict)
    config: Layer | None = None


class FieldError(BadInputError):
    """What is wrong with a row, and in which of its fields where that is known."""

    def __init__(self, error: LaserError, row: Row, key: str | None) -> None:
        where, key = row.at(key), row.spelled.get(key, key) if key else None
        what = error.what if error.what.startswith(where) else f"{where}: {f'{key}: ' if key else ''}{error.what}"
        super().__init__(what, why=error.why, hint=error.hint)
        self.field = key
        self.others: tuple[FieldError, ...] = ()


def raise_all(errors: Sequence[FieldError]) -> None:
    """Raise the first of a row's errors, which knows the others."""
    if errors:
        errors[0].others = tuple(errors[1:])
        raise errors[0]


def verb_of(row: Row) -> Verb:
    """The command that a row names, animate if none."""
    name = str(row.values.get("command", row.defaults.get("command", "animate")))
    if name in VERBS:
        return VERBS[name]
    near = get_close_matches(name, VERBS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(VERBS)}"
    raise BadInputError(f"{row.at('command')}: command: there is no command {name!r}", hint=hint)


def merged(row: Row, verb: Verb, given: Given) -> Row:
    """A row with all that is said of it: what the command line and the file say of all rows, itself, and --set."""
    own = {str(key).replace("-", "_"): value for key, value in row.values.items() if value is not None}
    lines = {key.replace("-", "_"): line for key, line in row.lines.items()}
    shared = {str(key).replace("-", "_"): value for key, value in row.defaults.items() if value is not None}
    beneath: dict[str, Any] = {**given.beneath, **shared}
    for key in beneath:
        if not known_somewhere(key):
            raise BadInputError(f"{row.name}: defaults: unknown key {key!r}", hint=_near(key, verb))
    # of what is said for all jobs each command takes what it has
    rerun = any(key in own for key in ("from", "rerun"))
    taken = {
        key: value
        for key, value in beneath.items()
        if (key in FOR_ALL or verb.find(key)) and AWAY.get(key) not in {**own, **given.above}
        if not (rerun and key == "preset")
    }
    values = {**taken, **own, **given.above}
    unknown = [key for key in values if key not in FOR_ALL and verb.find(key) is None]
    what = f"laser {verb.name} has no such key"
    raise_all([FieldError(BadInputError(what, hint=_near(key, verb)), row, key) for key in unknown])
    canonical: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    for key, value in values.items():
        found = verb.find(key)
        name = found[1] if found else key
        spelled[name] = key
        canonical.pop(name, None)
        canonical[name] = value
        if key in lines:
            lines[name] = lines[key]
    return Row(canonical, row.name, row.line, lines, spelled=spelled, config=given.config)


def _near(key: str, verb: Verb) -> str:
    near = get_close_matches(key, verb.keys, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"the keys are the options of laser {verb.name} --help"


def said_by(row: Row, verb: Verb) -> Said:
    """What a row of single values says; FieldError for a value that its field cannot have."""
    told: dict[type, dict[str, Any]] = {model: {} for model in verb.models}
    plan: Plan | None = None
    errors: list[FieldError] = []
    for key, value in row.values.items():
        found = verb.find(key)
        if found is None:
            continue
        model, name = found
        if name == "plan_file" and isinstance(value := plain(value), dict):
            try:
                plan = _inline_plan(value)
            except LaserError as error:
                errors.append(FieldError(error, row, key))
            continue
        try:
            if name in getattr(verb.settings, "TRANSLATED", {}) and name not in model.model_fields:
                name, value = verb.settings.TRANSLATED[name], verb.settings.translate(name, plain(value))
            told[model][name] = typed(model, name, value)
        except ValueError as error:
            shown = repr(value if len(repr(value)) <= 60 else repr(value)[:57] + "...")
            errors.append(FieldError(BadInputError(f"it cannot be {shown}", why=f"it {error}"), row, key))
            continue
        if model is verb.words and value == "-":
            errors.append(FieldError(BadInputError("a batch reads no picture from stdin"), row, key))
    raise_all(errors)
    words, settings, sources, planning, outputs = verb.models
    said = Said(
        layer=layer_of(row.name, told[settings], row.lines, row.line, config_for(row.config, settings)),
        words=words(**told[words]),
        sources=sources(**told[sources]),
        planning=planning(**told[planning]),
        outputs=outputs(**told[outputs]),
        plan=plan,
    )
    return said


def _inline_plan(value: Mapping[str, Any]) -> Plan:
    """A plan that stands in the row itself."""
    from laser_cli.plan.files import parse_plan

    return parse_plan(json_line({"version": 1, **value}), "the plan")


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
        outputs = _outputs(verb, said, built.job, row, number)
        job = _with_sound(built.job, outputs)
        text = with_inputs(job, _absolute).model_dump_json()
        revision = _weights(job, revision_of, row)
    except LaserError as error:
        raise FieldError(error, row, _field_of(error, row)) from error
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
        row=dict(row.values) if waiting else None,
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
        raise FieldError(error, row, _field_of(error, row) or "model") from error


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
        raise FieldError(error, row, _field_of(error, row)) from error


def _outputs(verb: Verb, said: Said, job: Job, row: Row, number: int) -> Outputs:
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


def _with_sound(job: Job, outputs: Outputs) -> Job:
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


def _field_of(error: LaserError, row: Row) -> str | None:
    """The field that an error speaks of: one whose option it names, else one whose value it names."""
    if isinstance(error, FieldError):
        return error.field
    for word in re.findall(r"--([a-z][a-z-]+)", error.what):
        for key in row.values:
            if word.replace("-", "_") in (key, row.spelled.get(key)):
                return key
    text = f"{error.what} {error.why}"
    shown = {key: str(value) for key, value in row.values.items() if key != "command" and len(str(value)) > 2}
    longest = sorted(shown, key=lambda key: -len(shown[key]))
    return next((key for key in longest if shown[key] in text), None)
