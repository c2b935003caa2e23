"""The record of one evaluation: what was run, what each question got, and what it cost.

Everything but ``measured`` is the same byte for byte whenever the same thing is run again.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from eval.measures import MEASURES
from eval.outcomes import Cost, Outcome
from rag.errors import LoadError, UsageError
from rag.types import Interval

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two runs the same run.

    ``code`` is the hash of this project's sources, ``machine`` that of processor and platform;
    ``seed`` draws the questions, where not all are asked.
    """

    system: str
    fingerprint: str
    data_sha256: str
    questions: int
    code: str
    seed: int
    machine: str

    @property
    def key(self) -> str:
        """12 hex digits that name the record."""
        parts = (self.system, self.fingerprint, self.data_sha256, self.questions)
        text = "\n".join(map(str, (*parts, self.code, self.seed, self.machine)))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Data:
    """The question set: its name and sizes, and in words what was left out."""

    name: str
    documents: int
    questions_total: int
    answerable: int
    left_out: str


@dataclass(frozen=True, slots=True)
class Row:
    """One question: what was asked, what is right, what it got, and how good that is.

    ``scores`` has a value for each deterministic measure; None where the question has none.
    """

    id: str
    question: str
    kind: str | None
    answerable: bool
    answers: tuple[str, ...]
    gold: tuple[str, ...]
    outcome: Outcome
    scores: Mapping[str, float | None]
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """Processor time [s] and energy [J] of work that is no question's."""

    cpu_seconds: float
    joules: Interval


@dataclass(frozen=True, slots=True)
class Indexing(Work):
    """What building the index took; ``from_cache`` of its vectors needed no computing."""

    chunks: int
    from_cache: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What differs from run to run: when, and what was spent.

    ``repeats`` holds, for each time that all questions were asked, one cost a question in the
    order of the rows. ``evaluation`` is what scoring took: not the system's, the harness's own.
    """

    at: str
    load_average: float | None
    indexing: Indexing | None
    evaluation: Work
    repeats: tuple[tuple[Cost, ...], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One evaluation, whole."""

    version: int
    identity: Identity
    system: str
    settings: Mapping[str, Any]
    data: Data
    environment: Mapping[str, Any]
    rows: tuple[Row, ...]
    measured: Measured

    def values(self, measure: str) -> tuple[float | None, ...]:
        """Return a measure question by question; times and energy as means over the repeats."""
        if not MEASURES[measure].repeats:
            return tuple(row.scores.get(measure) for row in self.rows)
        repeats = self.measured.repeats
        columns = zip(
            *([amount(cost, measure) for cost in costs] for costs in repeats), strict=True
        )
        return tuple(_mean(column) for column in columns)

    def repeat_means(self, measure: str) -> tuple[float, ...]:
        """Return the mean of a time or an energy over the questions, repeat by repeat."""
        means = (
            _mean([amount(cost, measure) for cost in costs]) for costs in self.measured.repeats
        )
        return tuple(mean for mean in means if mean is not None)


def amount(cost: Cost, measure: str) -> float | None:
    """Return a time or an energy as one number: an interval's middle."""
    value = getattr(cost, measure)
    return (value.low + value.high) / 2 if isinstance(value, Interval) else value


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


@cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def write(record: Record, path: Path) -> None:
    """Write a record; what stood there is replaced at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}.part")
    beside.write_bytes(_adapter().dump_json(record, indent=1) + b"\n")
    beside.replace(path)


def read(path: Path) -> Record:
    """Return the record in a file.

    Raises:
        UsageError: There is no such file.
        LoadError: It is not a record of this version.
    """
    try:
        record = _adapter().validate_json(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError) as exc:
        raise UsageError("no such record", path, "run rag-eval run first") from exc
    except (OSError, ValidationError) as exc:
        first = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else str(exc)
        raise LoadError("not an evaluation record", f"{path} ({first})", "run it again") from exc
    if record.version != VERSION:
        raise LoadError("record of another version", f"{path} ({record.version})", "run it again")
    return record


def found(folder: Path) -> Iterator[tuple[Path, Record]]:
    """Yield the records of a folder, newest first.

    Raises:
        LoadError: One of them cannot be read.
    """
    records = [(path, read(path)) for path in sorted(folder.glob("*.json"))]
    yield from sorted(records, key=lambda pair: pair[1].measured.at, reverse=True)
