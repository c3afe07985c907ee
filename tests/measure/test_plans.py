"""What counts as a rightly planned change."""

from dataclasses import replace

from laser_cli.measure.plans import bench_rules, differences, is_right, scene_attributes
from laser_cli.plan.schema import Plan, Segment
from laser_cli.storybook.changes import Change
from laser_cli.storybook.scenes import Scene, pure

BALL = Scene()
CHANGE = Change(
    BALL,
    "a red ball in a meadow at noon",
    "it becomes a cube, then night falls",
    (replace(BALL, subject=pure("cube")), replace(BALL, subject=pure("cube"), hour=0.0)),
    (("subject",), ("time",)),
)


def planned(*prompts: str) -> Plan:
    return Plan(source=CHANGE.source_prompt, segments=[Segment(prompt=p, frames=4) for p in prompts])


def test_right_plans_have_every_stage_in_order():
    cube, night = "a red cube in a meadow at noon", "a red box in a field by night"
    assert is_right(planned(cube, night), CHANGE)
    assert not is_right(planned(night, cube), CHANGE)
    assert not is_right(planned(night), CHANGE)
    assert not is_right(planned(cube, night + ", covered in snow"), CHANGE)


def test_differences_name_what_is_said_and_what_is_true():
    assert differences("a red ball in a meadow at noon", BALL) == {}
    assert differences("a small blue ball in a meadow at noon in the rain", BALL) == {
        "colour": ("blue", "red"),
        "rain": ("steady", "none"),
        "size": ("small", "medium"),
    }


def test_attributes_of_a_scene():
    assert scene_attributes(replace(BALL, snow=1.0, clouds=0.95)) == {
        "subject": "ball", "colour": "red", "pattern": "plain", "setting": "meadow", "time": "noon", "rain": "none",
        "snowfall": "none", "snow": "deep", "size": "medium", "place": "middle", "style": "none", "sky": "overcast",
    }  # fmt: skip


def test_bench_figures():
    figures = bench_rules(60, 7)
    assert len(figures) == 4
    assert all(f.unit == "%" and f.target == 95 and f.holds == (f.value >= 95) for f in figures)
