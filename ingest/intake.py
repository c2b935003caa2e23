"""Files into the manifest: each parsed, cut into chunks, and stored, or a letter about why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.build import Toolkit
from ingest.chunk import Chunker, chunk_document
from ingest.deadletter import DeadLetter, LetterStatus
from ingest.duplicates import content_digest
from ingest.load.registry import FORMATS
from ingest.manifest import DocumentRecord, Manifest
from ingest.plan import Failed, ParseTask, Rules, letter_for
from ingest.progress import Advance
from rag.errors import EmptyDocumentError, LoadError, RagError, UnsupportedFormatError
from rag.types import Chunk, Document


@dataclass(slots=True)
class Intake:
    """How the parsed files ended; ``emptied`` documents had content before and have none now."""

    documents: int = 0
    emptied: int = 0
    letters: list[DeadLetter] = field(default_factory=list)


def take_in(
    manifest: Manifest,
    tasks: Sequence[ParseTask],
    rules: Rules,
    toolkit: Toolkit,
    advance: Advance,
) -> Intake:
    """Parse files into a manifest; one file's failure never stops the others."""
    intake = Intake()
    if not tasks:
        return intake
    chunker = toolkit.make_chunker()
    for task, result in toolkit.parse(tasks):
        try:
            if isinstance(result, RagError):
                raise result
            _store(manifest, task, _cut(result, chunker), rules)
            intake.documents += 1
        except RagError as exc:
            intake.letters.append(_letter(task, rules, exc))
            if _is_emptied(task):
                manifest.remove_document(rules.tenant, task.doc_id)
                intake.emptied += 1
        advance(1)
    return intake


@dataclass(frozen=True, slots=True)
class _Cut:
    document: Document
    chunks: tuple[Chunk, ...]


def _cut(document: Document, chunker: Chunker) -> _Cut:
    """Return a document with its chunks.

    Raises:
        RagError: There are none, or the text cannot be stored.
    """
    chunks = chunk_document(document, chunker)
    if not chunks:
        raise EmptyDocumentError("no text in document", document.id, "leave the file out")
    try:
        words = (document.title, document.text, *document.tags)
        "".join((*words, *(h for chunk in chunks for h in chunk.headings))).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise LoadError("text is not valid Unicode", document.id, "save the file as UTF-8") from exc
    return _Cut(document, chunks)


def _store(manifest: Manifest, task: ParseTask, cut: _Cut, rules: Rules) -> None:
    document = cut.document
    record = DocumentRecord(
        doc_id=task.doc_id,
        path=task.file.path,
        size=task.file.size,
        sha256=task.sha256 if _is_same(task) else "",  # changed meanwhile: parsed again next time
        shape=rules.shape,
        title=document.title,
        media_type=document.media_type,
        tags=document.tags,
        date=document.date,
    )
    manifest.put_document(
        rules.tenant, record, [(content_digest(chunk), chunk) for chunk in cut.chunks]
    )


def _is_same(task: ParseTask) -> bool:
    try:
        status = Path(task.file.path).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (task.file.size, task.file.mtime_ns)


def _letter(task: ParseTask, rules: Rules, error: RagError) -> DeadLetter:
    keeps = task.known and not _is_emptied(task)
    failed = Failed(task.file.path, task.doc_id, task.sha256, keeps)
    status: LetterStatus = "skipped" if _is_no_document(task, error) else "failed"
    return letter_for(rules, failed, error, attempts=task.attempts, status=status)


def _is_emptied(task: ParseTask) -> bool:
    # A file without a single byte has nothing left to serve; anything else may be an accident.
    return task.known and task.file.size == 0


def _is_no_document(task: ParseTask, error: RagError) -> bool:
    if isinstance(error, UnsupportedFormatError):
        # For a known format it is a library that is missing.
        return Path(task.file.path).suffix.lower() not in FORMATS
    return isinstance(error, EmptyDocumentError)
