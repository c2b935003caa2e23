"""SHA-256 of files, remembered by what changes with them, so that unchanged files are not read.

Size and time alone would take a file for unchanged that another was moved onto: archives and
copies set the times. The inode and the time of the state's change, which nobody can set, tell.

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

    known: dict[str, tuple[str, str]] = field(default_factory=dict)
    read: int = 0
    _fresh: list[tuple[str, str, str]] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path) -> FileDigests:
        """Return what is remembered at ``path``; nothing if that cannot be read."""
        if not path.exists():
            return cls()
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            rows = connection.execute("SELECT path, stamp, sha256 FROM digests").fetchall()
            connection.close()
        except sqlite3.Error:
            return cls()
        return cls({path: (stamp, digest) for path, stamp, digest in rows})

    def of(self, file: FoundFile) -> str:
        """Return the digest of a file, reading it only if it may have changed.

        Raises:
            OSError: It cannot be read.
        """
        stamp, digest = self.known.get(file.path, ("", ""))
        if stamp == _stamp(file):
            return digest
        now = time.time_ns()
        self.read += 1
        with Path(file.path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if now - max(file.mtime_ns, file.ctime_ns) > _TICK_NANOSECONDS:
            self._fresh.append((file.path, _stamp(file), digest))
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


def _stamp(file: FoundFile) -> str:
    # As text: an inode may be larger than the integers of SQLite.
    return f"{file.size} {file.mtime_ns} {file.ctime_ns} {file.inode}"


def _save(
    path: Path, fresh: Sequence[tuple[str, str, str]], forgotten: Sequence[tuple[str]]
) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS digests"
            " (path TEXT PRIMARY KEY, stamp TEXT, sha256 TEXT) WITHOUT ROWID"
        )
        connection.executemany("INSERT OR REPLACE INTO digests VALUES (?,?,?)", fresh)
        connection.executemany("DELETE FROM digests WHERE path=?", forgotten)
        connection.commit()
    finally:
        connection.close()
