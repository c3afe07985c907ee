"""All benchmarks in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from laser_cli.cli import early
from laser_cli.cli.bench.common import HELP, benches
from laser_cli.cli.console import Console
from laser_cli.errors import UsageError


@benches.callback(invoke_without_command=True, help=HELP)
def every(
    context: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Run every benchmark, one after the other.")] = False,
    json: Annotated[
        Path | None, typer.Option(help="With --all: write all figures here.", metavar="FILE", show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="With --all: the model that draws.", envvar="LASER_MODEL", show_default=False)
    ] = None,
    items: Annotated[
        int | None, typer.Option(min=1, help="With --all: items of each benchmark that has some.", show_default=False)
    ] = None,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole/--no-whole",
            help="With --all: also measure whole commands, and peak memory at 50 and 1,000 frames.",
        ),
    ] = True,
) -> None:
    """Every benchmark at once, or the one that is named."""
    if not all_ or context.invoked_subcommand:
        if all_ or json or items or not whole:
            why = f"{context.invoked_subcommand} is one of them" if all_ else "they go with --all"
            raise UsageError(
                "--all, --json FILE, --items and --no-whole before the name of a benchmark do nothing", why=why
            )
        if not context.invoked_subcommand:
            typer.echo(context.get_help())
            raise typer.Exit(2)
        return
    if json is None:
        raise UsageError("--all needs a file for its figures", hint="laser bench --all --json FILE")
    _run_all(json, {"--model": model, "--items": str(items) if items else None}, whole)


def _run_all(file: Path, options: dict[str, str | None], whole: bool) -> None:
    """Writes what all benchmarks print into one file, anew after each; the exit code is 6 if some of them failed."""
    from json import dumps

    from laser_cli.measure.every import run_all
    from laser_cli.output.atomic import check_target, staged

    console = Console(progress=early.asked("progress", early.PROGRESS))
    check_target(file)
    told: dict[str, Any] = {}
    for told in run_all(options, console.note, whole=whole):
        with staged(file) as made:
            made.write_text(dumps({"version": 1, **told}, indent=1) + "\n", encoding="utf-8", newline="\n")
    console.result([file])
    if told["failed"]:
        console.warn(f"not measured: {', '.join(told['failed'])}")
        raise typer.Exit(6)
