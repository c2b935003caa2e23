"""What a report is about: the judged record, those beside it, its other settings, the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from eval.gating.gate import Verdict
from eval.records import Record, same_questions
from eval.summary import Line, summary
from rag.errors import UsageError

MOST_BESIDE: Final = 4  # records beside the judged one: more columns do not fit a page


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with its name on the page and its summary by measure."""

    name: str
    record: Record
    lines: Mapping[str, Line]

    @property
    def answers(self) -> bool:
        """Whether the system answers at all, or only finds context."""
        return any(row.outcome.refused is not None for row in self.record.rows)


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything on the page.

    ``judged`` comes first in each table, ``beside`` next to it; ``swept`` are further settings,
    shown in the plots alone. ``verdict`` is None for the reason ``unjudged``.
    """

    judged: Entry
    beside: tuple[Entry, ...] = ()
    swept: tuple[Entry, ...] = ()
    verdict: Verdict | None = None
    unjudged: str = "no policy was given"

    @property
    def compared(self) -> tuple[Entry, ...]:
        """The records that stand side by side in the tables."""
        return (self.judged, *self.beside)

    @property
    def every(self) -> tuple[Entry, ...]:
        """All records, those of the sweep last."""
        return (*self.compared, *self.swept)


def arranged(records: Sequence[Record], seed: int = 0) -> Contents:
    """Return the contents for records of one question set, the judged one first.

    Other systems stand beside it, and so do its own other settings where all of them fit; else
    these are the sweep.

    Raises:
        UsageError: There is no record, or they are not of the same questions.
    """
    _check(records)
    judged, others = records[0], records[1:]
    beside = others
    if len(others) > MOST_BESIDE:
        beside = _one_a_system(record for record in others if record.system != judged.system)
    compared = [judged, *beside]
    shown = {record.identity.key for record in compared}
    swept = [record for record in others if record.identity.key not in shown]
    names = _names(compared, compared), _names(swept, records)
    first, *rest = _entries(names[0], compared, seed)
    return Contents(first, tuple(rest), tuple(_entries(names[1], swept, seed)))


def side_by_side(records: Sequence[Record], seed: int = 0) -> Contents:
    """Return the contents for records of one question set, all of them named in full.

    Raises:
        UsageError: There is no record, or they are not of the same questions.
    """
    _check(records)
    first, *rest = _entries(_names(records, records), records, seed)
    return Contents(first, tuple(rest))


def differing(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the names of the settings that are not the same in all records."""
    names = dict.fromkeys(name for record in records for name in record.settings)
    return tuple(
        name
        for name in names
        if any(record.settings.get(name) != records[0].settings.get(name) for record in records)
    )


def swept_settings(contents: Contents) -> tuple[str, ...]:
    """Return the names of the settings that tell the records of the sweep apart."""
    return differing([entry.record for entry in contents.swept]) if contents.swept else ()


def short_names(contents: Contents) -> Mapping[str, str]:
    """Return short names for the records of the sweep: the values of ``swept_settings``."""
    names = swept_settings(contents)
    return {
        entry.name: " / ".join(_said(entry.record, name) for name in names)
        for entry in contents.swept
    }


def _check(records: Sequence[Record]) -> None:
    if not records:
        raise UsageError("no record to report on", 0, "run rag-eval run first")
    for record in records[1:]:
        if not same_questions(record, records[0]):
            named = f"{records[0].data.name} and {record.data.name}"
            remedy = "give records of one question set, asked the same questions"
            raise UsageError("records of different questions", named, remedy)


def _entries(names: Sequence[str], records: Sequence[Record], seed: int) -> list[Entry]:
    return [
        Entry(name, record, {line.measure: line for line in summary(record, seed)})
        for name, record in zip(names, records, strict=True)
    ]


def _one_a_system(records: Iterable[Record]) -> list[Record]:
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(record.system, record)
    return list(first.values())[:MOST_BESIDE]


def _names(records: Sequence[Record], among: Sequence[Record]) -> list[str]:
    """Return the systems' names, told apart by the settings that differ, or by their keys."""
    names = [_name(record, [r for r in among if r.system == record.system]) for record in records]
    counts = Counter(names)
    return [
        f"{name} {record.identity.key}" if counts[name] > 1 else name
        for name, record in zip(names, records, strict=True)
    ]


def _name(record: Record, alike: Sequence[Record]) -> str:
    told = [f"{name.replace('_', ' ')} {_said(record, name)}" for name in differing(alike)]
    return f"{record.system}, {', '.join(told)}" if told else record.system


def _said(record: Record, name: str) -> str:
    value: Any = record.settings.get(name)
    return f"{value:g}" if isinstance(value, float) else str(value)
