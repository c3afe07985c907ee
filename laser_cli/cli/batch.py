"""`laser batch`: many jobs of a file, on this machine or on a Ray cluster."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from laser_cli.cli.after import Afterwards
from laser_cli.cli.console import Console
from laser_cli.cli.options import CONFIGURABLE, Machine, Shown, expand
from laser_cli.errors import UsageError
from laser_cli.jobs.fields import Frozen, setting

if TYPE_CHECKING:
    from laser_cli.batch.run import Ran
    from laser_cli.batch.said import Given

STATUS = "status"
SOME_FAILED = 6


class Rows(Frozen):
    """What jobs there are, beside the file."""

    images: tuple[str, ...] = setting(
        (), None, "Instead of a file: one job for each picture that matches.", "--images", metavar="PATTERN"
    )
    description: str | None = setting(None, None, "With --images: what happens to each of them.", "--description", "-d")
    format: Literal["auto", "yaml", "jsonl", "csv"] | None = setting(
        None,
        None,
        "Of the file. (default: auto, by its ending or first line)",
        "--format",
        env="LASER_BATCH_FORMAT",
    )
    preset: str | None = setting(None, None, "A preset for all jobs that name none.", complete="presets")
    set: tuple[str, ...] = setting(
        (), None, "A field of all jobs, above what the file says; may be given several times.", metavar="KEY=VALUE"
    )


class Running(Frozen):
    """How a batch is run."""

    jobs: int | None = setting(
        None, "Method", "How many at a time, as far as memory allows. (default: 1; on Ray all that fit)", ge=1, le=1024
    )
    ray: str | None = setting(
        None, "Method", "Draw on Ray: a cluster that runs here, one at an address, or this machine.",
        metavar="auto|ADDRESS|local", min_length=1,
    )  # fmt: skip
    retries: int = setting(
        2, "Method", "How often a job is begun again whose worker was lost. (default: {default})", ge=0, le=100
    )
    resume: bool = setting(False, "Method", "Skip what is done, and go on with what was broken off.", "--resume")
    dry_run: bool = setting(
        False, None, "Check all jobs and tell work, memory and time; load no weights, write nothing.", "--dry-run"
    )


class Written(Frozen):
    """What a batch writes beside its outputs."""

    out: str = setting(
        ".", "Output", "Folder of the outputs, or an address such as s3://bucket/folder. (default: the current one)",
        "--output", "-o", metavar="DIR", env="LASER_BATCH_OUTPUT", min_length=1,
    )  # fmt: skip
    report: Path | None = setting(None, "Output", "Write a contact page of all outputs (.html).")
    junit: Path | None = setting(None, "Output", "Write the results as JUnit's XML, for CI.")
    state: Path | None = setting(
        None, "Output", "Folder of the journal. (default: .laser-batch in that of the outputs)", metavar="DIR"
    )


def batch(
    rows: Rows,
    running: Running,
    written: Written,
    machine: Machine,
    shown: Shown,
    after: Afterwards,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="JOBS | status DIR",
            help="A .yaml, .jsonl or .csv file of jobs, or - for stdin; status tells how far the batch in DIR is.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw many jobs of a file, on this machine or on a Ray cluster.

    Each row has the options of a command by their names: image, description, seed, frames and so on, and command where
    it is not animate. A list or a range (seed: [1..8]) stands for a job each. With - and --json it is a worker that
    stays: a JSON object a line in, a result a line out. Example: laser batch jobs.yaml -o out --report out/index.html
    """
    after.check_exec(files=True)
    console, words = shown.console(), arguments or []
    if words[:1] == [STATUS] and len(words) == 2:
        return _status(console, words[1], written.state)
    file = _file(words, rows)
    given = _given(rows, shown)
    whole = (
        running != Running()
        or written.report
        or written.junit
        or after.exec
        or rows.format not in (None, "auto", "jsonl")
    )
    if file is not None and str(file) == "-" and shown.json_ and not whole:
        return _stay(given, written.out, machine.threads, console)
    _run(file, given, rows, running, written, machine.threads, console, after)


def _run(
    file: Path | None,
    given: Given,
    rows: Rows,
    running: Running,
    written: Written,
    threads: int | None,
    console: Console,
    after: Afterwards,
) -> None:
    from laser_cli.batch.costs import lines_of
    from laser_cli.batch.rows import read_rows
    from laser_cli.batch.run import Way, dry_run, run_batch
    from laser_cli.cli.exits import Terminated

    name = "the command line" if file is None else "stdin" if str(file) == "-" else str(file)
    source = [_row(rows)] if file is None else read_rows(file, rows.format or "auto")
    _check_written(written, file)
    if running.dry_run:
        costs = dry_run(source, name, given, written.out, console)
        if console.json:
            return console.json_object({"dry_run": True, **costs})
        for line in lines_of(costs):
            console.note(line)
        return
    way = Way(running.jobs, running.ray, running.retries, running.resume, threads, not console.live)

    def told(task: Any, outcome: Any) -> None:
        paths = [_shown(written.out, path) for path in outcome.paths]
        if outcome.status in ("done", "skipped") and not console.json:
            console.result(paths)
        if outcome.status == "done":
            after.run_exec(paths, console)

    with run_batch(source, name, given, written.out, way, console, state=written.state, told=told) as ran:
        _tell(ran, written, console)
    if ran.totals.signal == signal.SIGINT:
        raise KeyboardInterrupt
    if ran.totals.signal is not None:
        raise Terminated(ran.totals.signal)
    if ran.totals.failed:
        raise typer.Exit(SOME_FAILED)


def _tell(ran: Ran, written: Written, console: Console) -> None:
    """The summary, and the files beside it; that one of them cannot be written undoes no work."""
    from laser_cli.batch.summary import json_parts, junit, page, write_parts
    from laser_cli.jobs.sinks import aside
    from laser_cli.terminal import printable

    told = ran.told
    words = [f"{told[key]} {key}" for key in ("done", "skipped", "failed", "left") if told[key] or key == "done"]
    console.note(f"{', '.join(words)} of {told['jobs']} jobs in {told['seconds']:.1f} s")
    if written.junit:
        with aside(f"{written.junit}", console.warn):
            write_parts(written.junit, junit(told, ran.results()))
    if written.report:
        with aside(f"{written.report}", console.warn):
            write_parts(written.report, page(told, ran.results(), written.report.resolve().parent, written.out))
    if console.json:
        console.parts(json_parts(told, ran.results()))
    elif console.quiet:  # errors are told all the same
        for row in ran.results():
            if error := row.get("error"):
                typer.echo(printable(f"error: job {row['n']} ({row['where']}): {error['what']}"), err=True)


def _stay(given: Given, root: str, threads: int | None, console: Console) -> None:
    """The worker that stays."""
    from laser_cli.batch.lines import Worker
    from laser_cli.text import write_stdout

    if "://" in root:
        raise UsageError("a worker that stays writes to a folder", hint="-o DIR")
    if failed := Worker(given, Path(root), threads, write_stdout, console).run(sys.stdin):
        console.note(f"{failed} jobs failed")
        raise typer.Exit(SOME_FAILED)


def _status(console: Console, root: str, state: Path | None) -> None:
    from laser_cli.batch.journal import progressed, summary_of
    from laser_cli.batch.run import journal_folder
    from laser_cli.terminal import clock_text, printable

    seen = progressed(journal_folder(root, state))
    told = summary_of(seen)
    if console.json:
        return console.json_object(told)
    rate = f", {60 * seen.rate:.1f} a minute" if seen.rate else ""
    left = f", about {clock_text(told['eta_seconds'])} left" if told["eta_seconds"] is not None else ""
    done = f"{seen.done + seen.skipped} of {seen.jobs} jobs done, {len(seen.failed)} failed, {seen.left} left"
    typer.echo(f"{seen.state}: {done}{rate}{left}")
    for event in seen.running.values():
        typer.echo(printable(f"running: {event.get('out') or event['n']} on {event.get('node')}"))
    for event in seen.failed:
        error: Mapping[str, Any] = event.get("failure") or {}
        why = ": ".join(text for text in (error.get("what"), error.get("why")) if text)
        typer.echo(printable(f"failed: job {event['n']} ({event.get('where')}): {why}"))


def _file(words: list[str], rows: Rows) -> Path | None:
    """The file of jobs; None where the options say them."""
    if len(words) > 1:
        raise UsageError("one file of jobs is read", why=f"{len(words)} words were given", hint="laser batch jobs.yaml")
    if words and (rows.images or rows.description is not None):
        raise UsageError("both a file and --images or --description", hint="name them in the file")
    if not words and not rows.images:
        hint = "laser batch jobs.yaml, or --images 'shots/*.png' --description \"night falls\""
        raise UsageError("which jobs?", why="neither a file nor --images was given", hint=hint)
    return Path(words[0]) if words else None


def _row(rows: Rows) -> Any:
    from laser_cli.batch.rows import Row

    said = {"images": list(rows.images), "description": rows.description}
    return Row({key: value for key, value in said.items() if value is not None})


def _given(rows: Rows, shown: Shown) -> Given:
    """What the command line and LASER_* variables say of all jobs."""
    from laser_cli.batch.rows import read_assignments
    from laser_cli.batch.said import Given
    from laser_cli.batch.verbs import known_somewhere, variables

    above = read_assignments(rows.set)
    for key in above:
        if not known_somewhere(key):
            raise UsageError(f"--set {key}={above[key]}", why=f"no command has an option {key!r}")
    preset = {"preset": rows.preset} if rows.preset else {}
    config = shown.settings_file()
    # settings go beneath presets; planner, --resume and the like no preset can say
    said = {key: config.values[key] for key in config.values if key in CONFIGURABLE} if config else {}
    known = {key: value for key, value in said.items() if known_somewhere(key)}
    return Given({**known, **variables(), **preset}, above, config)


def _check_written(written: Written, file: Path | None) -> None:
    """Refuse a report or a summary that would replace what is not laser's, before the work."""
    from laser_cli.batch.summary import is_summary
    from laser_cli.output.atomic import check_target
    from laser_cli.output.guard import check_outputs

    if written.report and written.report.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"cannot write {written.report.name}: a report is a page", hint="a name that ends in .html")
    files = [path for path in (written.report, written.junit) if path]
    read = [file] if file is not None and str(file) != "-" else []
    check_outputs(files, read, ours=dict.fromkeys(files, is_summary))
    for path in files:
        if path.parent.is_dir() or path.parent.resolve() != Path(written.out).resolve():
            check_target(path)


def _shown(root: str, path: str) -> Any:
    if "://" in root:
        return f"{root.rstrip('/')}/{path}"
    return Path(root) / path


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("batch")(expand(batch))
