"""Tasks and outcomes as bytes between the pool and its parsing processes.

JSON and not pickle: what comes back was written by a process that has parsed hostile input, and
reading it must not be able to do anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rag.errors import EmptyDocumentError, LoadError, ParseLimitError, UnsupportedFormatError
from rag.types import Block, BlockKind, Document

_Fields: TypeAlias = tuple[str, str, str, list[str], str | None, list[str]]
_Row: TypeAlias = tuple[int, int, BlockKind, int, int | None]
_ERRORS: dict[str, type[LoadError]] = {
    error.__name__: error
    for error in (LoadError, UnsupportedFormatError, ParseLimitError, EmptyDocumentError)
}


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """What became of one file: a document or an error, never both.

    ``seconds`` is the wall time of parsing [s], None when the process did not live to tell.
    """

    path: Path
    doc_id: str
    document: Document | None
    error: LoadError | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Task:
    """One file to parse, under the number by which its outcome is known."""

    number: int
    path: Path
    doc_id: str


def encode_task(task: Task) -> bytes:
    """Return a task as bytes."""
    return json.dumps([task.number, str(task.path), task.doc_id]).encode("ascii")


def decode_task(data: bytes) -> Task:
    """Return the task that ``encode_task`` wrote."""
    number, path, doc_id = json.loads(data)
    return Task(number, Path(path), doc_id)


def encode_result(result: Document | LoadError, seconds: float, *, retiring: bool) -> bytes:
    """Return a document or an error as bytes; ``retiring`` says that the process ends now."""
    if isinstance(result, LoadError):
        name = type(result).__name__ if type(result).__name__ in _ERRORS else "LoadError"
        body: list[object] = [name, result.what, str(result.value), result.remedy]
    else:
        body = [None, _packed(result)]
    return json.dumps([seconds, retiring, *body]).encode("ascii")


def decode_result(data: bytes, task: Task) -> tuple[LoadOutcome, bool]:
    """Return a task's outcome, and whether the process that sent it ends."""
    seconds, retiring, name, *body = json.loads(data)
    if name is not None:
        what, value, remedy = body
        error = _ERRORS[name](what, value, remedy)
        return LoadOutcome(task.path, task.doc_id, None, error, seconds), retiring
    document = _unpacked(task.doc_id, *body[0])
    return LoadOutcome(task.path, task.doc_id, document, None, seconds), retiring


def _packed(document: Document) -> list[object]:
    paths: dict[tuple[str, ...], int] = {}
    rows = []
    for block in document.blocks:
        path = paths.setdefault(block.headings, len(paths))
        rows.append((block.start, block.end, block.kind, path, block.page))
    fields = [document.title, document.text, document.media_type, document.tags, document.date]
    return [[*fields, document.access], list(paths), rows]


def _unpacked(doc_id: str, fields: _Fields, paths: list[list[str]], rows: list[_Row]) -> Document:
    title, text, media_type, tags, date, access = fields
    headings = [tuple(path) for path in paths]
    blocks = tuple(Block(s, e, kind, headings[path], page) for s, e, kind, path, page in rows)
    return Document(
        *(doc_id, title, text, blocks, media_type), tuple(tags), date, access=tuple(access)
    )
