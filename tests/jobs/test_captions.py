"""Pictures without a prompt, captioned for every job by whoever is named, or by a planner that sees."""

import json
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from laser_cli.batch.verbs import VERBS
from laser_cli.errors import BadInputError, NotFoundError
from laser_cli.jobs.build_animate import build_animation
from laser_cli.jobs.build_interpolate import build_interpolation
from laser_cli.jobs.merge import flags
from laser_cli.jobs.planning import Captioning, Guiding, Planning, shown_words
from laser_cli.jobs.progress import SILENT, Progress
from laser_cli.jobs.prompts import source_prompt
from tests.plan.llm.test_openai import Server


@pytest.fixture
def server():
    made = Server()
    made.answers = ["a red wall in a meadow"]
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def red(tmp_path):
    """A picture that carries no prompt."""
    path = tmp_path / "red.png"
    Image.fromarray(np.full((48, 64, 3), (220, 0, 0), np.uint8)).save(path)
    return path


class Heard(Progress):
    """Keeps what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    warn = note


def test_an_animation_plans_from_the_caption(server, red):
    heard = Heard()
    planning = Planning(planner="rules", caption=server.name)
    job = build_animation(flags({}), red, "night falls", planning=planning, progress=heard).job
    assert job.plan.source == "a red wall in a meadow"
    assert job.plan.prompts[-1] == "a red wall in a meadow at night" and len(server.asked) == 1
    assert any("carries no prompt; seen by" in note for note in heard.notes)


def test_nobody_is_asked_about_a_picture_whose_prompt_is_known(server, red):
    planning = Planning(caption=server.name)
    assert shown_words(planning, "a red door", red, SILENT) == "a red door"
    assert shown_words(planning, None, None, SILENT) is None
    assert source_prompt(SILENT, "a red door", red, np.zeros((9, 9, 3), np.uint8), "m") == "a red door"
    assert not server.asked


def test_stops_and_inversions_are_captioned(server, red):
    heard = Heard()
    server.answers *= 2
    guiding = Guiding(caption=server.name)
    job = build_interpolation(flags({}), [str(red), "a blue wall"], planning=guiding, progress=heard).job
    assert job.stops[0].prompt == "a red wall in a meadow"
    picture = np.asarray(Image.open(red))
    told = source_prompt(heard, None, red, picture, "another model", "red.png", Captioning(caption=server.name))
    assert told == "a red wall in a meadow" and len(server.asked) == 2
    with pytest.raises(BadInputError, match=r"what does red\.png show"):
        source_prompt(heard, None, red, picture, "another model")


@pytest.mark.parametrize("verb", ["animate", "interpolate", "invert"])
def test_rows_of_a_batch_name_a_captioner_too(verb):
    model, field = VERBS[verb].find("caption")
    assert field == "caption" and model(caption="storybook").caption == "storybook"


def test_a_batch_inverts_under_a_caption(server, red):
    words = SimpleNamespace(image=red, prompt=None)
    said = SimpleNamespace(words=words, layer=flags({}), planning=Captioning(caption=server.name))
    assert VERBS["invert"].build(said, SILENT).job.prompt == "a red wall in a meadow"


def test_a_captioner_that_sees_nothing_is_an_error_and_a_planner_that_fails_is_told(server, red, monkeypatch):
    with pytest.raises(NotFoundError, match="sees no pictures"):
        build_animation(flags({}), red, "night falls", planning=Planning(caption="rules"))
    monkeypatch.setattr("laser_cli.plan.planners.sees", lambda name: True)
    heard, server.answers = Heard(), ["I cannot see images"] * 3
    assert shown_words(Planning(planner=server.name), None, red, heard) is None
    assert any("gave no caption" in note for note in heard.notes)


def test_the_planner_itself_is_shown_the_picture(server, red, tmp_path):
    server.models = ["m"]
    server.answers = ["a red wall", "0. a red wall\n1. a red wall at night"]
    server.sees = True
    command = [sys.executable, "-m", "laser_cli", "plan", "night falls", "--image", str(red)]
    done = subprocess.run(
        [*command, "--planner", server.name, "--no-waypoints", "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)["plan"]
    assert (plan["source"], plan["segments"][0]["prompt"]) == ("a red wall", "a red wall at night")
    captioned = [*command, "--caption", server.name, "--planner", "rules", "-q", "--json"]
    server.answers, server.sees = ["a red barn"], False
    done = subprocess.run(captioned, capture_output=True, text=True)
    assert json.loads(done.stdout)["plan"]["source"] == "a red barn"
    refused = subprocess.run([*command, "--caption", "rules"], capture_output=True, text=True)
    assert refused.returncode == 3 and "sees no pictures" in refused.stderr
