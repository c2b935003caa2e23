"""Which documents were sent over HTTP, and who may read them: ``_uploads.sqlite``.

A row is one content of one name: labels are those of the content, not of the name, so that a file
which is being replaced never has the labels of its successor. Rows are written before the file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rag.errors import IndexStateError, RagError, StorageFullError

FORMAT: Final = 1
FILE_NAME: Final = "_uploads.sqlite"  # no tenant's name begins like that
_WAIT_SECONDS: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS uploads (
  tenant TEXT, name TEXT, sha256 TEXT, bytes INTEGER, access TEXT, problem TEXT, folded TEXT,
  PRIMARY KEY (tenant, name, sha256)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_folded ON uploads (tenant, folded);
CREATE TABLE IF NOT EXISTS gone (tenant TEXT, doc_id TEXT, PRIMARY KEY (tenant, doc_id))
  WITHOUT ROWID;
"""
_SELECT: Final = "SELECT tenant, name, sha256, bytes, access, problem FROM uploads WHERE "
# Source: ext4, the usual block: what a file takes at least [bytes].
_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Upload:
    """One content that was sent under a name.

    ``access`` are its labels, sorted, none for everybody of the tenant; ``problem`` is why ingest
    could not read it, empty while nothing is known of that.
    """

    tenant: str
    name: str
    sha256: str
    bytes: int
    access: tuple[str, ...]
    problem: str = ""


class UploadTable:
    """The rows of all tenants; each call opens the file anew, so that any process may."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = (root / FILE_NAME).absolute()

    def exists(self) -> bool:
        """Return whether anything was ever sent."""
        return self._path.is_file()

    def formats(self) -> list[int]:
        """Return the version of its format, nothing where it is not there or no such file."""
        if not self.exists():
            return []
        try:
            with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as db:
                return [int(db.execute("PRAGMA user_version").fetchone()[0])]
        except sqlite3.Error:
            return []

    def versions(self, tenant: str, name: str) -> tuple[Upload, ...]:
        """Return the contents noted under a name: one, or two while it is replaced."""
        where = "tenant = ? AND name = ? ORDER BY sha256"
        return self._rows(_SELECT + where, (tenant, name))

    def labels(self, tenant: str, name: str, sha256: str) -> tuple[str, ...] | None:
        """Return the labels of a content, or None where it was never sent under that name."""
        rows = self.versions(tenant, name)
        return next((row.access for row in rows if row.sha256 == sha256), None)

    def all(self, tenant: str) -> tuple[Upload, ...]:
        """Return all of a tenant, by name."""
        where = "tenant = ? ORDER BY name, sha256"
        return self._rows(_SELECT + where, (tenant,))

    def alike(self, tenant: str, name: str, folded: str) -> tuple[Upload, ...]:
        """Return those of other names that fold to the same."""
        where = "tenant = ? AND folded = ? AND name <> ?"
        values = (tenant, folded, name)
        return self._rows(_SELECT + where, values)

    def bytes_beside(self, tenant: str, name: str) -> int:
        """Return what the files of all other names take [bytes]."""
        sql = (
            "SELECT coalesce(sum(size), 0) FROM"
            " (SELECT max(bytes, ?) AS size FROM uploads WHERE tenant = ? AND name <> ?)"
        )
        if not self.exists():
            return 0
        with self._opened() as db:
            (total,) = db.execute(sql, (_BLOCK, tenant, name)).fetchone()
        return int(total)

    def put(self, upload: Upload, folded: str) -> None:
        """Note a content beside what stands under its name; on the disk when this returns."""
        row = (*_values(upload), folded)
        with self._changing() as db:
            db.execute("INSERT OR REPLACE INTO uploads VALUES (?,?,?,?,?,?,?)", row)

    def replace(self, tenant: str, name: str, by: Iterable[Upload], folded: str) -> None:
        """Let these contents alone stand under a name."""
        rows = [(*_values(upload), folded) for upload in by]
        with self._changing() as db:
            db.execute("DELETE FROM uploads WHERE tenant = ? AND name = ?", (tenant, name))
            db.executemany("INSERT INTO uploads VALUES (?,?,?,?,?,?,?)", rows)

    def note_problem(self, upload: Upload, problem: str) -> None:
        """Remember why a content could not be read; of one that was replaced nothing is kept."""
        with self._changing() as db:
            db.execute(
                "UPDATE uploads SET problem = ? WHERE tenant = ? AND name = ? AND sha256 = ?",
                (problem, upload.tenant, upload.name, upload.sha256),
            )

    def gone(self, tenant: str) -> tuple[str, ...]:
        """Return the ids of deleted documents that may still be remembered elsewhere."""
        if not self.exists():
            return ()
        with self._opened() as db:
            rows = db.execute("SELECT doc_id FROM gone WHERE tenant = ? ORDER BY 1", (tenant,))
            return tuple(doc_id for (doc_id,) in rows)

    def note_gone(self, tenant: str, doc_id: str) -> None:
        """Remember that a document was deleted."""
        with self._changing() as db:
            db.execute("INSERT OR IGNORE INTO gone VALUES (?,?)", (tenant, doc_id))

    def forget_gone(self, tenant: str, doc_id: str) -> None:
        """Forget a deleted document: nothing remembers it any more."""
        with self._changing() as db:
            db.execute("DELETE FROM gone WHERE tenant = ? AND doc_id = ?", (tenant, doc_id))

    def _rows(self, sql: str, values: tuple[str, ...]) -> tuple[Upload, ...]:
        if not self.exists():
            return ()
        with self._opened() as db:
            return tuple(_upload(row) for row in db.execute(sql, values))

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._opened() as db, db:
            db.execute("BEGIN IMMEDIATE")
            yield db

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=_WAIT_SECONDS)) as db:
                _prepare(db, self._path)
                yield db
        except (sqlite3.Error, ValueError) as exc:
            raise table_error(exc, self._path) from exc


def table_error(exc: sqlite3.Error | ValueError, path: Path) -> RagError:
    """Return what a fault of the file is to whoever asked."""
    if getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFullError("there is no room to note a document", path.name, "free disk space")
    remedy = "fix its permissions, or restore it from a backup"
    return IndexStateError("the list of uploads cannot be used", f"{path.name} ({exc})", remedy)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA synchronous=FULL")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        remedy = "use the release that made it"
        raise IndexStateError("the list of uploads has a later format", version, remedy)
    if version < FORMAT:
        db.executescript(f"{_SCHEMA} PRAGMA user_version={FORMAT};")
        path.chmod(0o600)


def _values(upload: Upload) -> tuple[object, ...]:
    labels = json.dumps(upload.access)
    return upload.tenant, upload.name, upload.sha256, upload.bytes, labels, upload.problem


def _upload(row: tuple[str, str, str, int, str, str]) -> Upload:
    tenant, name, sha256, size, access, problem = row
    return Upload(tenant, name, sha256, size, tuple(json.loads(access)), problem)
