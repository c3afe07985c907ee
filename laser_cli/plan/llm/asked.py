"""Old names, until the commands use the new ones."""

from laser_cli.plan.request import MOST_KEYFRAMES as MOST_KEYFRAMES
from laser_cli.plan.request import PlanRequest as Asked  # noqa: F401
