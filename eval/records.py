"""The record of one evaluation: what was run, what each question got, and what it cost.

Everything but ``measured`` is the same byte for byte whenever the same thing is run again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from eval.measures import MEASURES
from eval.outcomes import Cost, Outcome
from eval.statistics import mean_of
from rag.errors import LoadError, RagError, UsageError
from rag.types import Interval

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two runs the same run.

    ``asked`` is the hash of the questions' ids, ``code`` that of this project's sources,
    ``machine`` that of processor and platform; ``seed`` draws the questions, where not all are
    asked; ``safety`` names the checker, ``repeats`` is how often each question was asked.
    """

    system: str
    fingerprint: str
    data_sha256: str
    questions: int
    asked: str
    code: str
    seed: int
    machine: str
    safety: str = "built in"
    repeats: int = 1

    @property
    def key(self) -> str:
        """12 hex digits that name the record."""
        text = "\n".join(map(str, astuple(self)))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Data:
    """The question set: its name and sizes, and in words what was left out."""

    name: str
    documents: int
    questions: int
    answerable: int
    left_out: str


@dataclass(frozen=True, slots=True)
class Row:
    """One question: what was asked, what is right, what it got, and how good that is.

    ``scores`` has a value for each deterministic measure; None where the question has none.
    ``evidence`` are the gold sentences, where the set names them.
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
    evidence: tuple[str, ...] = ()


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

    ``commit`` has a ``+`` where files had changed since; None outside a checkout.
    ``repeats`` holds, for each time that all questions were asked, one cost a question in the
    order of the rows. ``evaluation`` is what scoring took: not the system's, the harness's own.
    ``unstable`` names the questions that got something else in a repeat than in the first.
    """

    at: str
    commit: str | None
    load_average: float | None
    indexing: Indexing | None
    evaluation: Work
    repeats: tuple[tuple[Cost, ...], ...]
    unstable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One evaluation, whole; read from a file, all its numbers are finite."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)

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
        return tuple(mean_of(column) for column in columns)

    def repeated(self, count: int) -> Record:
        """Return the record with its first ``count`` repeats only; later ones are cheaper."""
        return replace(self, measured=replace(self.measured, repeats=self.measured.repeats[:count]))

    def repeat_means(self, measure: str) -> tuple[float, ...]:
        """Return the mean of a time or an energy over the questions, repeat by repeat."""
        means = (
            mean_of([amount(cost, measure) for cost in costs]) for costs in self.measured.repeats
        )
        return tuple(mean for mean in means if mean is not None)


def as_often(a: Record, b: Record) -> tuple[Record, Record]:
    """Return both with as many repeats as the one that has fewer."""
    count = min(len(a.measured.repeats), len(b.measured.repeats))
    return a.repeated(count), b.repeated(count)


def amount(cost: Cost, measure: str) -> float | None:
    """Return a time or an energy as one number: an interval's middle."""
    value = getattr(cost, measure)
    return (value.low + value.high) / 2 if isinstance(value, Interval) else value


@dataclass(frozen=True, slots=True)
class _Head:
    """What a record of any version has."""

    version: int


@cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


@cache
def _head() -> TypeAdapter[_Head]:
    return TypeAdapter(_Head)


def write(record: Record, path: Path) -> None:
    """Write a record; what stood there is replaced at once or not at all.

    Raises:
        UsageError: It cannot be written there.
    """
    beside = path.parent / f".{path.name}.{os.getpid()}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(_text(record).encode())
        beside.replace(path)
    except OSError as exc:
        with suppress(OSError):
            beside.unlink()
        raise UsageError(
            "record cannot be written", path, f"name another place ({exc.strerror})"
        ) from exc


def _text(record: Record) -> str:
    """Return a record as JSON, one question a line: a diff of two of them can be read."""
    fields = _adapter().dump_python(record, mode="json")
    lines = ",\n".join(json.dumps(row) for row in fields["rows"])
    told = {name: json.dumps(value) for name, value in fields.items()} | {"rows": f"[\n{lines}\n]"}
    return "{\n" + ",\n".join(f'"{name}": {text}' for name, text in told.items()) + "\n}\n"


def read(path: Path) -> Record:
    """Return the record in a file.

    Raises:
        UsageError: There is no such file.
        LoadError: It is not a record of this version, or its parts do not fit each other.
    """
    try:
        content = path.read_bytes()
        version = _head().validate_json(content).version
        if version != VERSION:
            raise LoadError("record of another version", f"{path} ({version})", "run it again")
        record = _adapter().validate_json(content)
    except (FileNotFoundError, IsADirectoryError) as exc:
        raise UsageError("no such record", path, "run rag-eval run first") from exc
    except (OSError, ValidationError) as exc:
        raise _no_record(path, _said(exc)) from exc
    if misfit := _misfit(record):
        raise _no_record(path, misfit)
    return record


def _no_record(path: Path, why: str) -> LoadError:
    return LoadError("not an evaluation record", f"{path} ({why})", "run it again")


def _said(exc: OSError | ValidationError) -> str:
    if isinstance(exc, OSError):
        return exc.strerror or str(exc)
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(map(str, first["loc"]))
    return f"{field}: {first['msg']}" if field else first["msg"]


def _misfit(record: Record) -> str:
    """Return what in a record does not fit the rest, nothing where all of it does."""
    count, repeats = len(record.rows), record.measured.repeats
    if count != record.identity.questions:
        return f"{count} rows of {record.identity.questions} questions"
    ids = {row.id for row in record.rows}
    if len(ids) < count:
        return f"{count} rows, but {len(ids)} ids"
    if not repeats:
        return "no repeats"
    other = next((len(costs) for costs in repeats if len(costs) != count), count)
    if other != count:
        return f"a repeat of {other} costs for {count} rows"
    for name, value in record.settings.items():
        if isinstance(value, float) and not math.isfinite(value):
            return f"settings.{name}: {value} is not a finite number"
    return ""


def found(folder: Path, unreadable: Callable[[RagError], object]) -> Iterator[tuple[Path, Record]]:
    """Yield the records of a folder, newest first.

    ``unreadable`` is called with what is wrong with each file that is left out.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            records.append((path, read(path)))
        except (LoadError, UsageError) as exc:
            unreadable(exc)
    yield from sorted(records, key=lambda pair: pair[1].measured.at, reverse=True)


def same_questions(a: Record, b: Record) -> bool:
    """Return whether two records are of the same questions, in one order, on the same data."""
    if a.identity.data_sha256 != b.identity.data_sha256 or a.identity.asked != b.identity.asked:
        return False
    # Rows are held to each other by their place, whatever a file says of its own identity.
    return [row.id for row in a.rows] == [row.id for row in b.rows]
