"""The rule planner: a description of change becomes keyframe prompts by editing the source prompt in place."""

from laser_cli.plan.request import Planned, check_description
from laser_cli.plan.rules.planner import RulePlanner, control_for, plan_by_rules
from laser_cli.plan.wording.phrases import parse_attributes

__all__ = ["Planned", "RulePlanner", "check_description", "control_for", "parse_attributes", "plan_by_rules"]
