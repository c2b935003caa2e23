"""Judgements on disk as they come, one JSON line each: what was paid for is not asked again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from eval.judging.judge import Judgement
from eval.records import Row
from rag.errors import RagError, UsageError
from rag.types import Interval


@dataclass(frozen=True, slots=True)
class Asked:
    """What is judged and by whom: a record's key, and a judge's name with its prompt's version."""

    record: str
    judge: str


class Kept:
    """The judgements of one judge on one record; those of others in the file are left alone."""

    def __init__(self, file: BinaryIO, asked: Asked, *, anew: bool = False) -> None:
        self._file = file
        self._asked = asked
        found = list(_lines(file, asked))
        self._known = {} if anew else dict(found)

    def __len__(self) -> int:
        return len(self._known)

    def known(self, row: Row) -> Judgement | None:
        """Return what was said of a row's answer before, None where it was not asked."""
        return self._known.get(_digest(row))

    def add(self, row: Row, judgement: Judgement) -> None:
        """Append a judgement; it survives the death of this process."""
        digest = _digest(row)
        line = {"id": row.id, **asdict(self._asked), "of": digest, **asdict(judgement)}
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        self._known[digest] = judgement


@contextmanager
def kept_at(path: Path, asked: Asked, *, anew: bool = False) -> Iterator[Kept]:
    """Open the file of judgements for this process alone; ``anew`` disregards what it holds.

    Raises:
        UsageError: It cannot be written, or another process has it open.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as exc:
        raise UsageError("file cannot be written", path, f"name another ({exc})") from exc
    with os.fdopen(descriptor, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise UsageError("a judge is at work on this", path, "wait for it to end") from exc
        yield Kept(file, asked, anew=anew)


def _digest(row: Row) -> str:
    """Return 16 hex digits of all that a judge is shown."""
    shown = json.dumps([row.question, row.outcome.answer, row.outcome.context])
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def _lines(file: BinaryIO, asked: Asked) -> Iterator[tuple[str, Judgement]]:
    """Yield what each line of this judge on this record says; one that was cut off says nothing."""
    line = b"\n"
    for line in file:
        found = _judgement(line, asked)
        if found is not None:
            yield found
    if not line.endswith(b"\n"):
        file.write(b"\n")


def _judgement(line: bytes, asked: Asked) -> tuple[str, Judgement] | None:
    try:
        said: dict[str, Any] = json.loads(line)
        if (said["record"], said["judge"]) != (asked.record, asked.judge):
            return None
        joules = said["joules"]
        return str(said["of"]), Judgement(
            said["groundedness"],
            said["prompt_tokens"],
            said["completion_tokens"],
            None if joules is None else Interval(joules["low"], joules["high"]),
            said["reason"],
        )
    except (ValueError, RecursionError, KeyError, TypeError, RagError):
        return None
