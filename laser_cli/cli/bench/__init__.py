"""`laser bench`: what was promised, measured on this machine; the exit code is 0 whether or not it holds."""

from __future__ import annotations

import typer

from laser_cli.cli.bench import every, methods, models
from laser_cli.cli.bench.common import benches

__all__ = ["every", "methods", "models", "register"]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(benches, name="bench")
