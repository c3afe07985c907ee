"""Plans of the rule planner, frozen, so that a change of its code or tables that alters one is noticed."""

from pathlib import Path

import pytest
import yaml

from laser_cli.errors import BadInputError
from laser_cli.plan.rules import plan_by_rules

ROWS = yaml.safe_load(Path(__file__).with_name("frozen_plans.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", ROWS, ids=[row["description"][:60] for row in ROWS])
def test_plans_stay_as_they_were(row):
    try:
        plan, notes = plan_by_rules(row["description"], row.get("source"))
    except BadInputError as error:
        assert error.what == row.get("error")
        return
    assert [f"{segment.control}: {segment.prompt}" for segment in plan.segments] == row.get("plan")
    assert plan.source == row.get("source", row.get("named"))
    assert list(notes) == row.get("notes", [])


def test_the_set_is_large_and_of_many_kinds():
    assert len(ROWS) > 250
    controls = {planned.split(":")[0] for row in ROWS for planned in row.get("plan", ())}
    assert controls == {"texture", "motion", "hybrid", "hold"}
