"""Tasks for the embedded planner: right answers, in the form that is read, whatever slips the request has."""

import json
import random

import pytest

from laser_cli.plan.llm.full import LONGEST, Answer, FullForm, read_json
from laser_cli.plan.llm.repair import repair
from laser_cli.plan.request import PlanRequest
from laser_cli.storybook.changes import sample_change
from laser_cli.storybook.face_changes import sample_face_change
from laser_cli.storybook.planner_tasks import NOUNS, Telling, answer_text, sample_task, task_of, world_words
from laser_cli.storybook.slips import elsewhere, embellished, mistyped
from laser_cli.storybook.world import caption_of


def tasks(count, seed=0):
    rng = random.Random(seed)
    return [sample_task(rng) for _ in range(count)]


def test_answers_are_read_and_need_no_mending():
    for task in tasks(300):
        answer = read_json(answer_text(task.answer), Answer)
        assert answer == task.answer and json.loads(answer_text(answer))["reasoning"] == ""
        assert len(task.description) < 600 and all(len(k.prompt) <= LONGEST for k in answer.segments)
        draft = FullForm().draft(answer_text(answer))
        made = repair(draft, PlanRequest(task.description, task.source), by_words=False)
        if task.change is None:  # outside its world it is taught to repeat the request, which hands over to the rules
            assert [problem for problem in made.problems if "repeats the request" not in problem] == []
        else:
            assert not made.problems, task
    assert tasks(20) == tasks(20)


def test_all_kinds_of_requests_come():
    drawn = tasks(600)
    assert 10 < sum(task.change is None for task in drawn) < 60
    assert sum(task.source is None for task in drawn) > 40
    lengths = {len(task.answer.segments) for task in drawn}
    controls = {k.control for task in drawn for k in task.answer.segments}
    assert lengths == {1, 2, 3} and controls == {"texture", "motion", "hybrid"}
    typed = [t for t in drawn if t.change and t.description.lower() != t.change.description.lower()]
    assert len(typed) > 60


@pytest.mark.parametrize("sample", [sample_change, sample_face_change])
def test_a_prompt_is_the_caption_of_its_stage_and_what_is_unsaid_stays_so(sample):
    rng = random.Random(4)
    for _ in range(60):
        change = sample(rng)
        prompts = [k.prompt for k in task_of(Telling(change)).answer.segments]
        assert [p.removesuffix(", under an overcast sky") for p in prompts] == [
            caption_of(stage).removesuffix(", under an overcast sky") for stage in change.stages
        ]
        unsaid = frozenset({"colour", "setting", "time", "skin", "background"})
        first = task_of(Telling(change, unsaid)).answer.segments[0].prompt
        assert ("skin" in first, " background" in first) == (False, "background" in change.kinds[0])
        if not {"setting", "subject"} & set(change.kinds[0]):
            assert "meadow" not in first and "desert" not in first


def test_slips():
    rng = random.Random(0)
    text = "a red ball turns blue and the ball grows"
    for _ in range(50):
        slip = mistyped(rng, text, "a red ball")
        assert slip.startswith("a red ball") and abs(len(slip) - len(text)) <= 1
        assert embellished(rng, text, NOUNS, "a red ball").startswith("a red ball")
        description, source = elsewhere(rng)
        assert description and source.startswith(("a ", "an "))
    assert mistyped(rng, "it is red") == "it is red"
    assert {"ball", "person", "turns", "smiles", "watercolour"} <= world_words(400)
