"""The day a document names, as ISO 8601."""

from __future__ import annotations

import re
from datetime import date, datetime

_ISO = re.compile(r"\s*(?:D:)?(\d{4})[-/]?(\d{2})[-/]?(\d{2})(?!\d{1,3}\b)")
_NAMED = ("%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y", "%d.%m.%Y")


def iso_date(text: str | None) -> str | None:
    """Return the day that ``text`` begins with as ``YYYY-MM-DD``, or None if it names none.

    Reads ISO 8601, PDF dates (``D:20240131...``) and the day-month-name-year orders; a date
    whose order is open, such as ``03/04/2024``, is not guessed at.
    """
    if not text:
        return None
    found = _ISO.match(text)
    if found:
        return _valid(*(int(part) for part in found.groups()))
    for form in _NAMED:
        try:
            return datetime.strptime(text.strip(), form).date().isoformat()  # noqa: DTZ007
        except ValueError:
            continue
    return None


def _valid(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
