"""The questions that an unfinished run has done: one JSON line each, so that a kill loses one."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from eval.outcomes import Cost, Outcome
from eval.records import Indexing
from rag.errors import UsageError


@dataclass(frozen=True, slots=True)
class Entry:
    """One question asked once: the first time with what it got, later with whether it was the same.

    ``indexing`` stands with the first question after the index was built.
    """

    repeat: int
    question: str
    cost: Cost
    outcome: Outcome | None = None
    same: bool = True
    indexing: Indexing | None = None


class Journal:
    """Entries on disk; a line that was cut off by a kill counts as not written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.entries = tuple(_whole(file))

    def add(self, entry: Entry) -> None:
        """Append an entry; it survives the death of this process."""
        self._file.write(_adapter().dump_json(entry) + b"\n")
        self._file.flush()


@contextmanager
def opened(path: Path, *, anew: bool = False) -> Iterator[Journal]:
    """Open the journal at ``path`` for this process alone; ``anew`` forgets what it holds.

    Raises:
        UsageError: Another process has it open, or the folder cannot be written.
    """
    with _locked(path) as file:
        if anew:
            file.truncate(0)
        yield Journal(file)


def _locked(path: Path) -> BinaryIO:
    """Return the file open and locked; one that another run has removed meanwhile will not do."""
    while True:
        file = _file(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except BlockingIOError as exc:
            file.close()
            raise UsageError("the same run is under way", path, "wait for it to end") from exc
        file.close()


def _file(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as exc:
        remedy = f"name another folder by --results ({exc.strerror})"
        raise UsageError("records cannot be kept here", path.parent, remedy) from exc


@cache
def _adapter() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


def _whole(file: BinaryIO) -> Iterator[Entry]:
    """Yield the entries up to the first broken line, and cut the file there."""
    end = 0
    for line in file:
        try:
            entry = _adapter().validate_json(line)
        except ValidationError:
            break
        if not line.endswith(b"\n"):
            break
        end += len(line)
        yield entry
    file.truncate(end)
    file.seek(end)
