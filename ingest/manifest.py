"""What a generation was made of: documents, every place a chunk's content stands, index points.

``documents``    one row per indexed file: where it lies, what it held, how it was cut, the labels
                 that it names itself and those that hold
``contents``     each distinct chunk content of a tenant once, with its text; ``near`` is the
                 content that it nearly repeats, ``fresh`` that it was not compared yet,
                 ``access`` the labels of all documents that hold it
``occurrences``  every place where a content stands; several are exact duplicates
``points``       what the index holds: one occurrence of each content that is kept
``unembedded``   points without vectors in an index that has them: they wait for rag-ingest embed
``sketches``     hashes that nearly equal contents share, to find them without reading all
``roots``        the folders that document ids are relative to
``access_rules`` labels that files and folders were given; see ``ingest.labels``
``touched``      contents whose point has to be looked at again; empty once published

A published manifest is only read. A writer works on a copy that is thrown away if it dies, so
that it needs no journal of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ingest.labels import AccessRules
from ingest.unlabelled import add_labels, show_labels
from rag.errors import IndexStateError
from rag.labels import Labels
from rag.types import Chunk, Span

_SCHEMA = """
CREATE TABLE IF NOT EXISTS roots (tenant TEXT, path TEXT, PRIMARY KEY (tenant, path));
CREATE TABLE IF NOT EXISTS documents (
  tenant TEXT, doc_id TEXT, path TEXT, size INTEGER, sha256 TEXT, shape TEXT,
  title TEXT, media_type TEXT, tags TEXT, date TEXT,
  own_access TEXT NOT NULL DEFAULT '[]', access TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (tenant, doc_id), UNIQUE (tenant, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (
  id INTEGER PRIMARY KEY, tenant TEXT, digest TEXT, text TEXT, near TEXT, dropped INTEGER DEFAULT 0,
  fresh INTEGER DEFAULT 1, access TEXT NOT NULL DEFAULT '[]', UNIQUE (tenant, digest));
CREATE INDEX IF NOT EXISTS fresh_ones ON contents (tenant) WHERE fresh;
CREATE INDEX IF NOT EXISTS near_ones ON contents (tenant, dropped) WHERE near IS NOT NULL;
CREATE TABLE IF NOT EXISTS occurrences (
  tenant TEXT, doc_id TEXT, start INTEGER, chunk_id TEXT, digest TEXT, tokens INTEGER,
  page INTEGER, headings TEXT, sentences TEXT, headlines TEXT, PRIMARY KEY (tenant, doc_id, start));
CREATE INDEX IF NOT EXISTS by_digest ON occurrences (tenant, digest, doc_id, start);
CREATE TABLE IF NOT EXISTS points (
  tenant TEXT, chunk_id TEXT, digest TEXT, doc_id TEXT, start INTEGER, fingerprint TEXT,
  terms INTEGER, tokens INTEGER, PRIMARY KEY (tenant, chunk_id), UNIQUE (tenant, digest));
CREATE TABLE IF NOT EXISTS unembedded (
  tenant TEXT, chunk_id TEXT, PRIMARY KEY (tenant, chunk_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sketches (
  hash INTEGER, content INTEGER, PRIMARY KEY (hash, content)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS touched (tenant TEXT, digest TEXT, PRIMARY KEY (tenant, digest));
"""


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """One indexed file; ``shape`` names the settings that cut it into chunks.

    ``own_access`` are the labels that the file names, ``access`` those that hold, both sorted.
    """

    doc_id: str
    path: str
    size: int
    sha256: str
    shape: str
    title: str
    media_type: str
    tags: tuple[str, ...]
    date: str | None
    own_access: Labels = ()
    access: Labels = ()


@dataclass(frozen=True, slots=True)
class ManifestTotals:
    """Sizes of one tenant or of all; ``tokens`` and ``terms`` are summed over stored chunks.

    ``dropped`` are occurrences that are left out because they nearly repeat another.
    """

    documents: int
    chunks: int
    occurrences: int
    tokens: int
    terms: int
    duplicate_tokens: int
    near_duplicates: int
    near_duplicate_tokens: int
    dropped: int


class Manifest:
    """One manifest file, opened for reading or for one run's changes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open a published manifest without leaving a trace beside it.

        Raises:
            IndexStateError: It cannot be read.
        """
        try:
            uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
            connection = sqlite3.connect(uri, uri=True)
            connection.execute("SELECT count(*) FROM roots").fetchone()
            show_labels(connection)
        except sqlite3.Error as exc:
            raise IndexStateError(
                "manifest cannot be read", f"{path} ({exc})", "run rag-ingest rollback"
            ) from exc
        return cls(connection)

    @classmethod
    def write(cls, path: Path) -> Self:
        """Open or create the manifest of a generation in the making.

        Raises:
            IndexStateError: It cannot be written.
        """
        try:
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA journal_mode=OFF")
            connection.execute("PRAGMA synchronous=OFF")
            connection.executescript(_SCHEMA)
            add_labels(connection)
        except sqlite3.Error as exc:
            raise IndexStateError(
                "manifest cannot be written", f"{path} ({exc})", "free disk space and run again"
            ) from exc
        return cls(connection)

    @classmethod
    def empty(cls) -> Self:
        """Return a manifest without documents, in memory."""
        connection = sqlite3.connect(":memory:")
        connection.executescript(_SCHEMA)
        add_labels(connection)
        return cls(connection)

    @property
    def connection(self) -> sqlite3.Connection:
        """The database, for the modules that resolve duplicates in it."""
        return self._db

    def close(self) -> None:
        """Commit and close."""
        self._db.commit()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def roots(self, tenant: str) -> tuple[str, ...]:
        """Return the folders that document ids of a tenant are relative to, sorted."""
        rows = self._db.execute("SELECT path FROM roots WHERE tenant=? ORDER BY path", (tenant,))
        return tuple(path for (path,) in rows)

    def add_roots(self, tenant: str, paths: Sequence[str]) -> None:
        """Remember folders that document ids are relative to."""
        rows = [(tenant, path) for path in paths]
        self._db.executemany("INSERT OR IGNORE INTO roots VALUES (?, ?)", rows)

    def access_rules(self, tenant: str) -> AccessRules:
        """Return the labels that a tenant's files and folders were given."""
        rows = self._db.execute(
            "SELECT path, labels FROM access_rules WHERE tenant=? ORDER BY path", (tenant,)
        )
        return AccessRules({path: tuple(json.loads(labels)) for path, labels in rows})

    def set_access_rules(self, tenant: str, rules: AccessRules) -> None:
        """Remember a tenant's rules in place of all earlier ones."""
        rows = [(tenant, path, json.dumps(labels)) for path, labels in rules.by_path.items()]
        self._db.execute("DELETE FROM access_rules WHERE tenant=?", (tenant,))
        self._db.executemany("INSERT INTO access_rules VALUES (?,?,?)", rows)

    def documents(self, tenant: str) -> Iterator[DocumentRecord]:
        """Yield a tenant's documents by id."""
        rows = self._db.execute(
            "SELECT doc_id, path, size, sha256, shape, title, media_type, tags, date, own_access,"
            " access FROM documents WHERE tenant=? ORDER BY doc_id",
            (tenant,),
        )
        for doc_id, path, size, sha256, shape, title, media_type, tags, date, own, access in rows:
            yield DocumentRecord(
                *(doc_id, path, size, sha256, shape, title, media_type),
                tags=tuple(json.loads(tags)),
                date=date,
                own_access=tuple(json.loads(own)),
                access=tuple(json.loads(access)),
            )

    def put_document(
        self, tenant: str, record: DocumentRecord, chunks: Sequence[tuple[str, Chunk]]
    ) -> None:
        """Store a document and its chunks, each with its content digest, in place of the old."""
        self.remove_document(tenant, record.doc_id)
        self._db.execute(
            "INSERT INTO documents VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(tenant, record.doc_id, record.path, record.size, record.sha256, record.shape),
                *(record.title, record.media_type, json.dumps(record.tags), record.date),
                *(json.dumps(record.own_access), json.dumps(record.access)),
            ),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO contents (tenant, digest, text, access) VALUES (?,?,?,?)",
            [(tenant, digest, chunk.text, json.dumps(chunk.access)) for digest, chunk in chunks],
        )
        self._db.executemany(
            "INSERT INTO occurrences VALUES (?,?,?,?,?,?,?,?,?,?)",
            [_occurrence(tenant, digest, chunk) for digest, chunk in chunks],
        )
        self._touch(tenant, record.doc_id)

    def remove_document(self, tenant: str, doc_id: str) -> None:
        """Forget a document; its contents are looked at again when points are resolved."""
        self._touch(tenant, doc_id)
        key = (tenant, doc_id)
        self._db.execute("DELETE FROM documents WHERE tenant=? AND doc_id=?", key)
        self._db.execute("DELETE FROM occurrences WHERE tenant=? AND doc_id=?", key)

    def move_document(self, tenant: str, doc_id: str, path: str) -> None:
        """Record that a document lies elsewhere now, with the same content."""
        self._db.execute(
            "UPDATE documents SET path=? WHERE tenant=? AND doc_id=?", (path, tenant, doc_id)
        )

    def point_ids(self) -> Iterator[tuple[str, str]]:
        """Yield tenant and chunk id of everything the index should hold, in order."""
        yield from self._db.execute("SELECT tenant, chunk_id FROM points ORDER BY 1, 2")

    def unembedded(self, tenant: str | None = None) -> list[tuple[str, str]]:
        """Return tenant and chunk id of the points without vectors, of one tenant or of all."""
        if not self._row("SELECT count(*) FROM sqlite_master WHERE name='unembedded'", ())[0]:
            return []  # published before there were any
        rows = self._db.execute(
            "SELECT tenant, chunk_id FROM unembedded WHERE ?1 IS NULL OR tenant=?1 ORDER BY 1, 2",
            (tenant,),
        )
        return rows.fetchall()

    def note_vectors(self, tenant: str, chunks: Sequence[tuple[str, bool]]) -> None:
        """Remember of chunks, by id, whether they have their vectors now."""
        self._db.executemany(
            "DELETE FROM unembedded WHERE tenant=? AND chunk_id=?",
            [(tenant, chunk_id) for chunk_id, embedded in chunks if embedded],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO unembedded VALUES (?,?)",
            [(tenant, chunk_id) for chunk_id, embedded in chunks if not embedded],
        )

    def forget_vectors(self, *, everything: bool) -> None:
        """Forget what was noted of points that are gone, or of all."""
        self._db.execute(
            "DELETE FROM unembedded WHERE ?1 OR NOT EXISTS (SELECT 1 FROM points p"
            " WHERE p.tenant=unembedded.tenant AND p.chunk_id=unembedded.chunk_id)",
            (everything,),
        )

    def totals(self, tenant: str | None = None) -> ManifestTotals:
        """Return the sizes of one tenant, or of all if None."""
        key = (tenant,)
        (documents,) = self._row(
            "SELECT count(*) FROM documents WHERE ?1 IS NULL OR tenant=?1", key
        )
        chunks, tokens, terms = self._row(
            "SELECT count(*), total(tokens), total(terms) FROM points"
            " WHERE ?1 IS NULL OR tenant=?1",
            key,
        )
        occurrences, all_tokens = self._row(
            "SELECT count(*), total(tokens) FROM occurrences WHERE ?1 IS NULL OR tenant=?1", key
        )
        near, near_tokens, dropped, dropped_tokens = self._near(tenant)
        return ManifestTotals(
            documents=documents,
            chunks=chunks,
            occurrences=occurrences,
            tokens=int(tokens),
            terms=int(terms),
            duplicate_tokens=int(all_tokens) - int(tokens) - dropped_tokens,
            near_duplicates=near,
            near_duplicate_tokens=near_tokens,
            dropped=dropped,
        )

    def _near(self, tenant: str | None) -> tuple[int, int, int, int]:
        near, tokens, dropped, dropped_tokens = self._row(
            "SELECT count(DISTINCT c.rowid), total(o.tokens), total(c.dropped),"
            " total(o.tokens * c.dropped)"
            " FROM contents c JOIN occurrences o USING (tenant, digest)"
            " WHERE c.near IS NOT NULL AND (?1 IS NULL OR c.tenant=?1)",
            (tenant,),
        )
        return near, int(tokens), int(dropped), int(dropped_tokens)

    def _touch(self, tenant: str, doc_id: str) -> None:
        # By SQLite's own name of the primary key: left to itself it takes by_digest, and so reads
        # all of the tenant's occurrences.
        self._db.execute(
            "INSERT OR IGNORE INTO touched SELECT tenant, digest FROM occurrences"
            " INDEXED BY sqlite_autoindex_occurrences_1 WHERE tenant=? AND doc_id=?",
            (tenant, doc_id),
        )

    def _row(self, sql: str, key: tuple[str | None, ...]) -> tuple[int, ...]:
        row: tuple[int, ...] = self._db.execute(sql, key).fetchone()
        return row


def _occurrence(tenant: str, digest: str, chunk: Chunk) -> tuple[object, ...]:
    return (
        *(tenant, chunk.doc_id, chunk.start, chunk.id, digest, chunk.tokens, chunk.page),
        json.dumps(chunk.headings),
        json.dumps([(span.start, span.end) for span in chunk.sentences]),
        json.dumps(chunk.headlines),
    )


def read_spans(text: str) -> tuple[Span, ...]:
    """Return the sentence spans of an occurrence's column."""
    return tuple(Span(start, end) for start, end in json.loads(text))
