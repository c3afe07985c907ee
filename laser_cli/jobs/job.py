"""Jobs: what can be asked for, as one frozen value that flags, presets, batch files, workers and records all become."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import Self

from laser_cli.jobs.fields import Frozen
from laser_cli.jobs.inputs import CONTENTS, Input, named
from laser_cli.jobs.settings import BESIDE, FrameSettings, ModelChoice

if TYPE_CHECKING:
    from laser_cli.models.model import Model


UNSAID = {
    "compile": False,
    "fit": "crop",
    "free_text_encoders": False,
    "motion_from": None,
    "negative_prompt": None,
    "noise_slerp": "whole",
    "scheduler": None,
    "timestep_spacing": None,
}
"""Settings that records only name where they are not these: so records of 0.1 stay as they were."""


class Job(Frozen, ABC):
    """A job: settings and inputs; picklable, and the same again from its JSON.

    `revision`: of the model that it is to run on, None for any (see ``run.place``).
    """

    verb: ClassVar[str]
    settings: ModelChoice
    revision: str | None = None

    @property
    @abstractmethod
    def prompts(self) -> tuple[str, ...]:
        """Everything that the text encoder reads."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[Input, ...]:
        """The files that it reads."""

    @property
    def steps(self) -> ModuleType:
        """The module in which this kind of job meets the engine, `run_<verb>`.

        It has ``run(job, model, sinks, progress) -> Result``; of a job that draws frames ``prepare(job, model, saved,
        progress) -> Rendering`` instead; and ``costs(job)``.
        """
        return import_module(f"laser_cli.jobs.run_{self.verb}")

    def with_settings(self, **changes: Any) -> Self:
        """The same job under other settings."""
        return self.model_copy(update={"settings": self.settings.model_copy(update=changes)})

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides what comes out: settings, plan, what the inputs hold, weights, version.

        Names and places of files do not count, nor does the number of a device. It is the one fingerprint: records
        keep it, --skip-existing and --resume compare it.
        """
        import laser_cli

        told = self.model_dump(mode="json", context=CONTENTS)
        told["settings"] = {key: value for key, value in told["settings"].items() if key not in ModelChoice.FILES}
        told["settings"]["device"] = self.settings.device.split(":")[0]
        told |= {"verb": self.verb, "version": laser_cli.__version__}
        return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class FrameJob(Job):
    """A job whose result is a row of frames."""

    settings: FrameSettings
    audio: Input | None = None
    """The sound of its videos."""

    @property
    def sound_from(self) -> float:
        """The second of the sound that stands at frame 0; negative where it begins later."""
        return 0.0

    @property
    def timed(self) -> bool:
        """Whether what its stages took tells how long such jobs will take."""
        return False

    @property
    @abstractmethod
    def count(self) -> int:
        """How many frames are written."""

    @property
    @abstractmethod
    def seed(self) -> int:
        """The seed that the record names."""

    @property
    @abstractmethod
    def recorded(self) -> dict[str, Any]:
        """The settings, plan and names of inputs as the record keeps them."""

    @classmethod
    @abstractmethod
    def unrecorded(cls, settings: dict[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
        """The fields beside the settings, as JSON, of a record; what is no setting is taken out of `settings`."""

    @staticmethod
    def unrecorded_audio(settings: dict[str, Any]) -> dict[str, Any] | None:
        """The sound among the settings of a record, as JSON; it is taken out of them."""
        told = settings.pop("audio", None)
        return named(told["name"], told["sha256"]) if told else None

    @property
    def recorded_settings(self) -> dict[str, Any]:
        """The settings that have no place of their own in a record."""
        told = self.settings.model_dump(mode="json", exclude=set(BESIDE))
        told = {key: value for key, value in told.items() if key not in UNSAID or value != UNSAID[key]}
        told |= {key: _named(told[key]) for key in ("lora", "embedding", "vae") if told.get(key)}
        return {**told, "audio": self.audio.recorded_file} if self.audio else told

    def record(self, model: Model, prompt: str | None, **more: Any) -> dict[str, Any]:
        """The record that the outputs carry; ``prompt`` is what the last picture shows."""
        from laser_cli.output.record import make_record

        return make_record(
            self.verb,
            self.recorded,
            seed=self.seed,
            prompt=prompt,
            model=model.name,
            revision=model.revision,
            dtype=str(model.dtype).removeprefix("torch."),
            device=model.device.type,
            fingerprint=self.fingerprint,
            **more,
        )


def _named(files: Any) -> Any:
    """Files as a record names them: without the folders of this machine."""
    if isinstance(files, list):
        return [_named(file) for file in files]
    return Path(files).name if Path(files).is_absolute() else files
