"""Records run again: those of the last release too, and none that is damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from laser_cli.errors import BadInputError
from laser_cli.jobs.animate import AnimateJob
from laser_cli.jobs.build_animate import build_animation
from laser_cli.jobs.build_interpolate import build_interpolation
from laser_cli.jobs.interpolate import InterpolateJob
from laser_cli.jobs.merge import flags
from laser_cli.jobs.rerun import read_job
from laser_cli.jobs.settings import AnimateSettings, InterpolateSettings
from laser_cli.jobs.sources import AnimateSources, InterpolateSources
from laser_cli.output.frames import write_png

RECORDS = Path(__file__).parent / "records"
COTTAGE = RECORDS / "cottage.png"


@pytest.fixture(params=["animate", "interpolate"])
def released(request, tmp_path):
    """A picture that carries a record as the last release wrote it, beside the picture that it was made from."""
    shutil.copy(COTTAGE, tmp_path / "cottage.png")
    return write(tmp_path, json.loads((RECORDS / f"{request.param}-0.1.0.json").read_text()))


def write(folder, record):
    write_png(folder / "made.png", np.zeros((8, 8, 3), np.uint8), record)
    return folder / "made.png", record


def test_a_record_of_the_last_release_becomes_the_job_that_writes_it_again(released):
    file, record = released

    def build(said):
        if record["command"] == "animate":
            return build_animation(flags(said), sources=AnimateSources(rerun=file))
        return build_interpolation(flags(said), sources=InterpolateSources(rerun=file))

    job = build({}).job
    # settings that are new since then are at their defaults, but for those that would draw other pictures
    new = {key: value for key, value in job.recorded.items() if key not in record["settings"]}
    assert {key: value for key, value in job.recorded.items() if key not in new} == record["settings"]
    changed = {"local_blend": False, "carry": False, "guidance_base": 0.0, "strength_scale": 1.0, "fresh_noise": 0.0}
    defaults = type(job.settings)().model_dump(mode="json") | changed
    assert all(value == defaults[key] for key, value in new.items())
    assert (job.seed, job.revision, job.settings.model) == (
        record["seed"], record["model"]["revision"], record["model"]["id"]
    )  # fmt: skip
    assert job.inputs[0].sha256 == record["input_sha256"] or record["command"] == "interpolate"
    assert build({"model": "elsewhere"}).job.revision is None


def kinds(record):
    animates = record["command"] == "animate"
    return (AnimateJob, AnimateSettings) if animates else (InterpolateJob, InterpolateSettings)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.pop("settings"),
        lambda record: record.pop("model"),
        lambda record: record["model"].update(id=7),
        lambda record: record["model"].update(revision=7),
        lambda record: record["settings"].update(steps="many"),
        lambda record: record["settings"].update(plan=7, interpolation=7),
        lambda record: record["settings"].update(plan={"source": "a"}, interpolation={"stops": [{"prompt": "a"}]}),
        lambda record: record["settings"].update(plan=None, interpolation={"stops": [{}, {"prompt": "b"}]}),
        lambda record: record["settings"].update(image=[1], interpolation={"stops": 3}),
    ],
)
def test_a_damaged_record_says_so(released, spoil, tmp_path):
    file, record = released
    spoil(record)
    write(tmp_path, record)
    with pytest.raises(BadInputError, match=r"made\.png"):
        read_job(file, *kinds(record))


def test_a_record_of_another_command_says_which(released):
    file, record = released
    other = {"animate": "interpolate", "interpolate": "animate"}[record["command"]]
    with pytest.raises(BadInputError, match=f"was not made by laser {other}"):
        read_job(file, *kinds({"command": other}))
