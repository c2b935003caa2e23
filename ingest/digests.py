"""SHA-256 of files, remembered by size and time of change, so that unchanged files are not read.

The memory lies beside the generations, not in them: it states facts about files, whatever was
published, and may be lost at any time.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.scan import FoundFile

# A file that changes twice within one tick of its clock shows one time for two contents. Source:
# git's "racy" problem (Documentation/technical/racy-git.txt); 2 s is the tick of FAT.
_TICK_NANOSECONDS = 2_000_000_000


@dataclass(slots=True)
class FileDigests:
    """Digests of files; reading one is counted in ``read``."""

    known: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    read: int = 0
    _fresh: list[tuple[str, int, int, str]] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> FileDigests:
        """Return what is remembered at ``path``; nothing if that cannot be read."""
        if not path.exists():
            return cls()
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            rows = connection.execute("SELECT path, size, mtime_ns, sha256 FROM digests").fetchall()
            connection.close()
        except sqlite3.Error:
            return cls()
        return cls({path: (size, mtime, digest) for path, size, mtime, digest in rows})

    def of(self, file: FoundFile) -> str:
        """Return the digest of a file, reading it only if size or time of change differ.

        Raises:
            OSError: It cannot be read.
        """
        size, mtime, digest = self.known.get(file.path, (-1, -1, ""))
        if (size, mtime) == (file.size, file.mtime_ns):
            return digest
        now = time.time_ns()
        self.read += 1
        with Path(file.path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if now - file.mtime_ns > _TICK_NANOSECONDS:
            self._fresh.append((file.path, file.size, file.mtime_ns, digest))
        return digest

    def save(self, path: Path, gone: Iterable[str] = ()) -> None:
        """Remember what was read since loading and forget files that are gone.

        A memory that cannot be written is a slower next run, so that is no error.
        """
        forgotten = [(name,) for name in gone if name in self.known]
        if not (self._fresh or forgotten):
            return
        try:
            _save(path, self._fresh, forgotten)
        except sqlite3.DatabaseError:
            path.unlink(missing_ok=True)
        self._fresh = []


def _save(
    path: Path, fresh: Sequence[tuple[str, int, int, str]], forgotten: Sequence[tuple[str]]
) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS digests"
            " (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, sha256 TEXT) WITHOUT ROWID"
        )
        connection.executemany("INSERT OR REPLACE INTO digests VALUES (?,?,?,?)", fresh)
        connection.executemany("DELETE FROM digests WHERE path=?", forgotten)
        connection.commit()
    finally:
        connection.close()
