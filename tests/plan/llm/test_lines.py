"""The lines form: its grammar, its worked examples, and what is made of numbered lines."""

import pytest

from laser_cli.plan.length import CLIP_TOKENS, clip_tokens
from laser_cli.plan.llm.draft import Unreadable
from laser_cli.plan.llm.forms import worked_examples
from laser_cli.plan.llm.lines import LinesForm
from laser_cli.plan.request import PlanRequest
from laser_cli.plan.rules.face_track import face_track
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


@pytest.mark.parametrize("row", worked_examples("lines2"), ids=lambda row: row["description"])
def test_worked_examples_pass_their_own_checks(row):
    source = row["source"] or row["named"]
    lines = [f"{i}. {line}" for i, line in enumerate([source, *row["answer"]])]
    answer = "\n".join([*lines, *row.get("face", ())])
    request = PlanRequest(row["description"], row["source"])
    draft = LINES.read(answer, request)
    foreign = any(word in row["description"] for word in ("es beginnt", "la voiture"))  # no check knows these words
    assert foreign or not [p for p in draft.problems if "does not speak of" not in p]
    assert [k.prompt for k in draft.keyframes] == row["answer"]
    assert all(clip_tokens(k.prompt) <= CLIP_TOKENS for k in draft.keyframes)
    assert bool(draft.face) == ("face" in row) == request.face and not any("face track" in r for r in draft.repairs)


def test_examples_near_the_request_are_chosen_after_those_that_are_always_there():
    rows = worked_examples("lines2")
    always = [row["description"] for row in rows if row.get("always")]
    shown = [question.description for question, _ in LINES.examples(PlanRequest("the apple rots", "a green apple"))]
    assert shown[: len(always)] == always and shown[-1] == "the apple ripens and then rots"
    messages = LINES.messages(PlanRequest("the apple rots", "a green apple"))
    other = LINES.messages(PlanRequest("she smiles", "a portrait of a girl"))  # with a face
    count, chosen = LINES.shared(messages)
    assert messages[:count] == other[:count] and messages[-1] != other[-1]
    assert messages[count - 1]["role"] == messages[chosen - 1]["role"] == "assistant"
    assert messages[:chosen] != other[:chosen] and len(messages) == chosen + 1


def test_the_grammar_follows_the_request():
    llama_cpp = pytest.importorskip("llama_cpp")
    given = LINES.grammar(PlanRequest("x", SOURCE, keyframes=2))
    assert LINES.opening(PlanRequest("x", SOURCE)) == f"0. {SOURCE}\n1." and LINES.opening(PlanRequest("x")) == "0."
    assert "more2" in given and "more3" not in given and ")?" not in given
    assert "more6" in LINES.grammar(PlanRequest("x", None)) and "more7" not in LINES.grammar(PlanRequest("x", None))
    assert "more3" not in LINES.grammar(PlanRequest("x", SOURCE, frames=3))
    assert llama_cpp.LlamaGrammar.from_string(given, verbose=False)


PORTRAIT = "a portrait of a girl"
SMILES = PlanRequest("she smiles, then she turns her head to the left", PORTRAIT)
SMILED = f"0. {PORTRAIT}\n1. a portrait of a smiling girl\n2. a portrait of a smiling girl facing left"


def test_a_face_is_told_in_lines_of_its_own():
    draft = LINES.read(f"{SMILED}\nat 50 %: smiling 80\nat 100 %: smiling 80, turned left 20", SMILES)
    assert not draft.problems and len(draft.keyframes) == 2
    start, middle, end = draft.face
    assert (start.at, start.expression, start.yaw) == (0, {}, 0)
    assert middle.at == 50 and middle.expression["mouthSmileLeft"] == middle.expression["mouthSmileRight"] == 80
    assert (end.at, end.yaw) == (100, -20) and end.expression == middle.expression


def test_a_face_that_leaves_out_what_is_asked_is_made_from_the_request():
    draft = LINES.read(f"{SMILED}\nat 100 %: angry 90", SMILES)
    assert any("did not show 'smiling'" in repair for repair in draft.repairs) and not draft.problems
    assert draft.face == face_track(SMILES.description) and draft.face[-1].yaw < 0
    assert "browDownLeft" not in draft.face[-1].expression and draft.face[1].expression["mouthSmileLeft"]


@pytest.mark.parametrize(
    ("description", "source", "face"),
    [
        ("she smiles", PORTRAIT, True),
        ("the queen winks", None, True),
        ("he turns his head to the right", "a photo of a man", True),
        ("the statue slowly opens its eyes and looks up", "a marble statue of a woman", True),
        ("he takes off his hat", "a photo of a man", False),
        ("the robot walks away", "a robot in a street", False),
        ("the statue crumbles", "a statue of a king", False),
        ("the car turns left", "a red car on a road", False),
        ("she smiles", "a red house in a meadow", False),
    ],
)
def test_a_face_is_asked_for_only_where_an_expression_is_meant(description, source, face):
    request = PlanRequest(description, source)
    assert request.face == face and ("face ::=" in LINES.grammar(request)) == face
    assert ("what the face does" in LINES.question(request)) == face


def test_the_grammar_of_faces():
    llama_cpp = pytest.importorskip("llama_cpp")
    grammar = LINES.grammar(SMILES)
    assert grammar.startswith('root ::= " " text more2 face') and "smiling" in grammar
    assert llama_cpp.LlamaGrammar.from_string(grammar, verbose=False)
