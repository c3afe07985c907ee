"""Guides: what lies between two prompts, in the storybook world's words, in a sentence, or as a model says it."""

import json
import random

import pytest

from laser_cli.plan.guide import alike, composed, guide_by_rules
from laser_cli.plan.length import CLIP_TOKENS, clip_tokens
from laser_cli.plan.llm.conversation import converse
from laser_cli.plan.llm.draft import Unreadable
from laser_cli.plan.llm.guide import GuideForm, guides_by_model
from laser_cli.plan.request import PlanCallbacks, PlanRequest
from laser_cli.storybook.puppets import Puppet, sample_puppet
from laser_cli.storybook.read import told_of
from laser_cli.storybook.scenes import Scene, sample
from laser_cli.storybook.world import caption_of
from tests.tiny_gguf import write_tiny


@pytest.mark.parametrize(
    ("begin", "end", "between"),
    [
        ("a house in a meadow at noon", "a house in a meadow at night", "a house in a meadow at sunset"),
        ("a red ball by the sea", "a yellow ball by the sea", "an orange ball by the sea"),
        ("a red ball", "a blue cube", "something purple halfway between a ball and a cube"),
        ("a small cat on the left", "a large cat on the right", "a cat"),
        # what only one of them says holds for both, unless it has a usual value
        ("a red ball", "a ball in the desert at noon", "a red ball in the desert at noon"),
        (
            "a portrait with brown eyes, with a neutral face, facing left",
            "a face with brown eyes, smiling, on a blue background",
            "a portrait of a person with brown eyes, slightly smiling, turned to the left a little, "
            "on a blue background",
        ),
    ],
)
def test_the_worlds_own_words(begin, end, between):
    assert guide_by_rules(begin, end) == (between, guide_by_rules(begin, end).planner, ())


def test_captions_are_read_back():
    rng = random.Random(3)
    for kind, make in ((Scene, sample), (Puppet, sample_puppet)):
        read = 0
        for _ in range(200):
            item = make(rng)
            found = told_of(caption_of(item))
            read += found is not None
            if found:
                assert found[0] is kind
                if "subject" in found[1]:
                    assert found[1]["subject"] == ((max(item.subject, key=lambda m: m[1])[0], 1.0),)
        assert read >= 100, (kind, read)  # mixtures have words that are not read
    for foreign in ("a red dragon in a meadow", "a ball and a cube", "a red ball in a meadow with a hat", "a meadow"):
        assert told_of(foreign) is None


def test_other_prompts_are_composed_and_fit_the_text_encoder():
    assert guide_by_rules("a cat on a sofa", "a dog on a sofa").prompt == (
        "something halfway between a cat and a dog, on a sofa"
    )
    assert composed("a statue.", "a dragon").prompt == "something halfway between a statue and a dragon"
    long = "very " * 90
    for begin, end in ((f"a {long}cat", "a dog"), (f"a cat in a {long}hall", f"a dog in a {long}hall")):
        made = composed(begin, end)
        assert clip_tokens(made.prompt) <= CLIP_TOKENS and "shortened" in made.notes[0]
        assert not alike(made.prompt, begin) and not alike(made.prompt, end)
    same = guide_by_rules("a cat", "A cat.")
    assert same.prompt == "a cat" and "both stops show the same" in same.notes[0]


def test_an_answer_is_mended_or_refused():
    request = PlanRequest("a dog", "a cat")
    answer = lambda text: json.dumps({"reasoning": "r", "guide": text})  # noqa: E731
    assert GuideForm().read(answer(' "a fox." '), request).keyframes[0].prompt == "a fox"
    assert "first picture itself" in GuideForm().read(answer("A cat."), request).problems[0]
    assert "second picture itself" in GuideForm().read(answer("a dog"), request).problems[0]
    assert "empty" in GuideForm().read(answer("..."), request).problems[0]
    long = GuideForm().read(answer("a fox, " * 28), request)
    assert clip_tokens(long.keyframes[0].prompt) <= CLIP_TOKENS and "77 tokens" in long.repairs[0]
    for wrong in ("a fox", '{"guide": "a fox"}', '{"reasoning": "r", "guide": 3}'):
        with pytest.raises(Unreadable):
            GuideForm().read(wrong, request)


def test_worked_examples_pass_their_own_checks():
    request = PlanRequest("a dog", "a cat")
    assert len(GuideForm().examples(request)) >= 3
    for question, answer in GuideForm().examples(request):
        made = GuideForm().read(answer, question)
        assert (made.repairs, made.problems) == ((), ())


def test_it_is_asked_again_with_what_was_wrong():
    class Fake:
        def __init__(self):
            self.asked = []

        def answer(self, messages, request, seed, deadline):
            self.asked.append(messages)
            yield json.dumps({"reasoning": "r", "guide": ("a cat", "a fox")[len(self.asked) - 1]})

    fake, notes = Fake(), []
    outcome = converse(fake, PlanRequest("a dog", "a cat"), PlanCallbacks(notes.append), GuideForm())
    assert outcome.attempts == 2 and outcome.draft.keyframes[0].prompt == "a fox"
    assert fake.asked[0][-1]["content"] == "First picture: a cat\nSecond picture: a dog"
    assert "first picture itself" in fake.asked[1][-1]["content"] and not any("keyframe" in note for note in notes)


def test_a_real_model_makes_every_guide_and_is_loaded_once(tmp_path, monkeypatch):
    from laser_cli.plan.llm.backends import llama_cpp as backend

    loads, load = [], backend._load
    monkeypatch.setattr(backend, "_load", lambda *told: loads.append(1) or load(*told))
    tiny = write_tiny(tmp_path / "tiny.gguf")
    stops = [("a cat", "a dog"), ("a dog", "A dog."), ("a dog", "a cup")]
    guides = guides_by_model(str(tiny), stops, PlanRequest("", seed=4), PlanCallbacks())
    assert len(guides) == 3 and loads == [1]
    first, same, last = guides
    planner = first.planner
    assert first.prompt and (planner.name, planner.prompts, planner.seed) == ("tiny.gguf", "guide1", 4)
    assert same.planner.name == "rules" and same.prompt == "a dog" and last.planner.sha256
    assert guides_by_model(str(tiny), stops, PlanRequest("", seed=4), PlanCallbacks()) == guides


def test_where_a_model_gives_none_the_rules_do(tmp_path):
    endless = write_tiny(tmp_path / "endless.gguf", ends=False)
    stops = [("a statue", "a dragon")]
    (made,) = guides_by_model(str(endless), stops, PlanRequest("", retries=0, timeout=0.0), PlanCallbacks())
    assert made.prompt == "something halfway between a statue and a dragon"
    assert "endless.gguf gave no guide, asked once" in made.planner.instead_of and "the rules made it" in made.notes[0]
