"""What `laser animate` writes: names that are checked before the work, and what Make is told of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.output.look import Look
    from laser_cli.output.stream import StreamFormat
    from laser_cli.settings.schema import Settings

STDOUT = Path("-")


@dataclass(frozen=True)
class Outputs:
    """What is to be written; `stream` is the format of raw frames on stdout."""

    out: Path | None
    frames_dir: Path | None
    sheet: Path | None
    report: Path | None
    depfile: Path | None
    stream: StreamFormat | None
    resume: bool = False
    preview: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders, the primary output first."""
        return tuple(path for path in (self.out, self.frames_dir, self.sheet, self.report) if path)

    @property
    def unfinished(self) -> Path | None:
        """Where an unfinished render is kept with --resume."""
        return self.paths[0].with_name(f".{self.paths[0].name}.laser-render") if self.paths else None

    @property
    def kept(self) -> Path | None:
        """The same, if it is kept."""
        return self.unfinished if self.resume else None

    def check(self, settings: Settings, count: int, *, needed: bool = True) -> None:
        """Raises for outputs of `count` frames that cannot be; called before the work. Without `needed` none may be."""
        from laser_cli.output.atomic import check_folder
        from laser_cli.output.sink import check_sinks

        if needed and not self.paths and not self.stream:
            raise UsageError("nothing to write", hint="-o OUT.mp4, -o OUT.gif or --frames-dir DIR")
        check_sinks(self.out, self.frames_dir, self.sheet, look=look_of(settings), count=count, report=self.report)
        if self.depfile:
            if not self.paths:
                raise UsageError("--depfile needs an output that is a file", hint="-o OUT.mp4")
            if self.depfile.resolve() in {path.resolve() for path in self.paths}:
                raise UsageError("two outputs have the same name")
            check_folder(self.depfile)

        if self.resume and not self.paths:
            raise UsageError("--resume needs an output that is a file", hint="-o OUT.mp4")

        if self.preview:
            if self.preview.suffix.lower() != ".png":
                raise UsageError(
                    f"cannot write {self.preview.name}: a preview is a PNG", hint="a name that ends in .png"
                )
            check_folder(self.preview)

    def show(self, pictures: list[tuple[int, np.ndarray]]) -> None:
        """Writes the preview: a viewer finds the old sheet or the new one."""
        from laser_cli.output.atomic import staged
        from laser_cli.output.frames import write_png
        from laser_cli.output.sheet import contact_sheet

        assert self.preview is not None
        with staged(self.preview) as part:
            write_png(part, contact_sheet(pictures))

    def are_current(self, fingerprint: str) -> bool:
        """Whether all are there and were made of the same."""
        from laser_cli.output.make import is_current

        return all(is_current(path, fingerprint) for path in self.paths)

    def note_dependencies(self, read: Sequence[Path]) -> None:
        """Writes the dependency file, if one is wanted."""
        from laser_cli.output.make import write_depfile

        if self.depfile:
            write_depfile(self.depfile, self.paths[0], read)


def read_outputs(params: Mapping[str, Any]) -> Outputs:
    """The outputs of a command line; UsageError for options that contradict each other."""
    out, format = params["out"], params["format"]
    streams = out == STDOUT
    for name, ending in (("codec", ".webm"), ("still", ".png")):
        if params[name] is not None and (out is None or out.suffix.lower() != ending):
            raise UsageError(f"--{name} is for an output that ends in {ending}", hint=f"-o OUT{ending} --{name} …")
    if format is not None and not streams:
        raise UsageError("--format is for raw frames on stdout", hint="-o - --format y4m")
    if streams and params["json"]:
        raise UsageError("both -o - and --json", why="stdout is either the frames or the result")
    if streams and params["skip_existing"]:
        raise UsageError("--skip-existing needs an output that is a file", hint="-o OUT.mp4")
    if streams and sys.stdout.isatty() and not params["dry_run"]:
        raise UsageError("raw frames are not for a terminal", hint="-o - --format y4m | ffplay -")
    stream: StreamFormat | None = ("rgb24" if format and format.value == "rgb24" else "y4m") if streams else None
    names = ("frames_dir", "sheet", "report", "depfile")
    frames_dir, sheet, report, depfile = (params[name] for name in names)
    unfinished = (params["resume"], params["preview"])
    return Outputs(None if streams else out, frames_dir, sheet, report, depfile, stream, *unfinished)


def look_of(settings: Settings) -> Look:
    """The viewer's side of the settings."""
    from laser_cli.output.look import Look

    return Look(
        settings.fps,
        None if settings.loop == "none" else settings.loop,
        settings.bounce,
        settings.hold_first,
        settings.hold_last,
        settings.quality,
        settings.palette,
        settings.codec,
        settings.still,
    )
