"""A backup as it is read: a folder, or a tar archive of it. Nothing of it is trusted."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from rag.backup.catalogue import CATALOGUE, FILES, Catalogue, StoredFile, parsed
from rag.backup.storing import unpack, verify
from rag.errors import IndexStateError, UsageError

_MOST_CATALOGUE_BYTES: Final = 1_000_000_000  # a list of some million files


@dataclass(frozen=True, slots=True)
class Backup:
    """An open backup; ``open`` gives the stored bytes of a file by its name."""

    source: Path
    catalogue: Catalogue
    open: Callable[[str], IO[bytes]]

    def verify(self) -> None:
        """Read all files and check their SHA-256.

        Raises:
            IndexStateError: One is missing or damaged.
        """
        self._each(verify)

    def unpack(self, target: Path) -> None:
        """Write all files below a folder that exists, checked.

        Raises:
            IndexStateError: One is missing or damaged.
            OSError: One cannot be written.
        """
        for path, mode in sorted(self.catalogue.folders):
            (target / path).mkdir(mode=mode & 0o777 | 0o700, parents=True, exist_ok=True)

        def put(stored: StoredFile, file: IO[bytes]) -> None:
            (target / stored.path).parent.mkdir(parents=True, exist_ok=True)
            unpack(stored, file, target / stored.path)

        self._each(put)

    def _each(self, work: Callable[[StoredFile, IO[bytes]], None]) -> None:
        for stored in self.catalogue.files:
            with _readable(self.source), self.open(f"{FILES}/{stored.path}") as file:
                work(stored, file)


@contextmanager
def opened(source: Path, known: dict[str, int]) -> Iterator[Backup]:
    """Open a backup that this release can read.

    Args:
        source: A folder, or an archive of one.
        known: The highest version of each format that this release reads.

    Raises:
        UsageError: There is none.
        IndexStateError: It is damaged, or a later release has made it.
    """
    if not source.exists():
        raise UsageError("no such backup", source, "name a folder or .tar that rag backup made")
    if source.is_dir():
        yield _backup(source, lambda name: _file_of(source, name), known)
        return
    with _readable(source), tarfile.open(source) as archive:
        members = {member.name: member for member in archive if member.isfile()}
        yield _backup(source, lambda name: _member_of(archive, members, name), known)


def _backup(source: Path, open_: Callable[[str], IO[bytes]], known: dict[str, int]) -> Backup:
    with _readable(source), open_(CATALOGUE) as file:
        text = file.read(_MOST_CATALOGUE_BYTES).decode("utf-8", "replace")
    return Backup(source, parsed(text, source, known), open_)


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise _damaged(source, exc) from exc


def _file_of(source: Path, name: str) -> IO[bytes]:
    path = source / name
    # A link could lead out of the backup.
    if not path.is_file() or not path.resolve().is_relative_to(source.resolve()):
        raise _damaged(source, f"no file {name}")
    return path.open("rb")


def _member_of(
    archive: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], name: str
) -> IO[bytes]:
    file = archive.extractfile(members[name]) if name in members else None
    if file is None:
        raise _damaged(archive.name, f"no file {name}")
    return file


def _damaged(source: object, why: object) -> IndexStateError:
    return IndexStateError("backup is damaged", f"{source} ({why})", "take another backup")
