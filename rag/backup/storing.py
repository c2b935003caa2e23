"""Files into a backup and out of it: without their zeros, and databases as of one moment."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Final

from rag.backup.catalogue import StoredFile
from rag.errors import IndexStateError

_MAGIC: Final = b"SQLite format 3\0"
_BLOCK_BYTES: Final = 65536
_ZEROS: Final = bytes(_BLOCK_BYTES)
_WAIT_SECONDS: Final = 30.0
_USELESS: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def store(source: Path, path: str, sink: IO[bytes]) -> StoredFile:
    """Write a file's content without its zeros, and return what was written.

    Args:
        source: The file; it must not change meanwhile.
        path: Its name in the backup.
        sink: Where to write.

    Raises:
        OSError: It cannot be read or written.
    """
    ranges: list[tuple[int, int]] = []
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            if block != _ZEROS[: len(block)]:
                sink.write(block)
                _extend(ranges, size, len(block))
            size += len(block)
    return StoredFile(path, mode, size, tuple(ranges), digest.hexdigest())


def unpack(stored: StoredFile, source: IO[bytes], target: Path) -> None:
    """Write a file as it was, holes for zeros, and check its SHA-256 on the way.

    Raises:
        IndexStateError: The content is not what was stored.
        OSError: It cannot be read or written.
    """
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stored.mode & 0o777 | 0o200)
    with os.fdopen(handle, "wb") as file:
        digest = hashlib.sha256()
        for start, block in _blocks(stored, source):
            digest.update(block)
            if block is not _ZEROS:
                file.seek(start)
                file.write(block)
        file.truncate(stored.bytes)
    _compare(stored, digest.hexdigest())


def verify(stored: StoredFile, source: IO[bytes]) -> None:
    """Read a stored file and check its SHA-256.

    Raises:
        IndexStateError: The content is not what was stored.
        OSError: It cannot be read.
    """
    digest = hashlib.sha256()
    for _, block in _blocks(stored, source):
        digest.update(block)
    _compare(stored, digest.hexdigest())


def is_database(path: Path) -> bool:
    """Return whether a file is an SQLite database, by its first bytes or its name."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC or path.suffix == ".sqlite"


def copy_database(source: Path, target: Path) -> None:
    """Copy a database as of one moment, while others read and write it, into one file.

    Raises:
        sqlite3.Error: It cannot be read, or it is damaged.
    """
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(uri, uri=True, timeout=_WAIT_SECONDS)) as live,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        live.backup(copy)  # all pages in one step: with a write-ahead log no writer waits for it
        copy.execute("PRAGMA journal_mode=DELETE")
        check_database(copy)
    target.chmod(source.stat().st_mode & 0o777)


def check_database(connection: sqlite3.Connection) -> None:
    """Look through a whole database.

    Raises:
        sqlite3.DatabaseError: It is damaged.
    """
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def is_sound_database(path: Path) -> bool:
    """Return False where a database is damaged for certain; one that is only busy is not."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as found:
            (said,) = found.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as exc:
        return getattr(exc, "sqlite_errorcode", 0) & 0xFF not in _USELESS
    return bool(said == "ok")


def _blocks(stored: StoredFile, source: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield all blocks with their places; those that were not stored are zeros."""
    at = 0
    for start, length in (*stored.data, (stored.bytes, 0)):
        while at < start:
            size = min(_BLOCK_BYTES, start - at)
            yield at, _ZEROS if size == _BLOCK_BYTES else _ZEROS[:size]
            at += size
        while at < start + length:
            block = source.read(min(_BLOCK_BYTES, start + length - at))
            if not block:
                raise _damaged(stored)
            yield at, block
            at += len(block)
    if source.read(1):
        raise _damaged(stored)


def _extend(ranges: list[tuple[int, int]], start: int, length: int) -> None:
    if ranges and sum(ranges[-1]) == start:
        ranges[-1] = (ranges[-1][0], ranges[-1][1] + length)
    else:
        ranges.append((start, length))


def _compare(stored: StoredFile, digest: str) -> None:
    if digest != stored.sha256:
        raise _damaged(stored)


def _damaged(stored: StoredFile) -> IndexStateError:
    return IndexStateError("a file of the backup is damaged", stored.path, "take another backup")
