"""--exec: a command of the user's for every finished output."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from laser_cli.cli.console import Console
from laser_cli.errors import UsageError, reason
from laser_cli.jobs.fields import Frozen, setting


class Afterwards(Frozen):
    """What happens when the outputs are in place."""

    exec: str | None = setting(
        None,
        "Output",
        "Run this for every path that is printed, which stands for {}, or comes last; no shell, unless it is one: "
        "sh -c '…'. Its failure is told, and the output stays.",
        "--exec",
        metavar="CMD {}",
    )

    def check_exec(self, files: bool) -> None:
        """Raise UsageError for a command that cannot be run, or that no file is written for; before the work."""
        if self.exec is None:
            return
        program = self._words()[0]
        if shutil.which(program) is None:
            raise UsageError(f"--exec: there is no program {program}")
        if not files:
            raise UsageError("--exec needs an output that is a file", hint="-o FILE")

    def run_exec(self, paths: Sequence[Path], console: Console) -> None:
        """Run the command for each of the paths; what it prints goes to stderr, and its failure is a warning."""
        if self.exec is None:
            return
        words = self._words()
        words = words if any("{}" in word for word in words) else [*words, "{}"]
        for path in paths:
            name = os.path.join(os.curdir, path) if str(path).startswith("-") else str(path)
            command = [word.replace("{}", name) for word in words]
            try:
                code = _run(command, console)
            except OSError as error:
                console.warn(f"--exec: {command[0]} cannot be run: {reason(error)}", always=True)
                continue
            if code:
                console.warn(f"--exec: {shlex.join(command)} ended with exit code {code}", always=True)

    def _words(self) -> list[str]:
        assert self.exec is not None
        try:
            words = shlex.split(self.exec)
        except ValueError as error:
            raise UsageError(f"--exec: {self.exec} is no command", why=str(error)) from error
        if not words:
            raise UsageError("--exec names no command", hint="--exec 'cp {} /somewhere'")
        return words


def _run(command: Sequence[str], console: Console) -> int:
    """The exit code of a command, without stdin; stdout is the result's, so what the command prints is a note."""
    if not console.events:
        sys.stderr.flush()
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.__stderr__, check=False).returncode
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, errors="replace", **streams) as process:  # type: ignore[call-overload]
        for line in process.stdout:
            console.note(line.rstrip("\n"))
    return int(process.returncode)
