"""Jobs: frozen values that can be sent anywhere and are the same there; one fingerprint of what decides the result."""

import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from laser_cli.errors import BadInputError, UsageError
from laser_cli.jobs.animate import AnimateJob
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.interpolate import Adapter, InterpolateJob, Stop
from laser_cli.jobs.invert import InvertJob
from laser_cli.jobs.job import FrameJob, Job
from laser_cli.jobs.progress import Progress
from laser_cli.jobs.run import Rendering, place, run
from laser_cli.jobs.settings import AnimateSettings, InterpolateSettings, InvertSettings
from laser_cli.jobs.sinks import Sinks
from laser_cli.plan.schema import Plan, Segment
from laser_cli.presets_dir import presets_folder
from laser_cli.storybook.look import SHIPPED

COTTAGE = presets_folder() / "storybook" / "cottage.png"
PLAN = Plan(source="a house", segments=(Segment(prompt="a house at night", frames=3),))


def jobs() -> list[Job]:
    picture = Input.of(COTTAGE)
    stops = (Stop(prompt="a house", picture=picture), Stop(prompt="a ball"))
    adapter = Adapter(file=picture, images=(picture, None))
    return [
        AnimateJob(settings=AnimateSettings(frames=3, loop=2), plan=PLAN, image=picture, revision="abc"),
        AnimateJob(settings=AnimateSettings(frames=3, easing="linear"), plan=PLAN),
        InterpolateJob(settings=InterpolateSettings(seeds=(3, 7)), stops=stops, guides=("a",), adapter=adapter),
        InvertJob(settings=InvertSettings(size=64), image=picture, prompt="a house"),
    ]


@pytest.mark.parametrize("job", jobs(), ids=lambda job: job.verb)
def test_a_job_is_the_same_after_json_and_pickle_and_cannot_change(job):
    assert type(job).model_validate_json(job.model_dump_json()) == job
    again = pickle.loads(pickle.dumps(job))
    assert again == job and again.fingerprint == job.fingerprint
    with pytest.raises(ValidationError):
        job.revision = "another"
    with pytest.raises(ValidationError):
        type(job).model_validate({**job.model_dump(), "unknown": 1})


@pytest.mark.parametrize("job", jobs(), ids=lambda job: job.verb)
def test_the_fingerprint_counts_what_decides_the_result_and_not_where_things_lie(job, tmp_path):
    assert job.with_settings(model="elsewhere", device="cuda:1").fingerprint == (
        job.with_settings(device="cuda").fingerprint
    )
    for change in ({"size": 96}, {"dtype": "bfloat16"}, {"steps": 3}):
        assert job.with_settings(**change).fingerprint != job.fingerprint
    assert job.model_copy(update={"revision": "other weights"}).fingerprint != job.fingerprint
    if getattr(job, "image", None):
        elsewhere = job.image.model_copy(update={"name": "b.png", "path": tmp_path / "b.png"})
        assert job.model_copy(update={"image": elsewhere}).fingerprint == job.fingerprint
        other = job.image.model_copy(update={"sha256": "0" * 64})
        assert job.model_copy(update={"image": other}).fingerprint != job.fingerprint


def test_fingerprints_of_all_jobs_differ():
    assert len({job.fingerprint for job in jobs()}) == len(jobs())


@pytest.mark.parametrize("job", jobs()[:2], ids=["pictured", "drawn"])
def test_a_placed_job_has_nothing_left_open_and_is_placed_but_once(job):
    here = place(job)
    assert here.settings.size == SHIPPED.size and here.revision not in (None, "abc")
    assert "auto" not in (here.settings.device, here.settings.dtype, here.settings.distance)
    assert place(here) == here


class Fade(FrameJob):
    """A new verb: its job. Its steps are a module of the name that it gives."""

    verb: ClassVar[str] = "fade"
    settings: AnimateSettings
    count: ClassVar[int] = 3
    seed: ClassVar[int] = 0
    prompts: ClassVar[tuple[str, ...]] = ("black",)
    inputs: ClassVar[tuple[Input, ...]] = ()
    recorded: ClassVar[dict[str, Any]] = {}

    @classmethod
    def unrecorded(cls, settings, record):
        return {}


def test_a_new_verb_is_a_job_and_its_steps_which_know_no_command(monkeypatch):
    model = SimpleNamespace(
        name="toy",
        revision="1",
        device="cpu",
        dtype="float16",
        size=8,
        nfe=0,
        embedded=False,
        cut_off=lambda text: "",
        read_text_encoders=None,
    )

    def prepare(job, model, saved, progress):
        progress.note(f"{job.settings.size} px, {job.settings.dtype}")
        frames = [np.full((8, 8, 3), k, np.uint8) for k in range(job.count)]
        return Rendering(model, (8, 8), {}, {}, 3, 0, lambda report, preview: iter(frames), lambda: {"faded": True})

    class Told(Progress):
        def note(self, message):
            told.append(message)

    told: list[str] = []
    monkeypatch.setitem(sys.modules, "laser_cli.jobs.run_fade", SimpleNamespace(prepare=prepare))
    job, sinks = Fade(settings=AnimateSettings(dtype="bfloat16")), Sinks()
    done = run(job, model, sinks, Told())
    assert [frame[0, 0, 0] for frame in sinks.frames] == [0, 1, 2] and told == ["8 px, bfloat16"]
    assert done.told["faded"] and done.told["fingerprint"] == place(job, model).fingerprint and done.size == (8, 8)


def test_an_input_that_changed_since_is_refused(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(COTTAGE.read_bytes())
    picture = Input.of(file)
    assert picture.picture().shape == (SHIPPED.size, SHIPPED.size, 3) and picture.name == "a.png"
    file.write_bytes(COTTAGE.with_name("star.png").read_bytes())
    with pytest.raises(BadInputError, match="has changed"):
        picture.picture()


def test_jobs_need_no_torch_and_no_command_line():
    program = (
        "import sys; from laser_cli.jobs import animate, interpolate, invert, build_animate, build_interpolate, run;"
        "sys.exit(','.join(sorted({'torch', 'typer', 'diffusers', 'rich'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "", done.stderr


@pytest.mark.parametrize("values", [{"steps": 0}, {"stepps": 3}, {"loop": "never"}])
def test_arguments_that_cannot_be_are_told_as_such(values):
    from laser_cli import animate

    with pytest.raises(UsageError, match="the arguments: "):
        animate(COTTAGE, "night falls", **values)
