"""Taking a backup, while questions are answered and documents are ingested.

The published generation is copied under the lock that keeps it from being pruned, and compared
with the digest it was published with; databases are copied as of one moment by SQLite itself. All
is written under a hidden name, read again, and only then gets its own: what is there is complete.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rag import __version__
from rag.backup.catalogue import CATALOGUE, FILES, Catalogue, written
from rag.backup.formats import formats_of, known_formats
from rag.backup.gathering import Draft, add_kept, add_published
from rag.backup.reading import opened
from rag.errors import IndexStateError, UsageError
from rag.filetree import sync_path, sync_tree

_ARCHIVES: Final = (".tar", ".tgz", ".gz")
_PARTIAL: Final = ".rag-backup-partial"


def make_backup(collection_dir: Path, target: Path) -> Catalogue:
    """Write a collection's backup to a new folder, or archive if the name ends in .tar or .tar.gz.

    What a database or a file cannot be read of is left out and named in the result.

    Raises:
        UsageError: There is something at the target, or nothing is published.
        IndexStateError: The published generation is damaged, or the target cannot be written.
    """
    if target.exists():
        raise UsageError("there is something already", target, "name a new folder or archive")
    if target.resolve().is_relative_to(collection_dir.resolve()):
        raise UsageError("a backup is no part of what it is of", target, "name another folder")
    try:
        with _partial(target) as partial:
            return _made(collection_dir, target, partial)
    except (OSError, sqlite3.Error) as exc:
        remedy = "free disk space or fix permissions"
        raise IndexStateError("backup cannot be written", f"{target} ({exc})", remedy) from exc


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Hand out a new hidden folder beside the target; those that killed runs left are removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".*{_PARTIAL}"):
        with _held(left) as free:
            if free:
                shutil.rmtree(left, ignore_errors=True)
    partial = target.with_name(f".{target.name}{_PARTIAL}")
    try:
        partial.mkdir(mode=0o700)
    except FileExistsError as exc:
        raise UsageError("another rag backup writes there", target, "wait for its end") from exc
    try:
        with _held(partial):
            yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Lock a folder; yields False where another process has locked it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _locked(handle)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _made(collection_dir: Path, target: Path, partial: Path) -> Catalogue:
    draft = Draft(partial)
    generation = add_published(draft, collection_dir)
    add_kept(draft, collection_dir)
    catalogue = Catalogue(
        collection=collection_dir.name,
        made_by=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        generation=generation.path.name,
        chunks=generation.chunks,
        formats=formats_of(collection_dir, generation.path),
        folders=tuple(draft.folders),
        files=tuple(draft.files),
        left_out=tuple(draft.left_out),
    )
    (partial / CATALOGUE).write_text(written(catalogue), encoding="utf-8")
    ready = _archived(partial, target.suffix) if target.suffix in _ARCHIVES else partial
    with opened(ready, known_formats() | catalogue.formats) as backup:
        backup.verify()
    sync_tree(ready)
    ready.rename(target)
    sync_path(target.parent)
    return catalogue


def _archived(partial: Path, suffix: str) -> Path:
    archive = partial / "archive"
    with tarfile.open(archive, "w" if suffix == ".tar" else "w:gz") as tar:
        for name in (CATALOGUE, FILES):
            tar.add(partial / name, name)
    archive.chmod(0o600)  # it holds documents and questions
    return archive
