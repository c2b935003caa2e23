"""ISO 8601 dates as the range of instants they cover, so that filters compare like with like."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from rag.errors import ValueRangeError
from rag.types import Filter

Instants: TypeAlias = tuple[datetime, datetime]

_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d))?", re.ASCII)
_DAY_LENGTHS = (8, 10)  # 20240501, 2024-05-01, 2024-W18-3
_TICK = timedelta(microseconds=1)


def covered(text: str) -> Instants | None:
    """Return the first and last instant in UTC that a date covers, or None if it is no date.

    A year, a month or a day covers all of itself; a time without an offset is taken as UTC.
    """
    try:
        first, length = _parse(text.strip())
    except (ValueError, OverflowError):
        return None
    # The whole of year 9999 ends where datetime ends: subtract before adding.
    return first, first + (length - _TICK) if length else first


def bounds(where: Filter) -> tuple[datetime | None, datetime | None]:
    """Return the instants of ``since`` (its start) and ``until`` (its end), both inclusive.

    Raises:
        ValueRangeError: A bound is not an ISO 8601 date.
    """
    since = _bound("since", where.since)
    until = _bound("until", where.until)
    return since and since[0], until and until[1]


def _bound(name: str, text: str | None) -> Instants | None:
    if text is None:
        return None
    instants = covered(text)
    if instants is None:
        raise ValueRangeError(name, text, "use an ISO 8601 date such as 2024-05-31")
    return instants


def _parse(text: str) -> tuple[datetime, timedelta]:
    partial = _PARTIAL.fullmatch(text)
    if partial:
        return _parse_partial(int(partial[1]), partial[2])
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    is_day = len(text) in _DAY_LENGTHS and "T" not in text
    return moment.astimezone(UTC), timedelta(days=1) if is_day else timedelta()


def _parse_partial(year: int, month: str | None) -> tuple[datetime, timedelta]:
    first = datetime(year, int(month or 1), 1, tzinfo=UTC)
    if month:
        return first, timedelta(days=calendar.monthrange(year, first.month)[1])
    return first, timedelta(days=366 if calendar.isleap(year) else 365)
