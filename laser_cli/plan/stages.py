"""Old names, until the commands use the new ones."""

from laser_cli.plan.rules.stages import read_stage as read_stage
from laser_cli.plan.rules.stages import split_stages as split_stages
