"""Old names, until the commands use the new ones."""

from laser_cli.plan.intermediate import with_intermediate_keyframes as with_waypoints  # noqa: F401
