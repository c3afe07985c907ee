"""What a command writes: names that are checked before the work, and what Make is told of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from laser_cli.errors import UsageError
from laser_cli.jobs import names
from laser_cli.jobs.fields import Frozen, setting
from laser_cli.jobs.inputs import COPIES
from laser_cli.jobs.settings import Playback
from laser_cli.output.depfile import check_names, is_depfile, write_depfile

if TYPE_CHECKING:
    import numpy as np

    from laser_cli.jobs.inputs import Input
    from laser_cli.output.look import Look
    from laser_cli.output.stream import StreamFormat

STDOUT = Path("-")
PANEL = "Output"
PREVIEW = {"version": 1, "program": "laser", "command": "preview"}
"""The record of a preview: it tells that laser made the file, and cannot be run again."""


class Outputs(Frozen):
    """What is to be written, and what is done about files that are there already."""

    out: Path | None = setting(
        None,
        PANEL,
        "File to write: .mp4, .mov, .mkv, .webm, .gif, .webp or .apng; .png is one frame (--still); - streams raw "
        f"frames. {names.HELP}",
        "--output",
        "-o",
    )
    format: Literal["y4m", "rgb24"] | None = setting(
        None, PANEL, "Of the frames that -o - streams. (default: y4m)", "--format"
    )
    frames_dir: Path | None = setting(None, PANEL, "Write the frames as PNG files into this folder.")
    sheet: Path | None = setting(None, PANEL, "Write a contact sheet (.png).")
    report: Path | None = setting(None, PANEL, "Write a page with player, plan and settings (.html).")
    depfile: Path | None = setting(None, PANEL, "Write what the output depends on, for Make's include (.d).")
    audio: Path | None = setting(None, PANEL, "Sound of an mp4, mov, mkv or webm, cut or filled up to its length.")
    force: bool = setting(
        False, PANEL, "Replace files that are read-only or that laser did not make; never one that is read.", "--force"
    )
    no_clobber: bool = setting(False, PANEL, "Refuse to replace an output that is there.", "--no-clobber")
    skip_existing: bool = setting(
        False, PANEL, "Do nothing if the outputs are there and were made of the same.", "--skip-existing"
    )
    resume: bool = setting(
        False, PANEL, "Keep what is drawn in a hidden file while it runs, and go on from it.", "--resume"
    )
    preview: Path | None = setting(None, PANEL, "Write a sheet (.png) of what is being drawn, every few seconds.")

    @property
    def templates(self) -> dict[str, Path]:
        """The names with fields that are not filled yet, by their options."""
        written = ("out", "frames_dir", "sheet", "report", "depfile", "preview")
        named = {key: getattr(self, key) for key in written}
        return {key: path for key, path in named.items() if path is not None and names.is_template(path)}

    def named(self, values: Mapping[str, names.Value]) -> Outputs:
        """The same with the fields of its names filled."""
        filled = {key: Path(names.fill(path, values)) for key, path in self.templates.items()}
        return self.model_copy(update=filled)

    @property
    def ending(self) -> str:
        """What the name of -o ends in, in small letters."""
        return names.ending(self.out) if self.out is not None and not self.stream else ""

    @property
    def stream(self) -> StreamFormat | None:
        """The format of raw frames on stdout, if they go there."""
        return (self.format or "y4m") if self.out == STDOUT else None

    @property
    def file(self) -> Path | None:
        """The file of -o."""
        return None if self.stream else self.out

    @property
    def holds_sound(self) -> bool:
        """Whether the file of -o is one that can hold sound."""
        from laser_cli.output.video import FILMS

        return self.ending in FILMS

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders, the primary output first."""
        return tuple(path for path in (self.file, self.frames_dir, self.sheet, self.report) if path)

    @property
    def unfinished(self) -> Path | None:
        """Where an unfinished render is kept with --resume."""
        from laser_cli.output.atomic import hidden_name

        return self.paths[0].with_name(hidden_name(self.paths[0].name, ".laser-render")) if self.paths else None

    def guard(self, read: Sequence[Path], again: Path | None = None) -> None:
        """Raise for outputs that are read, that are not laser's, or that cannot be written.

        Called before anything takes time. `read` are the files that the run reads, which are never replaced; `again`
        the output that is run again.
        """
        from laser_cli.output.atomic import check_frames_dir, check_target
        from laser_cli.output.guard import check_outputs

        files = [path for path in (self.file, self.sheet, self.report, self.depfile, self.preview) if path]
        ours = {self.depfile: is_depfile} if self.depfile else None
        check_outputs(files, read, frames_dir=self.frames_dir, force=self.force, again=again, ours=ours)
        for path in files:
            check_target(path, force=self.force)
        if self.frames_dir:
            check_frames_dir(self.frames_dir)
        if self.depfile and self.paths:
            check_names(self.paths[0], dependencies(read))

    def check(
        self,
        look: Look,
        count: int,
        *,
        read: Sequence[Path] = (),
        again: Path | None = None,
        needed: bool = True,
    ) -> None:
        """Raise for outputs of `count` frames that cannot be; called before the work. Without `needed` none may be.

        `read` and `again` as of `guard`.
        """
        from laser_cli.output.sink import check_sinks

        if needed and not self.paths and not self.stream:
            raise UsageError("nothing to write", hint="-o OUT.mp4, -o OUT.gif or --frames-dir DIR")
        for option, wanted in (("--depfile", self.depfile), ("--resume", self.resume)):
            if wanted and not self.paths:
                raise UsageError(f"{option} needs an output that is a file", hint="-o OUT.mp4")
        if self.preview and self.preview.suffix.lower() != ".png":
            raise UsageError(f"cannot write {self.preview.name}: a preview is a PNG", hint="a name that ends in .png")
        check_sinks(
            self.file, self.frames_dir, self.sheet, look=look, count=count, report=self.report, force=self.force
        )
        self.guard(read, again)

    def show(self, pictures: list[tuple[int, np.ndarray]]) -> None:
        """Write the preview: a viewer finds the old sheet or the new one."""
        from laser_cli.output.atomic import staged
        from laser_cli.output.frames import write_png
        from laser_cli.output.sheet import contact_sheet

        assert self.preview is not None
        with staged(self.preview, force=self.force) as part:
            write_png(part, contact_sheet(pictures), PREVIEW)

    def are_current(self, fingerprint: str) -> bool:
        """Whether all are there and were made of the same."""
        from laser_cli.output.make import is_current

        return all(is_current(path, fingerprint) for path in self.paths)

    def note_dependencies(self, read: Sequence[Path]) -> None:
        """Write the dependency file, if one is wanted."""
        if self.depfile:
            write_depfile(self.depfile, self.paths[0], dependencies(read), force=self.force)


def dependencies(read: Sequence[Path]) -> list[Path]:
    """The files among those that a run reads which Make can look at: no pipes, no stdin."""
    return [path for path in read if path not in COPIES and (not path.exists() or path.is_file())]


def look_of(settings: Playback, audio: Input | None = None, sound_from: float = 0.0) -> Look:
    """The viewer's side of the settings, and the sound, of which `sound_from` stands at frame 0."""
    from laser_cli.output.look import Look

    values = {name: getattr(settings, name) for name in Playback.model_fields}
    loop = None if settings.loop == "none" else settings.loop
    return Look(**values | {"loop": loop, "audio": audio.path if audio else None, "audio_from": sound_from})
