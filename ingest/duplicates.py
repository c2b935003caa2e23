"""Which occurrence of each content is stored, and what that changes in the index.

The same text under the same headings, with the same tags, date and labels, is stored once per
tenant: where it stood before if it still stands there, else in the document with the smallest id.
The others are named in ``Chunk.also_in``. A content that nearly repeats an earlier one of the same
labels is marked, and left out if so asked: whoever may read the one may read the other.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ingest.dedupe import NearDuplicates
from ingest.manifest import DocumentRecord, Manifest, read_spans
from ingest.sketches import add_sketches, remove_sketches
from rag.labels import Labels
from rag.types import Chunk

_FIELDS = """
SELECT o.tenant, o.chunk_id, o.doc_id, d.title, c.text, o.start, o.tokens, o.sentences,
       o.headlines, o.headings, o.page, d.tags, d.date, d.access, o.digest
"""
_CHUNKS = f"""
{_FIELDS}
FROM points p
JOIN occurrences o ON o.tenant=p.tenant AND o.doc_id=p.doc_id AND o.start=p.start
JOIN documents d ON d.tenant=p.tenant AND d.doc_id=p.doc_id
JOIN contents c ON c.tenant=p.tenant AND c.digest=p.digest
"""
_OF_DOCUMENT = f"""
{_FIELDS}
FROM occurrences o INDEXED BY sqlite_autoindex_occurrences_1
JOIN documents d ON d.tenant=o.tenant AND d.doc_id=o.doc_id
JOIN contents c ON c.tenant=o.tenant AND c.digest=o.digest
WHERE o.tenant=? AND o.doc_id=? ORDER BY o.start
"""


@dataclass(frozen=True, slots=True)
class PointChanges:
    """What the index has to take over: ids of (tenant, chunk).

    ``upserted`` are new or changed, ``replaced`` those of them that were there, ``deleted`` gone.
    """

    upserted: tuple[tuple[str, str], ...]
    replaced: tuple[tuple[str, str], ...]
    deleted: tuple[tuple[str, str], ...]

    def __bool__(self) -> bool:
        return bool(self.upserted or self.deleted)


def content_digest(chunk: Chunk) -> str:
    """Return 32 hexadecimal digits, equal for chunks that are stored once for all."""
    parts = (chunk.text, *chunk.headings, "\0", *chunk.tags, "\0", chunk.date or "")
    parts += ("\0", *chunk.access) if chunk.access else ()
    data = "\0".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def relabel(manifest: Manifest, tenant: str, record: DocumentRecord, labels: Labels) -> None:
    """Give a document other labels, without its file being read again."""
    rows = manifest.connection.execute(_OF_DOCUMENT, (tenant, record.doc_id)).fetchall()
    chunks = [replace(chunk, access=labels) for _, chunk in _read_chunks(manifest, iter(rows))]
    held = [(content_digest(chunk), chunk) for chunk in chunks]
    manifest.put_document(tenant, replace(record, access=labels), held)


def needs_other_dropping(manifest: Manifest, tenant: str, *, drop: bool) -> bool:
    """Return whether near-duplicates were treated another way than is asked for now."""
    found = manifest.connection.execute(
        "SELECT 1 FROM contents WHERE tenant=? AND near IS NOT NULL AND dropped<>? LIMIT 1",
        (tenant, drop),
    )
    return found.fetchone() is not None


def mark_near_duplicates(
    manifest: Manifest, tenant: str, known: Callable[[], NearDuplicates], *, drop: bool
) -> int:
    """Compare a tenant's fresh contents with all others; returns how many nearly repeat one.

    Args:
        manifest: A manifest in the making.
        tenant: Whose contents.
        known: Makes an empty comparison; called only if something is to be compared.
        drop: Near-duplicates are not to be stored.
    """
    db, key = manifest.connection, (tenant,)
    _forget_orphans(manifest, tenant)
    waiting = db.execute(
        "SELECT c.digest FROM contents c INDEXED BY fresh_ones"
        " CROSS JOIN occurrences o ON o.tenant=c.tenant AND o.digest=c.digest"
        " WHERE c.tenant=? AND c.fresh GROUP BY c.digest ORDER BY min(o.doc_id), o.start",
        key,
    ).fetchall()
    found = _compare(manifest, tenant, [d for (d,) in waiting], known) if waiting else []
    db.executemany("UPDATE contents SET near=? WHERE tenant=? AND digest=?", found)
    db.execute("UPDATE contents SET fresh=0 WHERE tenant=? AND fresh", key)
    _apply_dropping(manifest, tenant, drop=drop)
    return len(found)


def resolve_points(manifest: Manifest, count_terms: Callable[[Chunk], int]) -> PointChanges:
    """Choose the stored occurrence of every touched content; returns what that changes.

    Args:
        manifest: A manifest in the making.
        count_terms: Returns the number of index terms of a chunk.
    """
    db = manifest.connection
    # CROSS JOIN, here and below: SQLite keeps the order of tables and so begins with the few
    # touched contents, where its own choice would read all of a tenant's.
    db.execute("DROP TABLE IF EXISTS temp.earlier")
    db.execute(
        "CREATE TEMP TABLE earlier AS SELECT p.* FROM touched t"
        " CROSS JOIN points p ON p.tenant=t.tenant AND p.digest=t.digest"
    )
    db.execute("CREATE INDEX temp.earlier_by_id ON earlier (tenant, chunk_id)")
    db.execute("CREATE INDEX temp.earlier_by_digest ON earlier (tenant, digest)")
    db.execute("DELETE FROM points WHERE (tenant, digest) IN (SELECT * FROM touched)")
    _choose_owners(manifest)
    _measure(manifest, count_terms)
    changes = _changes(manifest)
    db.execute("DELETE FROM touched")
    db.execute("DROP TABLE temp.earlier")
    return changes


def stored_chunks(manifest: Manifest) -> Iterator[tuple[str, Chunk]]:
    """Yield tenant and chunk of every point by tenant, document and place."""
    rows = manifest.connection.execute(_CHUNKS + "ORDER BY p.tenant, p.doc_id, p.start")
    yield from _read_chunks(manifest, rows)


def chunks_of(
    manifest: Manifest, points: tuple[tuple[str, str], ...]
) -> Iterator[tuple[str, Chunk]]:
    """Yield tenant and chunk of the points named, in that order."""
    for point in points:
        rows = manifest.connection.execute(_CHUNKS + "WHERE p.tenant=? AND p.chunk_id=?", point)
        yield from _read_chunks(manifest, rows)


def _forget_orphans(manifest: Manifest, tenant: str) -> None:
    db, key = manifest.connection, (tenant,)
    orphans = db.execute(
        "SELECT c.tenant, c.digest FROM touched t"
        " CROSS JOIN contents c ON c.tenant=t.tenant AND c.digest=t.digest"
        " WHERE t.tenant=? AND NOT EXISTS (SELECT 1 FROM occurrences o"
        " WHERE o.tenant=c.tenant AND o.digest=c.digest)",
        key,
    ).fetchall()
    remove_sketches(manifest, tenant, [digest for _, digest in orphans])
    db.executemany("DELETE FROM contents WHERE tenant=? AND digest=?", orphans)
    db.execute(
        "UPDATE contents SET near=NULL, dropped=0, fresh=1 WHERE tenant=? AND near IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM contents n"
        " WHERE n.tenant=contents.tenant AND n.digest=contents.near AND n.near IS NULL)",
        key,
    )
    db.execute(
        "INSERT OR IGNORE INTO touched"
        " SELECT tenant, digest FROM contents WHERE tenant=? AND fresh",
        key,
    )


def _compare(
    manifest: Manifest, tenant: str, waiting: list[str], known: Callable[[], NearDuplicates]
) -> list[tuple[str, str, str]]:
    db, near = manifest.connection, defaultdict[str, NearDuplicates](known)  # by their labels
    for content in sorted(add_sketches(manifest, tenant, waiting)):
        row = db.execute(
            "SELECT access, digest, text FROM contents"
            " WHERE id=? AND tenant=? AND NOT fresh AND near IS NULL",
            (content, tenant),
        ).fetchone()
        if row is not None:
            near[row[0]].add(*row[1:])
    found = []
    for digest in waiting:
        access, text = db.execute(
            "SELECT access, text FROM contents WHERE tenant=? AND digest=?", (tenant, digest)
        ).fetchone()
        earlier = near[access].add(digest, text)
        if earlier is not None and earlier != digest:
            found.append((earlier, tenant, digest))
    return found


def _apply_dropping(manifest: Manifest, tenant: str, *, drop: bool) -> None:
    db, key = manifest.connection, (tenant, drop)
    db.execute(
        "INSERT OR IGNORE INTO touched SELECT tenant, digest FROM contents"
        " WHERE tenant=? AND near IS NOT NULL AND dropped<>?",
        key,
    )
    db.execute(
        "UPDATE contents SET dropped=?2 WHERE tenant=?1 AND near IS NOT NULL AND dropped<>?2", key
    )


def _choose_owners(manifest: Manifest) -> None:
    # The first row of each content wins: its earlier document first, then the smallest id.
    manifest.connection.execute(
        "INSERT OR IGNORE INTO points (tenant, chunk_id, digest, doc_id, start, tokens)"
        " SELECT o.tenant, o.chunk_id, o.digest, o.doc_id, o.start, o.tokens FROM touched t"
        " CROSS JOIN contents c ON c.tenant=t.tenant AND c.digest=t.digest AND NOT c.dropped"
        " CROSS JOIN occurrences o ON o.tenant=t.tenant AND o.digest=t.digest"
        " LEFT JOIN temp.earlier e ON e.tenant=t.tenant AND e.digest=t.digest"
        " ORDER BY o.tenant, o.digest, o.doc_id IS NOT e.doc_id, o.doc_id, o.start"
    )


def _measure(manifest: Manifest, count_terms: Callable[[Chunk], int]) -> None:
    db = manifest.connection
    rows = db.execute(
        "SELECT p.tenant, p.chunk_id FROM touched t"
        " CROSS JOIN points p ON p.tenant=t.tenant AND p.digest=t.digest"
    ).fetchall()
    for tenant, chunk in chunks_of(manifest, tuple(rows)):
        # As it was before there were labels, or all that has none would be written anew.
        shown = repr(chunk).replace(", access=())", ")")
        fingerprint = hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        earlier = db.execute(
            "SELECT terms FROM temp.earlier WHERE tenant=? AND chunk_id=? AND fingerprint=?",
            (tenant, chunk.id, fingerprint),
        ).fetchone()
        terms = earlier[0] if earlier else count_terms(chunk)
        db.execute(
            "UPDATE points SET fingerprint=?, terms=? WHERE tenant=? AND chunk_id=?",
            (fingerprint, terms, tenant, chunk.id),
        )


def _changes(manifest: Manifest) -> PointChanges:
    db = manifest.connection
    upserted = db.execute(
        "SELECT p.tenant, p.chunk_id, e.chunk_id IS NOT NULL FROM touched t"
        " CROSS JOIN points p ON p.tenant=t.tenant AND p.digest=t.digest"
        " LEFT JOIN temp.earlier e ON e.tenant=p.tenant AND e.chunk_id=p.chunk_id"
        " WHERE e.fingerprint IS NOT p.fingerprint ORDER BY p.tenant, p.doc_id, p.start"
    ).fetchall()
    deleted = db.execute(
        "SELECT e.tenant, e.chunk_id FROM temp.earlier e LEFT JOIN points p"
        " ON p.tenant=e.tenant AND p.chunk_id=e.chunk_id WHERE p.chunk_id IS NULL ORDER BY 1, 2"
    ).fetchall()
    return PointChanges(
        upserted=tuple((tenant, chunk_id) for tenant, chunk_id, _ in upserted),
        replaced=tuple((tenant, chunk_id) for tenant, chunk_id, there in upserted if there),
        deleted=tuple(deleted),
    )


def _read_chunks(
    manifest: Manifest, rows: Iterator[tuple[str, ...]]
) -> Iterator[tuple[str, Chunk]]:
    for tenant, *fields, digest in rows:
        others = manifest.connection.execute(
            "SELECT doc_id FROM occurrences INDEXED BY by_digest"
            " WHERE tenant=? AND digest=? AND doc_id<>?",
            (tenant, digest, fields[1]),
        )
        yield tenant, _chunk(fields, tuple(sorted({doc_id for (doc_id,) in others})))


def _chunk(fields: list[str], also_in: tuple[str, ...]) -> Chunk:
    chunk_id, doc_id, title, text, start, tokens, sentences, headlines, *rest = fields
    headings, page, tags, date, access = rest
    return Chunk(
        id=chunk_id,
        doc_id=doc_id,
        title=title,
        text=text,
        start=int(start),
        end=int(start) + len(text),
        tokens=int(tokens),
        sentences=read_spans(sentences),
        headings=tuple(json.loads(headings)),
        page=None if page is None else int(page),
        tags=tuple(json.loads(tags)),
        date=date,
        also_in=also_in,
        headlines=tuple(json.loads(headlines)),
        access=tuple(json.loads(access)),
    )
