"""Inversions, presets and records of strangers become jobs, or a LaserError that says where."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from laser_cli.errors import BadInputError, LaserError
from laser_cli.jobs.animate import AnimateJob
from laser_cli.jobs.inputs import Input
from laser_cli.jobs.inversion import inversion_layer
from laser_cli.jobs.presets import read_preset
from laser_cli.jobs.rerun import read_job
from laser_cli.jobs.settings import AnimateSettings
from laser_cli.output.record import to_page
from laser_cli.plan.files import parse_plan
from tests.mutations import mutated, mutated_value

ABOUT = {
    "format": "laser-inversion-2", "prompt": "a fox", "method": "direct", "model": "storybook", "revision": "x",
    "steps": "3", "input_sha256": "", "schedule": "{}",
}  # fmt: skip
SLOW = pytest.param(10_000, marks=pytest.mark.slow)
PRESET = (
    "description: mine\nsteps: 12\nguidance: 3.5\nfps: 30000/1001\nloop: forever\nsize: 128\nbounce: true\nseed: 7\n"
)


def inversion(path, about=ABOUT, **changes) -> bytes:
    whole = {"latents": np.ones((4, 4, 2, 2), np.float32), "prompt_embeds": np.ones((1, 77, 8), np.float32)}
    tensors = {key: value for key, value in {**whole, **changes}.items() if value is not None}
    save_file(tensors, path, metadata=about)
    return path.read_bytes()


def test_a_whole_inversion_is_read(tmp_path):
    inversion(tmp_path / "a.safetensors")
    assert inversion_layer(tmp_path / "a.safetensors").values == {"steps": 3, "method": "direct"}
    half = np.ones((4, 4, 2, 2), np.float16)
    inversion(tmp_path / "a.safetensors", latents=half, mask=np.ones((1, 77), bool))
    assert inversion_layer(tmp_path / "a.safetensors").values["steps"] == 3


def holding(value: float) -> np.ndarray:
    latents = np.ones((4, 4, 2, 2), np.float32)
    latents[2, 1, 0, 1] = value
    return latents


@pytest.mark.parametrize(
    "changes",
    [
        {"latents": holding(np.nan)},
        {"latents": holding(np.inf)},
        {"latents": holding(-np.inf)},
        {"latents": holding(1e30)},
        {"prompt_embeds": np.full((1, 77, 8), np.nan, np.float32)},
        {"latents": np.ones((9, 4, 2, 2), np.float32)},
        {"latents": np.ones((4, 4, 2), np.float32)},
        {"latents": np.ones((4, 4, 0, 2), np.float32)},
        {"latents": None},
        {"prompt_embeds": np.ones((1, 77), np.float32)},
        {"more": np.ones(3, np.float32)},
        {"about": {**ABOUT, "steps": "9" * 5000}},
        {"about": {**ABOUT, "steps": "-1"}},
        {"about": {**ABOUT, "steps": "³"}},
        {"about": {}},
    ],
)
def test_what_no_inversion_holds_is_told_before_a_model_is_loaded(tmp_path, changes):
    inversion(tmp_path / "a.safetensors", **changes)
    with pytest.raises(BadInputError, match=r"a\.safetensors") as told:
        inversion_layer(tmp_path / "a.safetensors")
    assert "laser invert" in told.value.hint


@pytest.mark.parametrize("count", [2_000, SLOW])
def test_mutated_inversions_are_inversions_or_bad_input(tmp_path, count):
    path, choose = tmp_path / "a.safetensors", random.Random(count)
    whole = inversion(path)
    for _ in range(count):
        head = mutated(choose, whole[:700]) if choose.random() < 0.7 else whole[:700]
        path.write_bytes(head + (mutated(choose, whole[700:], 2) if choose.random() < 0.5 else whole[700:]))
        try:
            assert 1 <= inversion_layer(path).values["steps"] <= 1000
        except BadInputError as error:
            assert error.render()


@pytest.mark.parametrize("count", [2_000, SLOW])
def test_mutated_presets_are_presets_or_errors_with_their_place(tmp_path, count):
    path, choose = tmp_path / "mine.yaml", random.Random(count)
    for _ in range(count):
        path.write_bytes(mutated(choose, PRESET.encode()))
        try:
            read_preset(path)
        except LaserError as error:
            assert error.exit_code in (2, 5) and "mine.yaml" in error.render()


@pytest.mark.parametrize("count", [2_000, SLOW])
def test_mutated_records_are_jobs_or_bad_input(tmp_path, count):
    plan = parse_plan("source: a fox\nsegments:\n- {prompt: a cat, frames: 3}\n- {prompt: a dog, frames: 4}\n")
    audio = Input(name="a.wav", path=Path("a.wav"), sha256="0" * 64)
    image = Input(name="a.png", path=Path("a.png"), sha256="1" * 64)
    job = AnimateJob(settings=AnimateSettings(frames=6), plan=plan, image=image, audio=audio)
    record = {
        "version": 1, "program": "laser", "program_version": "0", "command": "animate", "prompt": "a dog", "seed": 0,
        "model": {"id": "storybook", "revision": "x"}, "input_sha256": "1" * 64, "dtype": "float32", "device": "cpu",
        "settings": job.recorded,
    }  # fmt: skip
    path, choose = tmp_path / "a.html", random.Random(count)
    path.write_text("<!doctype html>" + to_page(json.dumps(record)))
    assert read_job(path, AnimateJob, AnimateSettings).job.audio == audio
    for _ in range(count):
        path.write_text("<!doctype html>" + to_page(json.dumps(mutated_value(choose, record))))
        try:
            found = read_job(path, AnimateJob, AnimateSettings)
            for recorded in found.job.inputs:
                assert found.beside(recorded) is None or recorded.name
        except BadInputError as error:
            assert error.render()
