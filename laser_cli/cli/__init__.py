"""The front door: commands, console policy, errors and exit codes."""
