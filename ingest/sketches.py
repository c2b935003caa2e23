"""Small sketches of texts in the manifest: which ones may be near-duplicates, without reading all.

A sketch is the smallest hash of the text's 3-word shingles in each of six classes of hashes. In
each class two texts agree with a probability of about their Jaccard similarity, so a pair of
similarity s goes unnoticed with (1 - s)^6: one in a million at .9, 7 in 10,000 at .7.

Source: A. Broder, "On the resemblance and containment of documents" (1997); Li, Owen, Zhang, "One
Permutation Hashing" (2012), for classes in place of many hash functions.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator

from ingest.manifest import Manifest

_CLASSES = 6
_SHINGLE_WORDS = 3
_WORD = re.compile(r"\w+")


def sketch(text: str) -> tuple[int, ...]:
    """Return up to six hashes, unsigned 32 bits; none for a text without words."""
    words = _WORD.findall(text.lower())
    size = min(_SHINGLE_WORDS, len(words)) or 1
    smallest: dict[int, int] = {}
    for row in zip(*(words[i:] for i in range(size)), strict=False):
        value = zlib.crc32(" ".join(row).encode("utf-8", "surrogatepass"))
        kind = value % _CLASSES
        smallest[kind] = min(value, smallest.get(kind, value))
    return tuple(smallest.values())


def add_sketches(manifest: Manifest, tenant: str, digests: Iterable[str]) -> set[int]:
    """Store the sketches of contents; returns the row ids of all contents that share a hash."""
    db = manifest.connection
    similar: set[int] = set()
    for content, text in _texts(manifest, tenant, digests):
        for value in sketch(text):
            rows = db.execute("SELECT content FROM sketches WHERE hash=?", (value,))
            similar.update(other for (other,) in rows)
            db.execute("INSERT OR IGNORE INTO sketches VALUES (?,?)", (value, content))
    return similar


def remove_sketches(manifest: Manifest, tenant: str, digests: Iterable[str]) -> None:
    """Forget the sketches of contents that are about to go."""
    for content, text in _texts(manifest, tenant, digests):
        rows = [(value, content) for value in sketch(text)]
        manifest.connection.executemany("DELETE FROM sketches WHERE hash=? AND content=?", rows)


def _texts(manifest: Manifest, tenant: str, digests: Iterable[str]) -> Iterator[tuple[int, str]]:
    for digest in digests:
        yield manifest.connection.execute(
            "SELECT id, text FROM contents WHERE tenant=? AND digest=?", (tenant, digest)
        ).fetchone()
