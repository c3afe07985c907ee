"""What every benchmark's command shares: the group, the model it runs on, and how figures are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from laser_cli.cli.options import Machine, Shown
from laser_cli.jobs.settings import ModelChoice, Placement

if TYPE_CHECKING:
    from laser_cli.cli.console import Console
    from laser_cli.measure.figures import Figure
    from laser_cli.models.model import Model

HELP = "Print measured figures beside their targets and baselines; the exit code is 0 whether or not they hold."
benches = typer.Typer(help=HELP)
Steps = Annotated[int, typer.Option(min=1, help="Denoising steps.")]
OwnSteps = Annotated[
    int | None, typer.Option(min=1, help="Denoising steps. (default: as laser draws)", show_default=False)
]
Guidance = Annotated[
    float | None,
    typer.Option(
        min=0, max=30, help="How strongly captions lead. (default: the model's own, or 3)", show_default=False
    ),
]
Whole = Annotated[bool, typer.Option("--whole/--no-whole", help="Also measure peak memory at 50 and 1,000 frames.")]


class OnModel(Shown, Machine, Placement):
    """What a bench of a model is run on."""

    def load(self, console: Console) -> Model:
        """The model, and what it runs on is said."""
        from laser_cli.jobs.run import load

        return load(ModelChoice(model=self.model, device=self.device, dtype=self.dtype), console, self.threads)


def show(console: Console, name: str, figures: Sequence[Figure]) -> None:
    """Print figures as text, or as one JSON object."""
    from laser_cli.measure.figures import as_json, as_text

    if console.json:
        console.json_object(as_json(name, figures))
    else:
        typer.echo(as_text(figures))
