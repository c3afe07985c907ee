"""Where a planner's model lies: a file, or a repository of the hub, whose cache is looked into first."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from laser_cli.errors import NotFoundError
from laser_cli.plan.llm.gguf import parts

PREFERRED = ("q4_k_m", "q4_k_s", "q5_k_m", "q4_0", "q5_k_s", "q6_k", "q8_0")
"""Which quantization is taken where a repository has several and none is named, the best first."""


def hint() -> str:
    """What can be given as a planner, for error messages."""
    from laser_cli.plan.planners import hint as of_planners

    return of_planners()


def is_model(name: str) -> bool:
    """Whether a name means a model's file, here or on the hub."""
    return name.startswith("hf:") or name.lower().endswith(".gguf")


def find(name: str, note: Callable[[str], None]) -> Path:
    """The file (the first of a split model) of `FILE.gguf` or `hf:REPO[:FILE]`; NotFoundError if there is none.

    What is not on this machine is downloaded from the hub, and `note` says so.
    """
    if not name.startswith("hf:"):
        path = Path(os.path.expanduser(name))
        path = _in_folder(path) if path.is_dir() else path
        missing = [part for part in parts(path) if not part.is_file()]
        if missing:
            why = "it is a part of a split model" if len(parts(path)) > 1 else "no such file"
            raise NotFoundError(f"there is no planner {missing[0]}", why=why, hint=hint())
        return parts(path)[0]
    repository, _, file = name.removeprefix("hf:").partition(":")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise NotFoundError(f"there is no planner {name!r}", why="a repository is named owner/name", hint=hint())
    return _from_hub(repository, file, note)


def _in_folder(folder: Path) -> Path:
    """The model to take of a folder. Raises NotFoundError if it holds none."""
    found = {path.name: path for path in folder.iterdir() if path.is_file()}
    name = best(found)
    if name is None:
        raise NotFoundError(f"there is no planner in {folder}", why="the folder has no .gguf file", hint=hint())
    return found[name]


def projector(path: Path) -> Path | None:
    """The projector beside a model, by which it sees; of several the one that is named most like the model."""
    found = [file for file in path.parent.glob("*.gguf") if is_projector(file.name)]
    plain = re.sub(r"[^a-z0-9]", "", path.stem.lower())

    def rank(file: Path) -> tuple[int, str]:
        own = re.sub(r"mmproj|[^a-z0-9]", "", file.stem.lower())
        shared = next(
            (i for i, (a, b) in enumerate(zip(plain, own, strict=False)) if a != b), min(len(plain), len(own))
        )
        return -shared, file.name

    return min(found, key=rank, default=None)


def find_projector(name: str, path: Path, note: Callable[[str], None]) -> Path:
    """The projector of the model of that name, which lies at a path; one of the hub is downloaded if it is missing.

    Raises NotFoundError if there is none: the model sees no pictures.
    """
    found = projector(path)
    if found is None and name.startswith("hf:"):
        found = _projector_from_hub(name.removeprefix("hf:").partition(":")[0], note)
    if found is None:
        why = "its projector (mmproj-….gguf) does not lie beside it"
        hint = "a multimodal model with its projector in the same folder, or a server: openai:URL"
        raise NotFoundError(f"{path.name} sees no pictures", why=why, hint=hint)
    return found


def is_projector(file: str) -> bool:
    """Whether a file is a multimodal model's projector, by its name."""
    return file.lower().endswith(".gguf") and "mmproj" in file.lower()


def best(files: Iterable[str]) -> str | None:
    """The file to take of a repository's: no vision part, the preferred quantization, the first part of split ones."""
    ggufs = [f for f in files if f.lower().endswith(".gguf") and not is_projector(f)]
    models = [f for f in ggufs if not re.search(r"(^|/)imatrix", f.lower())]
    first = [f for f in models if not re.search(r"-(?!00001)\d{5}-of-\d{5}\.gguf$", f)]

    def rank(file: str) -> tuple[int, str]:
        low = file.lower()
        return next((i for i, kind in enumerate(PREFERRED) if kind in low), len(PREFERRED)), file

    return min(first, key=rank, default=None)


def cached() -> dict[str, Path]:
    """The planners in the hub's cache: `hf:REPO:FILE` -> path, the first parts of split ones only."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = sorted(scan_cache_dir().repos, key=lambda repository: repository.repo_id)
    except (CacheNotFound, RuntimeError):  # the second where no home folder is known
        return {}
    found = {}
    for repository in repositories:
        for revision in sorted(repository.revisions, key=lambda revision: revision.last_modified):
            names = {
                path.relative_to(revision.snapshot_path).as_posix(): path for path in _ggufs(revision.snapshot_path)
            }
            found.update({f"hf:{repository.repo_id}:{name}": names[name] for name in sorted(names) if best([name])})
    return found


def digest(path: Path, stopped: Callable[[], bool] = lambda: False) -> str:
    """SHA-256 of a model's files, one after the other; of what was read until it is stopped."""
    made = hashlib.sha256()
    for part in parts(path):
        with part.open("rb") as file:
            while not stopped() and (block := file.read(2**22)):
                made.update(block)
    return made.hexdigest()


def _ggufs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.gguf") if path.is_file())


def _from_hub(repository: str, file: str, note: Callable[[str], None]) -> Path:
    here = {name.removeprefix(f"hf:{repository}:"): path for name, path in cached().items() if _of(name, repository)}
    wanted = file or best(here)
    if wanted in here and all(part.is_file() for part in parts(here[wanted])):
        return here[wanted]
    with _connected(f"{repository}{f', {file}' if file else ''}"):
        wanted = wanted or best(_listed(repository))
        if not wanted:
            why = "the repository has no .gguf file"
            raise NotFoundError(f"there is no planner in {repository}", why=why, hint="look for one that ends in -GGUF")
        return _downloaded(repository, [part.as_posix() for part in parts(Path(wanted))], note)


def _projector_from_hub(repository: str, note: Callable[[str], None]) -> Path | None:
    """The projector in a repository, in full precision rather than quantized; None if it has none."""
    with _connected(repository):
        found = sorted(filter(is_projector, _listed(repository)), key=lambda file: ("f16" not in file.lower(), file))
        return _downloaded(repository, found[:1], note) if found else None


def _listed(repository: str) -> list[str]:
    from huggingface_hub import HfApi

    return list(HfApi().list_repo_files(repository))


def _downloaded(repository: str, files: list[str], note: Callable[[str], None]) -> Path:
    """The first of some files of a repository, all of them downloaded."""
    from huggingface_hub import hf_hub_download

    note(f"downloading {', '.join(files)} from {repository}")
    paths = [Path(hf_hub_download(repository, file)) for file in files]
    return paths[0]


@contextmanager
def _connected(wanted: str) -> Iterator[None]:
    """Failures of the hub and of the network as NotFoundError."""
    from huggingface_hub.errors import HfHubHTTPError

    # what a lost connection raises depends on the library under the hub's; all are kin of its own error
    kin = [kind for kind in HfHubHTTPError.__mro__ if kind.__name__ == "HTTPError"]
    failures: tuple[type[BaseException], ...] = (*kin, OSError, ValueError)
    try:
        yield
    except failures as error:
        raise NotFoundError(
            f"cannot get the planner {wanted}",
            why=str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__,
            hint="check the name and the network, or pass a local file: --planner FILE.gguf",
        ) from error


def _of(name: str, repository: str) -> bool:
    return name.startswith(f"hf:{repository}:")
