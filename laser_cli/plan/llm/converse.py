"""Old names, until the commands use the new ones."""

from laser_cli.plan.request import PlanCallbacks as Watcher  # noqa: F401
