"""What all commands that write frames do, in one order: check, tell, skip, and only then the work."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laser_cli.cli.console import clock_text
from laser_cli.cli.options import RunOptions
from laser_cli.errors import UsageError
from laser_cli.jobs import names
from laser_cli.jobs.merge import Layer
from laser_cli.jobs.outputs import Outputs, look_of
from laser_cli.jobs.settings import FrameSettings

if TYPE_CHECKING:
    from laser_cli.jobs.build_animate import Built
    from laser_cli.jobs.job import FrameJob


class Production:
    """One run of a command that writes frames; made before its job, so that options that cannot be are told first."""

    def __init__(
        self,
        kind: type[FrameSettings],
        said: Layer,
        outputs: Outputs,
        options: RunOptions,
        again: Path | None = None,
    ) -> None:
        """`said` are settings of this `kind`; `again` is the output of an earlier run, which this one may replace."""
        for template in outputs.templates.values():
            names.check(template, names.fields(kind))
        _check_options(said.values, outputs, options)
        options.check_exec(files=bool(outputs.paths) or options.dry_run)
        self.outputs, self.options, self.again = outputs, options, again
        self._named: tuple[Path | None, ...] = ()
        self.console = options.console(verbose=options.verbose)
        if options.verbose:
            from laser_cli.cli.doctor import versions

            self.console.note(", ".join(f"{name} {version}" for name, version in versions().items()))

    def guard(self, *named: Path | None) -> None:
        """Refuse outputs that are among the files named on the command line, before a planner or a model is asked.

        With --no-clobber those that are there as well. Names with fields wait for `name`.
        """
        from laser_cli.jobs.outputs import STDOUT
        from laser_cli.output.make import refuse_clobber

        self._named = named
        if self.outputs.templates:
            return
        if self.outputs.no_clobber and not self.outputs.skip_existing:
            refuse_clobber(self.outputs.paths)

        read = [path for path in (*named, self.again, self.outputs.audio) if path is not None and path != STDOUT]
        self.outputs.guard(read, self.again)

    def name(self, values: Mapping[str, names.Value]) -> None:
        """Fill the fields of the outputs' names, and guard them."""
        if self.outputs.templates:
            self.outputs = self.outputs.named(values)
            self.guard(*self._named)

    def carry_out(self, built: Built, lines: Callable[[Mapping[str, Any]], Iterator[str]]) -> None:
        """Do the job, or tell its costs (`lines`: for people), or skip it."""
        from laser_cli.jobs.run import load, place, run
        from laser_cli.jobs.sinks import FileSinks
        from laser_cli.output.make import refuse_clobber

        job, outputs, console = _with_sound(built.job, self.outputs), self.outputs, self.console
        read = tuple(dict.fromkeys((*built.read, *(found.path for found in job.inputs))))
        look, again = look_of(job.settings, job.audio, job.sound_from), self.again
        outputs.check(look, job.count, read=read, again=again, needed=not self.options.dry_run)
        if self.options.dry_run:
            return self._tell(job.steps.costs(job), lines)
        here = place(job)
        if outputs.skip_existing and outputs.are_current(here.fingerprint):
            return self._skip(here, read)
        if outputs.no_clobber:
            refuse_clobber(outputs.paths)
        model = load(here.settings, console, self.options.threads)
        if job.revision not in (None, model.revision):
            console.warn(f"{model.name} is not what it was when the record was made: the pictures will differ")
        stream = sys.stdout.buffer if outputs.stream else None
        command = shlex.join(["laser", *sys.argv[1:]])
        result = run(here, model, FileSinks(outputs, read, stream, command, console.warn), console)
        if stream:  # who reads it sets its pace: its time is not remembered
            console.written(result.paths)
            self.options.run_exec(result.paths, console)
            return
        if job.timed:
            self._remember(here, result.size)
        console.result(result.paths, result.told)
        self.options.run_exec(result.paths, console)

    def _tell(self, costs: Mapping[str, Any], lines: Callable[[Mapping[str, Any]], Iterator[str]]) -> None:
        if self.console.json:
            return self.console.json_object({"paths": [], "dry_run": True, **costs})
        for line in (*lines(costs), *_lines(costs)):
            self.console.note(line)

    def _skip(self, job: FrameJob, read: Sequence[Path]) -> None:
        """Report outputs that are there already; they count as made now, so that Make is content."""
        from laser_cli.jobs.sinks import FileSinks

        for path in self.outputs.paths:
            with suppress(OSError):  # not ours, on a disk that is read-only
                os.utime(path)
        with FileSinks(self.outputs, warn=self.console.warn).aside("the dependency file"):
            self.outputs.note_dependencies(read)
        self.console.note("up to date: made of the same inputs and settings")
        self.console.result(self.outputs.paths, {"skipped": True, "fingerprint": job.fingerprint})

    def _remember(self, job: FrameJob, size: tuple[int, int]) -> None:
        """Keep what the stages took, for estimates of runs to come."""
        from laser_cli.jobs.timing import remember_run

        remember_run(job.settings, size, self.console.took)


def _with_sound(job: FrameJob, outputs: Outputs) -> FrameJob:
    """The job with the sound of --audio, in place of a record's; without any where the output holds none."""
    from laser_cli.jobs.inputs import Input

    if outputs.audio:
        return job.model_copy(update={"audio": Input.of(outputs.audio)})
    return job if outputs.holds_sound else job.model_copy(update={"audio": None})


def _check_options(said: Mapping[str, Any], outputs: Outputs, options: RunOptions) -> None:
    """UsageError for options that contradict each other."""
    for name, ending in (("codec", ".webm"), ("still", ".png")):
        if name in said and outputs.ending != ending:
            raise UsageError(f"--{name} is for an output that ends in {ending}", hint=f"-o OUT{ending} --{name} …")
    if outputs.audio and not outputs.holds_sound:
        raise UsageError("--audio is for a video", hint="-o OUT.mp4, .mov, .mkv or .webm")
    if not outputs.stream:
        if outputs.format is not None:
            raise UsageError("--format is for raw frames on stdout", hint="-o - --format y4m")
        return
    if options.json_:
        raise UsageError("both -o - and --json", why="stdout is either the frames or the result")
    if outputs.skip_existing:
        raise UsageError("--skip-existing needs an output that is a file", hint="-o OUT.mp4")
    if sys.stdout.isatty() and not options.dry_run:
        raise UsageError("raw frames are not for a terminal", hint="-o - --format y4m | ffplay -")


def _lines(costs: Mapping[str, Any]) -> Iterator[str]:
    """What the costs of all jobs have in common, for people."""
    evaluations, memory, time = costs["evaluations"], costs["memory"], costs["time"]
    size = "{} x {} px".format(*costs["size"]) if costs["size"] else "size not known"
    settings = costs["settings"]
    yield f"frames: {costs['frames']} ({costs['shown']} shown in one pass), {size}, {settings['fps']:g} a second"
    stages = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in evaluations.items() if n and name != "total")
    most = "at most " if "drafts" in evaluations else ""
    yield f"U-Net evaluations: {most}{evaluations['total']} ({stages})"
    if memory is None or time is None:
        why = "the model is not on this machine or not complete"
        yield from (f"memory: not known, {why}", f"time: not known, {why}")
        return
    parts = ", ".join(f"{name.replace('_', ' ')} {n / 2**20:.0f}" for name, n in memory.items() if name != "at_least")
    yield f"memory: at least {memory['at_least'] / 2**20:.0f} MiB ({parts}), libraries not counted"
    if time["measured"]:
        yield f"time: about {clock_text(time['seconds'])}, by earlier runs on this machine"
    else:
        yield f"time: very roughly {clock_text(time['seconds'])}, by the model's size; a run will measure it"
