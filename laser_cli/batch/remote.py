"""Where the outputs of a batch go: a folder, or an address that fsspec knows, such as s3://bucket/folder."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laser_cli.errors import BadInputError, LaserError, NotFoundError, reason

OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"}
"""Where an object appears only when all of it is there; elsewhere a file is put under another name, then renamed."""


def is_address(root: str) -> bool:
    """Whether outputs go to an address instead of a folder."""
    return "://" in root


class Place:
    """The folder in which a station writes; of an address, a temporary one whose files are delivered."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._files: Any = None
        if not is_address(root):
            self.folder = Path(root)
            return
        self._files, self._base = open_address(root)
        self.folder = Path(tempfile.mkdtemp(prefix="laser-batch-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def deliver(self, paths: Sequence[Path]) -> None:
        """Bring finished files to the address, the primary one last; each appears whole."""
        if self._files is None:
            return
        for path in reversed(paths):
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                self._put(file)

    def keep(self, path: Path) -> None:
        """Bring an unfinished render's checkpoint to the address, so that any worker can go on with it."""
        if self._files is not None and path.exists():
            self._put(path)

    def fetch(self, *paths: Path) -> None:
        """Bring files from the address, if they are there."""
        if self._files is None:
            return
        for path in paths:
            there = self._there(path)
            try:
                if self._files.exists(there):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._files.get(there, str(path), recursive=self._files.isdir(there))
            except OSError as error:
                raise BadInputError(f"cannot read {self.root}", why=reason(error)) from error

    def forget(self, paths: Sequence[Path]) -> None:
        """Remove what lies here of files that are at the address."""
        if self._files is None:
            return
        for path in paths:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def sizes(self, paths: Sequence[Path]) -> tuple[int, ...] | None:
        """Bytes of files, None if one is not there; `paths` are relative to the place."""
        from laser_cli.batch.station import size_of

        try:
            if self._files is None:
                return tuple(size_of(self.folder / path) for path in paths)
            names = [f"{self._base}/{path.as_posix()}" for path in paths]
            if not all(map(self._files.exists, names)):
                return None
            return tuple(int(self._files.du(name)) for name in names)
        except OSError:
            return None

    def write(self, name: Path, text: str) -> None:
        """Write a small file, such as the report; it appears whole."""
        from laser_cli.output.atomic import staged

        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        with staged(self.folder / name) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
        if self._files is not None:
            self._put(self.folder / name)

    def mirror(self, file: Path, name: Path) -> None:
        """Bring a copy of a file of this machine to the address."""
        if self._files is not None:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, self.folder / name)
            self._put(self.folder / name)

    def drop(self, path: Path) -> None:
        """Remove a checkpoint from the address: its render is done."""
        if self._files is not None:
            with contextlib.suppress(OSError):
                if self._files.exists(self._there(path)):
                    self._files.rm(self._there(path))

    def _there(self, path: Path) -> str:
        return f"{self._base}/{path.relative_to(self.folder).as_posix()}"

    def _put(self, file: Path) -> None:
        there = self._there(file)
        protocols = self._files.protocol
        names = {protocols} if isinstance(protocols, str) else set(protocols)
        folder, _, name = there.rpartition("/")
        part = there if names & OBJECT_STORES else f"{folder}/.{name[:80]}.laser-{uuid.uuid4().hex[:8]}"
        try:
            self._files.makedirs(folder, exist_ok=True)
            self._files.put_file(str(file), part)
            if part != there:
                self._files.mv(part, there)
        except OSError as error:
            raise LaserError(f"cannot write {self.root}/{name}", why=reason(error)) from error


def open_address(root: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it. NotFoundError names the package that is missing for it."""
    from fsspec.core import url_to_fs

    try:
        files, base = url_to_fs(root)
    except (ImportError, ValueError) as error:
        raise NotFoundError(f"cannot write to {root}", why=str(error), hint="pip install what it names") from error
    return files, str(base).rstrip("/")
