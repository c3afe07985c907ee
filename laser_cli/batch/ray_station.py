"""A station as an actor of Ray, and the versions by which driver and workers are compared."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from laser_cli.batch.station import InputsMissing, Setup
from laser_cli.batch.tasks import Outcome, Task, with_inputs

MakeStation = Callable[[Setup], Any]


def versions() -> dict[str, str]:
    """What decides pictures beside the weights, whose revision each task brings along: laser, and torch's release."""
    import laser_cli

    try:
        torch = version("torch").split("+")[0]  # the build, for CPUs or CUDA, differs by machine
    except PackageNotFoundError:
        torch = "missing"
    return {"laser": laser_cli.__version__, "torch": torch}


class RayStation:
    """A station as an actor: the same calls, with inputs that may come as objects."""

    def __init__(self, setup: Setup, make_station: MakeStation, folder: str) -> None:
        from laser_cli.engine.workers import wait_quietly

        wait_quietly()
        if os.path.isdir(folder):  # relative names of models mean the same as on the driver
            os.chdir(folder)
        self.station = make_station(setup)
        self.inputs: dict[str, Path] = {}

    def about(self, token: str = "") -> dict[str, Any]:
        """This worker's versions, the node that it runs on, and whether that sees a file of the driver's."""
        import ray

        node = ray.get_runtime_context().get_node_id()[:8]
        return {**versions(), "node": node, "shared": not token or os.path.exists(token)}

    def draw(self, task: Task, again: bool, digests: tuple[str, ...] = (), *contents: bytes) -> Any:
        """As of Station; the digests of inputs that are not here where there are any."""
        for digest, content in zip(digests, contents, strict=True):
            self._keep(digest, content)
        try:
            return self.station.draw(self._at_home(task), again=again)
        except InputsMissing as missing:
            return missing.digests

    def finish(self, number: int) -> Outcome:
        """As of Station."""
        outcome: Outcome = self.station.finish(number)
        return outcome

    def stop(self) -> None:
        """As of Station."""
        self.station.stop()

    def _keep(self, digest: str, content: bytes) -> None:
        if digest not in self.inputs:
            if not self.inputs:
                self.folder = tempfile.TemporaryDirectory(prefix="laser-inputs-")
            path = Path(self.folder.name, digest)
            path.write_bytes(content)
            self.inputs[digest] = path

    def _at_home(self, task: Task) -> Task:
        """The task with inputs that were sent in place of those that are not here."""
        if not self.inputs:
            return task
        job = with_inputs(
            task.read_job(),
            lambda found: (
                found.model_copy(update={"path": self._named(found)}) if found.sha256 in self.inputs else found
            ),
        )
        return task.model_copy(update={"job": job.model_dump_json()})

    def _named(self, found: Any) -> Path:
        """What was sent, under a name with the input's own ending."""
        path = self.inputs[found.sha256]
        named = path.with_name(path.name + found.path.suffix)
        if not named.exists():
            os.link(path, named)
        return named
