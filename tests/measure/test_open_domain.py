"""Descriptions of the open world: what is in them, and that their checks fail where a plan is wrong."""

import pytest

from laser_cli.measure.figures import Figure, as_json, as_text
from laser_cli.measure.open_domain import ALL, SETS, Sentence, applied, checks, said, sentences
from laser_cli.measure.planners import NoPlan, tally_open
from laser_cli.measure.plans import by_rules
from laser_cli.plan.schema import Plan, Segment

STORY = Sentence("the sun sets, then it rains", "a red car", ("sunset|dusk", "rain"), ("rain",), ("red",), "car")


def plan(*prompts: str, source: str = "a red car") -> Plan:
    return Plan(source=source, segments=[Segment(prompt=p, frames=4) for p in prompts])


@pytest.mark.parametrize("name", SETS)
def test_there_are_many_kinds_and_each_can_be_checked(name):
    all_of_them = sentences(name)
    assert len(all_of_them) >= 60 and len({s.description for s in all_of_them}) == len(all_of_them)
    if name == "open domain":
        assert sum(bool(s.stages) for s in all_of_them) >= 12 and sum(s.source is None for s in all_of_them) >= 7
    for s in all_of_them:
        assert s.goal or s.gone or s.stages
        for words in (*s.stages, *s.goal):
            assert s.source is None or not said(s.source, words), (s.source, words)
        for words in (*s.gone, s.subject):
            assert not words or said(f"{s.source or ''} {s.description}", words), (s.description, words)
    named = set().union(*(applied(s) for s in all_of_them[:12]))
    assert {"what ends is gone", "subject kept"} <= named  # a few are of all kinds


@pytest.mark.parametrize(
    ("made", "failed"),
    [
        (plan("a blue car at sunset", "a blue car in the rain"), set()),
        (None, {"plan made and valid", "prompts of its own", "stages in order", "subject kept"}),
        (plan("a blue car in the rain", "a blue car in the rain at sunset"), {"stages in order"}),
        (plan("a blue car in the rain at dusk"), {"stages in order"}),
        (plan("a blue car at sunset", "a blue car at dusk"), {"stages in order", "goal words in the last prompt"}),
        (plan("a car at sunset", "a red car in the rain"), {"what ends is gone"}),
        (plan("a sunset", "a car in the rain"), {"subject kept"}),
        (plan("a car at sunset", "a car, the sun sets, then it rains"), {"prompts of its own"}),
        (plan("a car at sunset", "a car at sunset", "a car in the rain"), {"plan made and valid"}),
        (plan("a car at sunset", "a car in the rain, " + "wet " * 90), {"plan made and valid"}),
    ],
)
def test_each_check_fails_where_it_should(made, failed):
    found = checks(made, STORY)
    assert len(found) == 7 and found[ALL] == (not failed)
    assert failed <= {name for name, right in found.items() if not right}
    if made:
        assert {name for name, right in found.items() if not right} == failed | ({ALL} if failed else set())


def test_words_are_found_with_common_endings_only():
    assert (
        said("a melting snowman", "melt") and said("Rainy streets", "street|x") and said("a green frog", "green frog")
    )
    assert not said("a rainbow", "rain") and not said("a scar", "car") and not said("a frog on green", "green frog")


def test_the_rules_on_the_open_world():
    found = tally_open(by_rules, sentences())
    assert found.share("plan made and valid") == 100 and found.share(ALL) >= 75
    assert found.asked[ALL] == len(sentences())
    held_out = tally_open(by_rules, sentences("open world, held out"))
    assert held_out.share("plan made and valid") == 100 and held_out.share(ALL) >= 75


def test_a_planner_that_gives_none_is_wrong_in_all():
    def none(description: str, source: str | None) -> Plan:
        raise NoPlan("none")

    found = tally_open(none, sentences()[:5])
    assert found.asked[ALL] == 5 and not any(found.right.values())


def test_a_figure_says_on_how_many_it_was_measured():
    some, plain = Figure("a", 1.0, "%", of=12), Figure("b", 2.0)
    assert "of 12" in as_text([some]) and "of" not in as_text([plain])
    first, second = as_json("plan", [some, plain])["figures"]
    assert first["of"] == 12 and set(second) == {"name", "value", "unit", "target", "holds"}
