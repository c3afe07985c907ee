"""The rule planner: a description of change becomes keyframe prompts by editing the source prompt in place."""

from laser_cli.plan.request import Planned, check_description
from laser_cli.plan.rules.phrases import parse_attributes
from laser_cli.plan.rules.planner import RulePlanner, control_for, plan_by_rules

__all__ = ["Planned", "RulePlanner", "check_description", "control_for", "parse_attributes", "plan_by_rules"]
