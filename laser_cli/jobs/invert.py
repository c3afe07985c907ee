"""The job of `laser invert`: a picture, what it shows, and how it is inverted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from laser_cli.jobs.inputs import Input
from laser_cli.jobs.job import Job
from laser_cli.jobs.settings import InvertSettings, ModelChoice

if TYPE_CHECKING:
    from laser_cli.engine.models import Model
    from laser_cli.jobs.progress import Progress
    from laser_cli.jobs.run import Result
    from laser_cli.jobs.sinks import Sinks


class InvertJob(Job):
    """An inversion of a picture under its prompt."""

    verb: ClassVar[str] = "invert"

    settings: InvertSettings
    image: Input
    prompt: str

    @property
    def choice(self) -> ModelChoice:
        """The settings."""
        return self.settings

    @property
    def prompts(self) -> tuple[str, ...]:
        """Everything that the text encoder reads."""
        return (self.prompt,)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The files that it reads."""
        return (self.image,)

    def run(self, model: Model, sinks: Sinks, progress: Progress) -> Result:
        """Invert the picture, and measure how well it can be drawn again."""
        from laser_cli.jobs.run_invert import invert

        return invert(self, model, sinks, progress)
