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

from rag import dates
from rag.errors import ValueRangeError
from rag.ledger_entry import PER_UNIT, SUMMED, Quantity, Sums
from rag.ledger_file import day_of, month_of, months_in, path_of
from rag.types import Interval

By: TypeAlias = Literal["tenant", "tier", "model", "stage"]
Period: TypeAlias = Literal["day", "month", "all"]

_WAIT_SECONDS = 5.0
_DAY_MICROSECONDS = 86_400_000_000
_PERIOD_CHARACTERS: Final[Mapping[Period, int]] = {"day": 10, "month": 7, "all": 0}
_SUM = ", ".join(f"SUM({name})" for name in SUMMED)
_WHOLE_DAYS = f"SELECT {_SUM} FROM sums WHERE tenant=? AND stage='' AND day BETWEEN ? AND ?"  # noqa: S608
_PART_OF_A_DAY = """
SELECT COUNT(*), SUM(joules_low), SUM(joules_high), SUM(joules_low IS NULL),
       SUM(gco2e_low), SUM(gco2e_high), SUM(gco2e_low IS NULL)
FROM answers WHERE tenant=? AND at>=? AND at<?
"""


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

    ``group`` is None for the answers without a generator, by model, and where nothing is grouped.
    """

    period: str
    group: str | None
    sums: Sums


@dataclass(frozen=True, slots=True)
class Report:
    """Sums of a range of days; ``unreadable`` names the months of which something is missing."""

    days: Days
    by: By | None
    lines: tuple[Line, ...]
    total: Sums
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
    """Return the sums of a range of days by group and period, in their order."""
    groups: defaultdict[tuple[str, str], Sums] = defaultdict(Sums)
    total, unreadable = Sums(), []
    length = _PERIOD_CHARACTERS[period]
    for month in _months_of(folder, days):
        try:
            rows, whole = _read_month(path_of(folder, month), days, by)
        except sqlite3.Error:
            unreadable.append(month)
            continue
        total += whole
        for day, group, sums in rows:
            groups[day[:length], group] += sums
    lines = [Line(day, group or None, groups[day, group]) for day, group in sorted(groups)]
    missing = sorted({*unreadable, *_set_aside(folder, days)})
    return Report(days, by, tuple(lines), total, tuple(missing))


def spent_since(folder: Path, tenant: str, since: int) -> Spent:
    """Return what a tenant's answers have cost since a POSIX time [us], exactly to that time.

    Of a day whose single entries are no longer kept, the whole day is counted. Files that cannot
    be read are left out.
    """
    total = Sums()
    for month in months_in(folder):
        if month >= month_of(since):
            try:
                with closing(_opened(path_of(folder, month))) as db:
                    total += _spent_in(db, tenant, since)
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


def _months_of(folder: Path, days: Days) -> Iterator[str]:
    first, last = f"{days.first:%Y-%m}", f"{days.last:%Y-%m}"
    return (month for month in months_in(folder) if first <= month <= last)


def _set_aside(folder: Path, days: Days) -> Iterator[str]:
    first, last = f"{days.first:%Y-%m}", f"{days.last:%Y-%m}"
    found = (path.name[:7] for path in folder.glob("*.damaged-*"))
    return (month for month in found if first <= month <= last)


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)


def _read_month(path: Path, days: Days, by: By | None) -> tuple[list[tuple[str, str, Sums]], Sums]:
    group = by or "''"
    wanted = f"SELECT day, {group}, {_SUM} FROM sums WHERE day BETWEEN ? AND ?"  # noqa: S608
    stages = "<>" if by == "stage" else "="
    bounds = (days.first.isoformat(), days.last.isoformat())
    with closing(_opened(path)) as db, db:
        db.execute("BEGIN")  # both are read from one state of the file
        rows = db.execute(f"{wanted} AND stage{stages}'' GROUP BY 1, 2", bounds).fetchall()
        whole = db.execute(
            f"SELECT day, '', {_SUM} FROM sums WHERE stage=''"  # noqa: S608
            " AND day BETWEEN ? AND ? GROUP BY day",
            bounds,
        ).fetchall()
    found = [(day, str(name), Sums(*sums)) for day, name, *sums in rows]
    return found, _added([Sums(*sums) for _, _, *sums in whole])


def _added(several: Sequence[Sums]) -> Sums:
    total = Sums()
    for sums in several:
        total += sums
    return total


def _spent_in(db: sqlite3.Connection, tenant: str, since: int) -> Sums:
    day = day_of(since)
    part = since % _DAY_MICROSECONDS
    first = date.fromisoformat(day) + timedelta(days=bool(part))
    whole = _sums_of(db.execute(_WHOLE_DAYS, (tenant, first.isoformat(), "9999-12-31")).fetchone())
    if not part:
        return whole
    of_the_day = _sums_of(db.execute(_WHOLE_DAYS, (tenant, day, day)).fetchone())
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
