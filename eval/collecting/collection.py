"""The user's own collection: what answers from it, and the documents that are in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter

from eval.datasets import Text
from ingest.manifest import Manifest
from rag.answering import Answering
from rag.build import build_answering, build_live_index
from rag.errors import IndexStateError
from rag.generation import read_current
from rag.settings import Settings

_PIECES = """
SELECT o.doc_id, d.title, o.start, c.text
FROM occurrences o JOIN contents c USING (tenant, digest) JOIN documents d USING (tenant, doc_id)
WHERE o.tenant=? ORDER BY o.doc_id, o.start
"""


@contextmanager
def opened(settings: Settings) -> Iterator[Answering]:
    """Give what answers from the published generation, as ``rag ask`` does.

    Raises:
        IndexStateError: There is no generation, or it cannot be opened.
    """
    live = build_live_index(settings)
    live.refresh()
    problem = live.problem()
    if problem is not None:  # before the model is loaded, which takes longer
        raise problem
    try:
        yield build_answering(settings, live)
    finally:
        live.close()


def documents(settings: Settings) -> Iterator[Text]:
    """Yield the tenant's documents by id, put together of their indexed pieces.

    A piece stands where it stood in the document; what was not indexed between two of them, such
    as white space, is a line feed a character.

    Raises:
        IndexStateError: There is no generation, or it cannot be read.
    """
    collection = settings.data_dir / settings.collection
    generation = read_current(collection)
    if generation is None:
        raise IndexStateError("no documents yet", collection, "run rag-ingest sync PATH")
    generation.verify_manifest()
    with Manifest.read(generation.manifest_path) as manifest:
        rows = manifest.connection.execute(_PIECES, (settings.tenant,))
        for (doc_id, title), pieces in groupby(rows, key=itemgetter(0, 1)):
            yield Text(doc_id, title, _joined((start, text) for _, _, start, text in pieces))


def _joined(pieces: Iterator[tuple[int, str]]) -> str:
    text = ""
    for start, piece in pieces:
        text += "\n" * (start - len(text)) + piece[max(0, len(text) - start) :]
    return text
