"""Files into the manifest: each parsed, cut into chunks, and stored, or a letter about why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
from rag.labels import Labels
from rag.types import Chunk, Document


@dataclass(slots=True)
class Intake:
    """How the parsed files ended; ``emptied`` documents were there before and are not now."""

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
        document = _labelled(result, task, rules)
        # A file without a single byte has nothing left to serve, and one whose labels cannot hold
        # may not be served as it was; anything else may be an accident.
        emptied = task.known and (task.file.size == 0 or _is_refused(document, result))
        try:
            if isinstance(document, RagError):
                raise document
            _store(manifest, task, _cut(document, chunker), rules)
            intake.documents += 1
        except RagError as exc:
            failed = _failed(task, keeps_earlier=task.known and not emptied)
            intake.letters.append(_letter(task, failed, rules, exc))
            if emptied:
                manifest.remove_document(rules.tenant, task.doc_id)
                intake.emptied += 1
        advance(1)
    return intake


@dataclass(frozen=True, slots=True)
class _Labelled:
    """A document with the labels that hold, and those that its file names."""

    document: Document
    own: Labels


def _labelled(result: Document | RagError, task: ParseTask, rules: Rules) -> _Labelled | RagError:
    if isinstance(result, RagError):
        return result
    try:
        labels = rules.access.joined(task.file.path, result.access)
    except LoadError as exc:
        return exc
    return _Labelled(replace(result, access=labels), tuple(sorted(result.access)))


def _is_refused(document: _Labelled | RagError, result: Document | RagError) -> bool:
    return isinstance(document, RagError) and document is not result


@dataclass(frozen=True, slots=True)
class _Cut:
    document: Document
    own: Labels
    chunks: tuple[Chunk, ...]


def _cut(labelled: _Labelled, chunker: Chunker) -> _Cut:
    """Return a document with its chunks.

    Raises:
        RagError: There are none, or the text cannot be stored.
    """
    document = labelled.document
    chunks = chunk_document(document, chunker)
    if not chunks:
        raise EmptyDocumentError("no text in document", document.id, "leave the file out")
    try:
        words = (document.title, document.text, *document.tags)
        "".join((*words, *(h for chunk in chunks for h in chunk.headings))).encode("utf-8")
    except UnicodeEncodeError as exc:
        raise LoadError("text is not valid Unicode", document.id, "save the file as UTF-8") from exc
    return _Cut(document, labelled.own, chunks)


def _store(manifest: Manifest, task: ParseTask, cut: _Cut, rules: Rules) -> None:
    document, same = cut.document, _is_same(task)
    if not same and task.file.path in rules.access.by_path:
        # The labels are those of what lay there before.
        remedy = "sync again, which reads it as it is then"
        raise LoadError("file changed while it was read", document.id, remedy)
    record = DocumentRecord(
        doc_id=task.doc_id,
        path=task.file.path,
        size=task.file.size,
        sha256=task.sha256 if same else "",  # changed meanwhile: parsed again next time
        shape=rules.shape,
        title=document.title,
        media_type=document.media_type,
        tags=document.tags,
        date=document.date,
        own_access=cut.own,
        access=document.access,
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


def _failed(task: ParseTask, *, keeps_earlier: bool) -> Failed:
    return Failed(task.file.path, task.doc_id, task.sha256, keeps_earlier)


def _letter(task: ParseTask, failed: Failed, rules: Rules, error: RagError) -> DeadLetter:
    status: LetterStatus = "skipped" if _is_no_document(task, error) else "failed"
    return letter_for(rules, failed, error, attempts=task.attempts, status=status)


def _is_no_document(task: ParseTask, error: RagError) -> bool:
    if isinstance(error, UnsupportedFormatError):
        # For a known format it is a library that is missing.
        return Path(task.file.path).suffix.lower() not in FORMATS
    return isinstance(error, EmptyDocumentError)
