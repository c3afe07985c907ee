"""Old names, until the commands use the new ones."""

import sys

from laser_cli.plan.request import PlanCallbacks, Planned, PlanRequest
from laser_cli.storybook import planner
from laser_cli.storybook.planner import EMBEDDED as EMBEDDED
from laser_cli.storybook.planner import StorybookPlanner
from laser_cli.storybook.planner import world_of as world_of


def at_home(request: PlanRequest) -> bool:
    return StorybookPlanner().claims(request)


def plan_by_embedded(request: PlanRequest, callbacks: PlanCallbacks) -> Planned:
    return StorybookPlanner().plan(request, callbacks)


planner.at_home, planner.plan_by_embedded = at_home, plan_by_embedded  # type: ignore[attr-defined]
sys.modules[__name__] = planner
