"""Answers of the embedded planner that change a person's looks where nothing is said of them."""

import random

import pytest

from laser_cli.storybook.face_changes import sample_face_change
from laser_cli.storybook.planner_checks import strange_words, untold_looks
from laser_cli.storybook.world import caption_of

SOURCE = (
    "a portrait of a person with pale skin, short gray hair, gray eyes, glasses and a black top hat, "
    "on a gray background"
)


def after(old: str, new: str) -> str:
    assert old in SOURCE
    return SOURCE.replace(old, new)


@pytest.mark.parametrize(
    ("description", "prompt", "found"),
    [
        ("she smiles", after(", on a", ", smiling, on a"), []),
        ("he removes the glasses", after("gray eyes, glasses and", "gray eyes and"), []),
        (
            "he removes the glasses",
            after("gray eyes, glasses and a black top hat", "gray eyes and glasses"),
            ["it changes the hat, of which nothing is said", "it does not change the glasses"],
        ),
        ("he takes off his hat", SOURCE, ["it does not change the hat"]),
        ("she smiles", after("gray eyes", "blue eyes"), ["it changes the eyes, of which nothing is said"]),
        ("the background turns pink", after("on a gray", "on a pink"), []),
        ("the background turns pink", SOURCE, ["it does not change the background"]),
        ("the woman with glasses smiles and winks", after(", on a", ", smiling, on a"), []),
        ("the hair becomes red", after("short gray hair", "short red hair"), []),
        ("it starts to rain", "a red ball in a meadow in the rain", []),
    ],
)
def test_looks_change_only_as_told(description, prompt, found):
    assert list(untold_looks(description, [SOURCE, prompt])) == found


def test_true_changes_are_never_refused():
    for seed in range(300):
        change = sample_face_change(random.Random(seed))
        prompts = [change.source_prompt, *(caption_of(stage) for stage in change.stages)]
        assert not list(untold_looks(change.description, prompts)), (change.description, prompts)


def test_words_from_nowhere():
    known = frozenset(("a", "person", "smiling"))
    assert not list(strange_words(["A person, smiling"], known))
    assert "'wizard'" in next(strange_words(["a person", "a wizard smiling"], known))
