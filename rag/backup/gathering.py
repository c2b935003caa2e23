"""What goes into a backup: the published generation, and all else that a collection keeps."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from rag.backup.catalogue import FILES, GENERATIONS, PASSING, StoredFile
from rag.backup.storing import copy_database, is_database, store
from rag.errors import IndexStateError, UsageError
from rag.generation import INDEX, MANIFEST, Generation, read_current, shared_lock
from rag.uploads import FOLDER as UPLOADS

_PASSING: Final = PASSING | {GENERATIONS}  # the published one is added by itself
_BESIDE: Final = ("-wal", "-shm", "-journal")
_ATTEMPTS: Final = 20
# The disk's, or nobody's: not this one file's fault.
_GENERAL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM)


@dataclass(slots=True)
class Draft:
    """What was stored so far, below a folder; ``left_out`` is what could not be read, and why."""

    folder: Path
    files: list[StoredFile] = field(default_factory=list)
    folders: list[tuple[str, int]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def add(self, source: Path, path: PurePosixPath) -> None:
        """Store a file under its path in the collection.

        Raises:
            OSError: It cannot be read or written.
        """
        target = self.folder / FILES / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with target.open("wb") as sink:
            self.files.append(store(source, str(path), sink))

    def add_folder(self, source: Path, path: PurePosixPath) -> None:
        """Note a folder, with its mode."""
        self.folders.append((str(path), source.stat().st_mode & 0o777))


def add_published(draft: Draft, collection_dir: Path) -> Generation:
    """Store the published generation as it was published, and return it.

    Raises:
        UsageError: There is none.
        IndexStateError: It is damaged.
        OSError: It cannot be stored.
    """
    for _ in range(_ATTEMPTS):
        generation = read_current(collection_dir)
        if generation is None:
            raise UsageError("nothing is published", collection_dir, "run rag-ingest sync PATH")
        with shared_lock(generation.path) as present:
            if present:
                _add_generation(draft, generation)
                return generation
    raise IndexStateError("generation vanished while it was copied", collection_dir, "try again")


def _add_generation(draft: Draft, generation: Generation) -> None:
    base = PurePosixPath(GENERATIONS, generation.path.name)
    for source in sorted(generation.path.rglob("*")):
        path = base / source.relative_to(generation.path).as_posix()
        (draft.add_folder if source.is_dir() else draft.add)(source, path)
    digests = {file.path: file.sha256 for file in draft.files}
    index, n = f"{base / INDEX}/", len(f"{base / INDEX}/")
    whole = _tree_digest({k[n:]: v for k, v in digests.items() if k.startswith(index)})
    if digests.get(str(base / MANIFEST)) != generation.digest or (
        generation.index_digest and whole != generation.index_digest
    ):
        remedy = "run rag-ingest rollback, or restore an earlier backup"
        raise IndexStateError("the published generation is damaged", generation.path, remedy)


def _tree_digest(digests: dict[str, str]) -> str:
    """Return what ``filetree.tree_digest`` gives of the same files."""
    names = sorted(digests, key=PurePosixPath)
    lines = (f"{digests[name]}  {name}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def add_kept(draft: Draft, collection_dir: Path) -> None:
    """Store whatever else the collection keeps: ledger, cache, vectors, letters, uploads, jobs.

    Raises:
        OSError: It cannot be stored.
        sqlite3.Error: The disk refuses.
    """
    for source in _kept(collection_dir):
        path = PurePosixPath(source.relative_to(collection_dir).as_posix())
        try:
            (draft.add_folder if source.is_dir() else partial(_add_kept_file, draft))(source, path)
        except FileNotFoundError:
            continue  # it was there for a moment only
        except (sqlite3.Error, PermissionError) as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF in _GENERAL:
                raise
            draft.left_out.append((str(path), str(exc)))


def _add_kept_file(draft: Draft, source: Path, path: PurePosixPath) -> None:
    # What somebody sent is stored as it is, whatever it begins with.
    if _is_sent(path) or not is_database(source):
        draft.add(source, path)
        return
    copy = draft.folder / "database"
    try:
        copy_database(source, copy)
        draft.add(copy, path)
    finally:
        copy.unlink(missing_ok=True)


def _is_sent(path: PurePosixPath) -> bool:
    return path.parts[0] == UPLOADS and len(path.parts) > 2


def _kept(
    folder: Path, passing: frozenset[str] = _PASSING, *, sent: bool = False
) -> Iterator[Path]:
    """Yield what is kept below a folder; what was ``sent`` may have any name."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        is_folder = entry.is_dir(follow_symlinks=False)
        plain = is_folder or entry.is_file(follow_symlinks=False)
        beside = not (is_folder or sent) and _is_beside(entry.name)
        if not plain or beside or entry.name in passing or entry.name.startswith("."):
            continue
        yield Path(entry.path)
        if is_folder:
            within = sent or (folder.name == UPLOADS and not passing)
            yield from _kept(Path(entry.path), frozenset(), sent=within)


def _is_beside(name: str) -> bool:
    return name.endswith(_BESIDE) or ".damaged" in name
