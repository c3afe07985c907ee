"""What descriptions say about the animation: taken out, applied or reported; and the ways back to the picture."""

import pytest

from laser_cli.errors import BadInputError
from laser_cli.plan.directions import lead_back, read_directions
from laser_cli.plan.intermediate import with_intermediate_keyframes
from laser_cli.plan.planners import make_plan
from laser_cli.plan.request import PlanRequest
from laser_cli.plan.rules import plan_by_rules
from laser_cli.plan.schema import Plan, Segment


@pytest.mark.parametrize(
    ("description", "left", "back", "note"),
    [
        ("night falls and back again", "night falls", True, ""),
        ("a cat turns into a dog and back", "a cat turns into a dog", True, ""),
        ("the house turns blue, then returns to normal", "the house turns blue", True, ""),
        ("first she smiles, and finally back to normal", "first she smiles", True, ""),
        ("the boat drifts to the left, looping", "the boat drifts to the left", True, ""),
        ("could you please make the ball turn blue? thanks", "make the ball turn blue", False, ""),
        ("I'd like to see how the flower blooms", "the flower blooms", False, ""),
        ("the leaves turn red, nothing else should change", "the leaves turn red", False, ""),
        ("the ball turns blue. Keep everything else the same.", "the ball turns blue.", False, ""),
        ("night falls over four seconds", "night falls", False, "over four seconds"),
        ("night falls, in 4k", "night falls", False, "in 4k"),
        ("the camera slowly zooms out while night falls", "night falls", False, "the camera stays"),
        ("zoom in on the cat and it opens its eyes", "it opens its eyes", False, "zoom in on the cat"),
        # these are about the picture
        ("over the years it rusts", "over the years it rusts", False, ""),
        ("the door opens in the background", "the door opens in the background", False, ""),
        ("the carriage turns back into a pumpkin", "the carriage turns back into a pumpkin", False, ""),
        ("a camera appears on the table", "a camera appears on the table", False, ""),
        # nothing would be left
        ("please", "please", False, ""),
    ],
)
def test_directions_are_taken_out(description, left, back, note):
    found = read_directions(description)
    assert (found.description, found.back) == (left, back)
    assert (note in found.notes[0]) if note else not found.notes


def test_a_way_back_ends_at_the_source():
    plan, notes = plan_by_rules("night falls and back again, please", "a house at noon", 25)
    assert plan.prompts == ("a house at noon", "a house at night", "a house at noon") and notes == ()
    assert [s.back for s in plan.segments] == [False, True] and plan.total_frames == 25
    assert plan.description == "night falls and back again, please"
    longer = with_intermediate_keyframes(plan)
    assert [s.back for s in longer.segments] == [False] * 4 + [True] and longer.prompts[-1] == plan.source
    with pytest.raises(BadInputError, match="too few"):
        plan_by_rules("night falls and back", "a house", 2)
    twice = make_plan("rules", PlanRequest("night falls and back", "a house at noon", frames=40), intermediate=False)
    assert twice.plan.prompts == plan.prompts


@pytest.mark.parametrize(
    ("description", "source", "backs"),
    [
        ("night falls, then day again", "a house at noon", [False, True]),
        ("night falls, then day again", "a house", [False, True]),
        ("night falls, then day again, then it snows", "a house at noon", [False, True, False]),
        ("the ball turns blue, then red again", "a red ball", [False, True]),
        ("it becomes a cube, then a ball again", "a red ball in a meadow", [False, True]),
        ("it starts to rain, then the rain stops", "a house", [False, True]),
        ("it snows, then it rains, then it snows again", "a house", [False, False, False]),
        ("nothing changes, then night falls", "a house", [False, False]),
    ],
)
def test_stages_that_say_what_the_source_says_lead_back(description, source, backs):
    assert [s.back for s in plan_by_rules(description, source).plan.segments] == backs


def test_a_plan_that_ends_at_its_source_already_only_says_so():
    segments = (Segment(prompt="a dog", frames=5), Segment(prompt="a cat", frames=5))
    assert [s.back for s in lead_back(Plan(source="a cat", segments=segments)).segments] == [False, True]


@pytest.mark.parametrize(
    ("description", "source", "prompts"),
    [
        ("she smiles and night falls", "a red house", ("a red house at night",)),
        ("it winks, then night falls", "a red house", ("a red house at night",)),
        ("the house smiles", "a red house", ("a red house smiling",)),
        ("she smiles", "a dragon in a castle", ("a dragon smiling in a castle",)),
        ("he waves", "a house with a man", ("a house waving with a man",)),
    ],
)
def test_faces_that_are_not_there_are_left_out_and_said(description, source, prompts):
    plan, notes = plan_by_rules(description, source)
    assert plan.prompts[1:] == prompts
    assert any("has a face" in note for note in notes) == ("smiles and" in description or "winks" in description)


@pytest.mark.parametrize(
    "description", ["she smiles", "his hair turns white", "the person turns left", "her eyes close"]
)
def test_nothing_but_faces_that_are_not_there(description):
    with pytest.raises(BadInputError, match="shows no face"):
        plan_by_rules(description, "a red house in a meadow")
