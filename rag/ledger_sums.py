"""Reading the ledger: exact sums over days and tenants, by group and by period."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rag import access, dates
from rag.errors import ValueRangeError
from rag.ledger_entry import PER_UNIT, Quantity, Sums
from rag.ledger_file import MonthPath, day_of, files_in, month_of
from rag.types import Interval

By: TypeAlias = Literal["tenant", "tier", "model", "stage", "kind"]
Work: TypeAlias = Literal["questions", "ingest"]
Period: TypeAlias = Literal["day", "month", "all"]

_WAIT_SECONDS = 5.0
_DAY_MICROSECONDS = 86_400_000_000
_PERIOD_CHARACTERS: Final[Mapping[Period, int]] = {"day": 10, "month": 7, "all": 0}
_EVER: Final = "9999-12-31"
_INGEST = "kind='ingest'"
_NO_GROUP = "''"
_BUDGETED = f"tenant=? AND NOT {_INGEST}"  # a budget is for questions
_SEEN = "(? IS NULL OR tenant=?)"
_PART_OF_A_DAY = f"""
SELECT COUNT(*), SUM(joules_low), SUM(joules_high), SUM(joules_low IS NULL),
       SUM(gco2e_low), SUM(gco2e_high), SUM(gco2e_low IS NULL)
FROM answers WHERE {_BUDGETED} AND at>=? AND at<?
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Days:
    """First and last day (UTC), both counted."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueRangeError(
                "from is after to", f"{self.first} > {self.last}", "name the earlier day first"
            )


@dataclass(frozen=True, slots=True)
class Line:
    """One group's sums in one period; the period is a day, a month, or empty for all of it.

    ``group`` is None without a generator, by model, and where nothing is grouped. Questions and
    ingest are on lines of their own, whatever the group.
    """

    period: str
    group: str | None
    sums: Sums
    work: Work = "questions"


@dataclass(frozen=True, slots=True)
class Report:
    """Sums of a range of days; ``unreadable`` names the months of which something is missing.

    ``total`` is of all questions, ``ingest`` of all runs of ingest.
    """

    days: Days
    by: By | None
    lines: tuple[Line, ...]
    total: Sums
    ingest: Sums
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a tenant's answers cost: sums [J, gCO2e] over those that know it, and how many do not.

    A sum is None if there are answers and none knows it.
    """

    answers: int
    joules: Interval | None
    joules_unknown: int
    gco2e: Interval | None
    gco2e_unknown: int


def days_between(first: str | None, last: str | None, today: date) -> Days:
    """Return the days from one date to another; by default this month up to today (UTC).

    A year or a month counts whole.

    Raises:
        ValueRangeError: One is not a date, or they are the wrong way round.
    """
    end = _covered("to", last)[1] if last else today
    start = _covered("from", first)[0] if first else min(today, end).replace(day=1)
    return Days(start, end)


def read_report(folder: Path, days: Days, by: By | None, period: Period = "all") -> Report:
    """Return the sums of a range of days by group and period, in their order.

    Whoever asks for one tenant (``rag.access``) gets that tenant's alone.
    """
    groups: defaultdict[tuple[str, bool, str], Sums] = defaultdict(Sums)
    totals, unreadable = {False: Sums(), True: Sums()}, []
    length, own = _PERIOD_CHARACTERS[period], access.caller().tenant
    for file in _files_of(folder, days):
        try:
            rows, whole = _read_month(file, days, by, own)
        except sqlite3.Error:
            unreadable.append(file.month)
            continue
        for ingest, sums in whole:
            totals[ingest] += sums
        for day, ingest, group, sums in rows:
            groups[day[:length], ingest, group] += sums
    lines = [
        Line(day, group or None, groups[day, ingest, group], "ingest" if ingest else "questions")
        for day, ingest, group in sorted(groups)
    ]
    missing = sorted({*unreadable, *_set_aside(folder, days)})
    return Report(days, by, tuple(lines), totals[False], totals[True], tuple(missing))


def spent_since(folder: Path, tenant: str, since: int, last: str = _EVER) -> Spent:
    """Return what a tenant's answers have cost since a POSIX time [us], exactly to that time.

    ``last`` is the last day that counts, as ``2024-05-31``: later ones are those of a clock that
    was ahead. Of a day whose single entries are no longer kept, the whole day is counted. Files
    that cannot be read are left out.

    Raises:
        AccessError: It is another tenant than that of whoever asks.
    """
    access.require(tenant)
    total = Sums()
    for file in files_in(folder):
        if month_of(since) <= file.month <= last:
            try:
                with closing(_opened(file.path)) as db:
                    total += _spent_in(db, file, tenant, (since, last))
            except sqlite3.Error:
                continue
    return Spent(
        answers=total.answers,
        joules=interval(total, "joules"),
        joules_unknown=total.joules_unknown,
        gco2e=interval(total, "gco2e"),
        gco2e_unknown=total.gco2e_unknown,
    )


def interval(sums: Sums, quantity: Quantity) -> Interval | None:
    """Return a sum in its unit [J, gCO2e, L]: the doubles nearest to the exact bounds."""
    bounds = sums.known(quantity)
    if bounds is None:
        return None
    return Interval(bounds[0] / PER_UNIT[quantity], bounds[1] / PER_UNIT[quantity])


def _covered(name: str, text: str) -> tuple[date, date]:
    instants = dates.covered(text)
    if instants is None or instants[0] == instants[1]:
        raise ValueRangeError(
            f"{name} is no date", text[:64], "use an ISO 8601 date such as 2024-05-31 or 2024-05"
        )
    return instants[0].date(), instants[1].date()


def _files_of(folder: Path, days: Days) -> Iterator[MonthPath]:
    first, last = f"{days.first:%Y-%m}", f"{days.last:%Y-%m}"
    return (file for file in files_in(folder) if first <= file.month <= last)


def _set_aside(folder: Path, days: Days) -> Iterator[str]:
    first, last = f"{days.first:%Y-%m}", f"{days.last:%Y-%m}"
    found = (path.name[:7] for path in folder.glob("*.damaged-*"))
    return (month for month in found if first <= month <= last)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)


def _read_month(
    file: MonthPath, days: Days, by: By | None, own: str | None
) -> tuple[list[tuple[str, bool, str, Sums]], list[tuple[bool, Sums]]]:
    """Return the rows of each day, group and kind of work, and the totals of each kind."""
    wanted = f"{_INGEST}, {file.summed()} FROM sums WHERE {_SEEN} AND day BETWEEN ? AND ?"
    stages = "<>" if by == "stage" else "="
    bounds = (own, own, days.first.isoformat(), days.last.isoformat())
    with closing(_opened(file.path)) as db, db:
        db.execute("BEGIN")  # both are read from one state of the file
        rows = db.execute(
            f"SELECT day, {by or _NO_GROUP}, {wanted} AND stage{stages}'' GROUP BY 1, 2, 3", bounds
        ).fetchall()
        whole = db.execute(f"SELECT {wanted} AND stage='' GROUP BY day, 1", bounds).fetchall()
    found = [(day, bool(ingest), str(name), Sums(*sums)) for day, name, ingest, *sums in rows]
    return found, [(bool(ingest), Sums(*sums)) for ingest, *sums in whole]


def _spent_in(
    db: sqlite3.Connection, file: MonthPath, tenant: str, bounds: tuple[int, str]
) -> Sums:
    since, last = bounds
    days = (
        f"SELECT {file.summed()} FROM sums WHERE {_BUDGETED} AND stage='' AND day BETWEEN ? AND ?"  # noqa: S608
    )
    day = day_of(since)
    part = since % _DAY_MICROSECONDS
    first = date.fromisoformat(day) + timedelta(days=bool(part))
    whole = _sums_of(db.execute(days, (tenant, first.isoformat(), last)).fetchone())
    if not part:
        return whole
    of_the_day = _sums_of(db.execute(days, (tenant, day, day)).fetchone())
    kept = db.execute("SELECT 1 FROM answers LIMIT 1").fetchone()
    if of_the_day.answers == 0 or not kept:
        return whole + of_the_day
    end = since - part + _DAY_MICROSECONDS
    count, *rest = db.execute(_PART_OF_A_DAY, (tenant, since, end)).fetchone()
    joules_low, joules_high, joules_unknown, gco2e_low, gco2e_high, gco2e_unknown = (
        each or 0 for each in rest
    )
    return whole + Sums(
        answers=count,
        joules_low=joules_low,
        joules_high=joules_high,
        joules_unknown=joules_unknown,
        gco2e_low=gco2e_low,
        gco2e_high=gco2e_high,
        gco2e_unknown=gco2e_unknown,
    )


def _sums_of(row: Sequence[int | None]) -> Sums:
    return Sums(*(each or 0 for each in row))


def today() -> date:
    """Return the day it is (UTC)."""
    return datetime.now(UTC).date()
