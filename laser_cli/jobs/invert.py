"""The job of `laser invert`: a picture, what it shows, and how it is inverted."""

from __future__ import annotations

from typing import ClassVar

from laser_cli.jobs.inputs import Input
from laser_cli.jobs.job import Job
from laser_cli.jobs.settings import InvertSettings


class InvertJob(Job):
    """An inversion of a picture under its prompt."""

    verb: ClassVar[str] = "invert"

    settings: InvertSettings
    image: Input
    prompt: str

    @property
    def prompts(self) -> tuple[str, ...]:
        """Everything that the text encoder reads."""
        return (self.prompt,)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The files that it reads."""
        return (self.image,)
