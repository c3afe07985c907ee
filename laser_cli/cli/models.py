"""`laser models`: the models on this machine, where they lie, and whether they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from laser_cli.cli.complete import completer
from laser_cli.cli.options import Shown, expand
from laser_cli.errors import NotFoundError

Name = Annotated[
    str,
    typer.Argument(
        help="storybook, a folder, a .safetensors or a hub id; FILE.gguf or hf:REPO[:FILE] for planners.",
        show_default=False,
        autocompletion=completer("any models"),
    ),
]

Variant = Annotated[
    str | None, typer.Option(help="Of several precisions on disk this one, such as fp16.", show_default=False)
]

models = typer.Typer(help="List the models on this machine, say what one is or where it lies, or check it.")


@models.callback(invoke_without_command=True)
@expand
def list_models(context: typer.Context, shown: Shown) -> None:
    """List the models on this machine, say what one is or where it lies, or check it."""
    if context.invoked_subcommand:
        return
    from laser_cli.plan.llm.find import cached as planners

    kinds = {"models": dict(installed()), "planners": planners()}
    if shown.json_:
        told = {kind: [{"name": n, "path": str(path)} for n, path in found.items()] for kind, found in kinds.items()}
        shown.console().json_object(told)
    else:
        for found in kinds.values():
            for name in found:
                typer.echo(name)


@models.command("path")
@expand
def path(name: Name, shown: Shown) -> None:
    """Print the folder of a model that is on this machine, or a planner's file."""
    from laser_cli.plan.llm.find import is_model

    shown.console().result([planner_of(name) if is_model(name) else folder_of(name)])


@models.command("add")
@expand
def add(
    name: Annotated[str, typer.Argument(help="hellomeme:v1 to hellomeme:v5c.", show_default=False)],
    shown: Shown,
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where its files lie, a folder for each repository. (default: the hub, its cache first)"),
    ] = None,
    clips: Annotated[
        bool, typer.Option("--clips", help="Download its motion modules as well, for frames that read each other.")
    ] = False,
) -> None:
    """Find or download the nets that animate portraits, check that every tensor is there, and keep where they lie.

    Exit code 3 if they do not suffice to draw a frame.
    """
    from laser_cli.controls.knit.places import remember
    from laser_cli.controls.knit.versions import find_version, is_hellomeme

    if not is_hellomeme(name):
        raise NotFoundError(f"{name} is not an adapter for portraits", hint="hellomeme:v5b, for example")
    find_version(name)
    if folder is not None and not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}")
    _tell_adapter(name, folder, shown, download=True, clips=clips)
    if folder is not None:
        remember(name, folder)


def _tell_adapter(name: str, folder: Path | None, shown: Shown, *, download: bool = False, clips: bool = False) -> None:
    from laser_cli.controls.knit.load import status

    found = status(name, folder, download=download, video=clips)
    if not found.draws:
        missing = [f"{net.repo} is missing" for net in found.absent]
        raise NotFoundError(f"{name} is not whole", why="\n".join(missing), hint=f"laser models add {name} [FOLDER]")
    if clips and not found.draws_clips:
        raise NotFoundError(f"{name} cannot draw clips", why=found.why_no_clips)
    console = shown.console()
    for line in found.notes:
        console.note(line)
    files = {role: str(path) for role, path in found.files.items()}
    told = {"model": name, "files": files, "missing": [net.repo for net in found.absent]}
    console.result(list(found.files.values()), told)


@models.command("show")
@expand
def show(name: Name, shown: Shown, variant: Variant = None) -> None:
    """Say what a model on this machine is: its kind, sizes, schedule and precision, and what laser can do with it."""
    from laser_cli.models.describe import describe

    told = describe(name, folder_of(name), variant)
    if shown.json_:
        shown.console().json_object(told.json())
    else:
        for line in told.lines():
            typer.echo(line)


@models.command("verify")
@expand
def verify(name: Name, shown: Shown, variant: Variant = None) -> None:
    """Check a model: its settings fit together, its files are whole and hold all tensors, no weight is NaN.

    Exit code 3 if it is not there or not whole.
    """
    from laser_cli.controls.knit.versions import is_hellomeme
    from laser_cli.plan.llm.find import is_model

    if is_model(name):
        return _verify_planner(name, shown)
    if is_hellomeme(name):
        return _tell_adapter(name, None, shown)
    from laser_cli.models import verify as check
    from laser_cli.models.layout import WEIGHTED, weight_files

    path = folder_of(name)
    found = list(check.problems(path, variant, deep=True))
    if found:
        hint = "copy or download it again"
        raise NotFoundError(f"the model {name} is not whole", why="\n".join(found), hint=hint)
    files = 1 if path.is_file() else sum(len(weight_files(path / part, variant)) for part in WEIGHTED)
    if shown.json_:
        shown.console().json_object({"model": name, "whole": True, "weight_files": files})
    else:
        typer.echo(f"{name} is whole")


def installed() -> Iterator[tuple[str, Path]]:
    """Name and folder of the models on this machine, storybook first."""
    from laser_cli.models.find import STORYBOOK, WEIGHTS

    if (WEIGHTS / "unet").is_dir():
        yield STORYBOOK, WEIGHTS
    yield from cached()


def cached() -> Iterator[tuple[str, Path]]:
    """Name and folder of the models in the hub's cache that are laid out as laser reads them."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = sorted(scan_cache_dir().repos, key=lambda repository: repository.repo_id)
    except (CacheNotFound, RuntimeError):  # the second where no home folder is known
        return
    for repository in repositories:
        folders = sorted(revision.snapshot_path for revision in repository.revisions)
        whole = next((folder for folder in folders if (folder / "unet" / "config.json").is_file()), None)
        if whole:
            yield repository.repo_id, whole


def folder_of(name: str) -> Path:
    """The folder or file of a model on this machine, whole or not; nothing is downloaded."""
    from laser_cli.models.find import cached_path

    found = cached_path(name)
    if found is None:
        raise NotFoundError(f"the model {name} is not on this machine", hint="laser models lists those that are")
    return found


def planner_of(name: str) -> Path:
    """A planner's file on this machine; nothing is downloaded."""
    from laser_cli.plan.llm import find

    if not name.startswith("hf:"):
        return find.find(name, typer.echo)
    here = find.cached()
    wanted = name if name in here else find.best(known for known in here if known.startswith(f"{name}:"))
    if wanted is None:
        raise NotFoundError(f"the planner {name} is not on this machine", hint="laser models lists those that are")
    return here[wanted]


def _verify_planner(name: str, shown: Shown) -> None:
    from laser_cli.plan.llm.gguf import parts, read_model

    file = planner_of(name)
    read_model(file)
    if shown.json_:
        shown.console().json_object({"model": name, "whole": True, "weight_files": len(parts(file))})
    else:
        typer.echo(f"{name} is whole")


def problems(path: Path) -> list[str]:
    """What keeps a model from being loaded, a line each; headers are read, not weights."""
    from laser_cli.models import verify as check

    try:
        return list(check.problems(path))
    except NotFoundError as error:
        return [error.what]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(models, name="models")
