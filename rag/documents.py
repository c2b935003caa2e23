"""The documents of a collection as its published generation knows them, held to who asks."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rag import access
from rag.errors import IndexStateError
from rag.generation import Generation, read_current, shared_lock

_ATTEMPTS: Final = 20
# ?2 are the labels of who asks as a JSON list; null sees all.
_READABLE: Final = (
    "SELECT doc_id, path, size, sha256, title, media_type, tags, date, {access},"
    " (SELECT count(*) FROM occurrences o WHERE o.tenant = d.tenant AND o.doc_id = d.doc_id)"
    " FROM documents d WHERE tenant = ?1 AND (?2 IS NULL OR {access} = '[]' OR EXISTS"
    " (SELECT 1 FROM json_each({access}) own"
    " WHERE own.value IN (SELECT value FROM json_each(?2)))) AND "
)


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """One published document; ``bytes`` is its file's size, ``path`` where that lay.

    ``chunks`` counts the pieces that it was cut into, also those that others repeat.
    """

    doc_id: str
    path: str
    bytes: int
    sha256: str
    title: str
    media_type: str
    tags: tuple[str, ...]
    date: str | None
    access: tuple[str, ...]
    chunks: int


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Some documents by id; ``after`` is where the next page begins, None on the last."""

    documents: tuple[IndexedDocument, ...]
    after: str | None


class DocumentList:
    """Reads the published manifest; what the caller may not read is not there for them."""

    def __init__(self, collection_dir: Path) -> None:
        self._collection_dir = collection_dir

    def page(self, tenant: str, after: str, limit: int) -> DocumentPage:
        """Return a tenant's documents whose ids come after one, at most ``limit``.

        Raises:
            AccessError: The caller is for another tenant.
            IndexStateError: The published generation cannot be read.
        """
        found = self._readable(tenant, "doc_id > ?3 ORDER BY doc_id LIMIT ?4", (after, limit + 1))
        more = len(found) > limit
        return DocumentPage(found[:limit], found[limit - 1].doc_id if more else None)

    def find(self, tenant: str, doc_id: str) -> IndexedDocument | None:
        """Return a document by its id, or None.

        Raises:
            AccessError: The caller is for another tenant.
            IndexStateError: The published generation cannot be read.
        """
        return next(iter(self._readable(tenant, "doc_id = ?3", (doc_id,))), None)

    def at(self, tenant: str, path: Path) -> IndexedDocument | None:
        """Return the document of a file, or None.

        Raises:
            AccessError: The caller is for another tenant.
            IndexStateError: The published generation cannot be read.
        """
        return next(iter(self._readable(tenant, "path = ?3", (str(path),))), None)

    def hidden_at(self, tenant: str, path: Path) -> bool:
        """Return whether a file is a document that the caller may not read.

        Raises:
            AccessError: The caller is for another tenant.
            IndexStateError: The published generation cannot be read.
        """
        if self.at(tenant, path) is not None:
            return False
        sql = "SELECT 1 FROM documents WHERE tenant = ? AND path = ?"
        with self._opened() as db:
            return db is not None and bool(db.execute(sql, (tenant, str(path))).fetchone())

    def _readable(
        self, tenant: str, rest: str, values: tuple[object, ...]
    ) -> tuple[IndexedDocument, ...]:
        labels = access.caller().labels
        asked = access.require(tenant), None if labels is None else json.dumps(labels)
        with self._opened() as db:
            if db is None:
                return ()
            sql = _READABLE.format(access="d.access" if _has_labels(db) else "'[]'")
            rows = db.execute(sql + rest, (*asked, *values))
            return tuple(_document(*row) for row in rows)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        with self._published() as generation:
            if generation is None:
                yield None
                return
            uri = f"{generation.manifest_path.absolute().as_uri()}?mode=ro&immutable=1"
            try:
                with closing(sqlite3.connect(uri, uri=True)) as db:
                    yield db
            except sqlite3.Error as exc:
                what, remedy = "the list of documents cannot be read", "run rag doctor"
                raise IndexStateError(what, exc, remedy) from exc

    @contextmanager
    def _published(self) -> Iterator[Generation | None]:
        for _ in range(_ATTEMPTS):
            generation = read_current(self._collection_dir)
            if generation is None:
                yield None
                return
            with shared_lock(generation.path) as present:
                if present:
                    yield generation
                    return
        raise IndexStateError("generations vanish too fast", self._collection_dir, "try again")


def _has_labels(db: sqlite3.Connection) -> bool:
    sql = "SELECT 1 FROM pragma_table_info('documents') WHERE name = 'access'"
    return db.execute(sql).fetchone() is not None


def _document(*row: object) -> IndexedDocument:
    doc_id, path, size, sha256, title, media_type, tags, date, labels, chunks = row
    return IndexedDocument(
        *(str(doc_id), str(path), int(str(size)), str(sha256), str(title), str(media_type)),
        tags=tuple(json.loads(str(tags))),
        date=None if date is None else str(date),
        access=tuple(json.loads(str(labels))),
        chunks=int(str(chunks)),
    )
