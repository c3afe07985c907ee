"""The lines form: its grammar, its worked examples, and what is made of numbered lines."""

import pytest

from laser_cli.plan.length import CLIP_TOKENS, clip_tokens
from laser_cli.plan.llm.draft import Unreadable
from laser_cli.plan.llm.forms import worked_examples
from laser_cli.plan.llm.lines import LinesForm
from laser_cli.plan.request import PlanRequest
from laser_cli.plan.schema import STRENGTHS

LINES = LinesForm()
SOURCE = "a red house in a meadow"


def read(description, *lines, source=SOURCE):
    answer = "\n".join(f"{i}. {line}" for i, line in enumerate(lines))
    return LINES.read(answer, PlanRequest(description, source))


def test_controls_and_strengths_come_from_what_changes():
    draft = read(
        "night falls, then the house grows, then it becomes a tree, then a bird appears",
        SOURCE,
        "a red house in a meadow at night",
        "a large red house in a meadow at night",
        "a large tree in a meadow at night",
        "a large tree in a meadow at night, with a bird",
    )
    assert [k.control for k in draft.keyframes] == ["texture", "motion", "hybrid", "hybrid"]
    assert [k.strength for k in draft.keyframes] == [STRENGTHS[k.control] for k in draft.keyframes]
    assert not draft.problems and draft.source == SOURCE


def test_lines_are_read_however_they_are_numbered_and_anything_else_is_not():
    answer = '0. x\n1) **a red house in a meadow at sunset.**\n 2: "a red house in a meadow at night"\nDone!'
    draft = LINES.read(answer, PlanRequest("night falls", SOURCE))
    assert [k.prompt for k in draft.keyframes] == [SOURCE + " at sunset", SOURCE + " at night"]
    for wrong in ("", "a house at night", "0. a house", "{}"):
        with pytest.raises(Unreadable):
            LINES.read(wrong, PlanRequest("night falls", SOURCE))


def test_things_of_the_worked_examples_are_asked_about():
    draft = read("night falls", SOURCE, "a red house in a meadow at night with a balloon")
    assert any("'balloon'" in problem for problem in draft.problems)
    assert not read("a balloon appears", SOURCE, "a red house in a meadow, with a balloon").problems


def test_a_source_is_named_by_the_request_and_not_invented():
    assert not read("a wolf becomes a dog", "a wolf", "a dog", source=None).problems
    draft = read("a wolf becomes a dog", "a wolf in a snowy forest", "a dog", source=None)
    assert any("'snowy'" in problem for problem in draft.problems)


@pytest.mark.parametrize("row", worked_examples("lines1"), ids=lambda row: row["description"])
def test_worked_examples_pass_their_own_checks(row):
    source = row["source"] or row["named"]
    answer = "\n".join(f"{i}. {line}" for i, line in enumerate([source, *row["answer"]]))
    request = PlanRequest(row["description"], row["source"])
    draft = LINES.read(answer, request)
    foreign = any(word in row["description"] for word in ("es beginnt", "la voiture"))  # no check knows these words
    assert foreign or not [p for p in draft.problems if "does not speak of" not in p]
    assert [k.prompt for k in draft.keyframes] == row["answer"]
    assert all(clip_tokens(k.prompt) <= CLIP_TOKENS for k in draft.keyframes)


def test_examples_near_the_request_are_chosen_after_those_that_are_always_there():
    rows = worked_examples("lines1")
    always = [row["description"] for row in rows if row.get("always")]
    shown = [question.description for question, _ in LINES.examples(PlanRequest("the apple rots", "a green apple"))]
    assert shown[: len(always)] == always and shown[-1] == "the apple ripens and then rots"
    messages = LINES.messages(PlanRequest("the apple rots", "a green apple"))
    other = LINES.messages(PlanRequest("she smiles", "a portrait of a girl"))
    count = LINES.shared(messages)
    assert messages[:count] == other[:count] and messages[-1] != other[-1]
    assert messages[count - 1]["role"] == "assistant"


def test_the_grammar_follows_the_request():
    llama_cpp = pytest.importorskip("llama_cpp")
    given = LINES.grammar(PlanRequest("x", SOURCE, keyframes=2))
    assert LINES.opening(PlanRequest("x", SOURCE)) == f"0. {SOURCE}\n1." and LINES.opening(PlanRequest("x")) == "0."
    assert "more2" in given and "more3" not in given and ")?" not in given
    assert "more6" in LINES.grammar(PlanRequest("x", None)) and "more7" not in LINES.grammar(PlanRequest("x", None))
    assert "more3" not in LINES.grammar(PlanRequest("x", SOURCE, frames=3))
    assert llama_cpp.LlamaGrammar.from_string(given, verbose=False)
