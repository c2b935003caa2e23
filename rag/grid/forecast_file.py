"""Forecasts in local files: CSV with two columns, or JSON with a list of pairs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rag.errors import LoadError
from rag.grid.forecast import Forecast
from rag.grid.untrusted import bounded_text, number, parsed_json

_FILE_BYTES = 4_000_000  # bound on work: a year in steps of five minutes takes 3 MB
_REMEDY = (
    "write CSV lines or JSON pairs of an ISO 8601 time and gCO2e/kWh, such as "
    "2026-05-31T14:00Z,320, two or more of them in equal steps"
)


@dataclass(frozen=True, slots=True)
class ForecastFile:
    """A source that reads a file each time, so that another program may renew it."""

    path: Path

    def forecast(self) -> Forecast:
        """Return what the file says now.

        Raises:
            LoadError: It cannot be read, or it is no forecast.
        """
        try:
            text = bounded_text(self.path, _FILE_BYTES)
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else _unread(exc)
            raise LoadError("forecast cannot be read", f"{self.path} ({why})", _REMEDY) from exc
        try:
            return _parsed(text, str(self.path))
        except (ValueError, csv.Error) as exc:
            raise LoadError("not a forecast", f"{self.path} ({exc})", _REMEDY) from exc


def _parsed(text: str, source: str) -> Forecast:
    """Return the forecast that a text holds; the step is that between its first two times.

    JSON is a list of ``[time, gco2e_per_kwh]``, or an object with that list as
    ``points``. CSV has a pair a line, perhaps below a header. A time without an offset
    is UTC.

    Raises:
        ValueError: It is neither, or its periods are no forecast.
        csv.Error: A line is too long to be one.
    """
    pairs = list(_json_pairs(text) if text.lstrip()[:1] in ("[", "{") else _csv_pairs(text))
    points = sorted((_moment(time), number(value)) for time, value in pairs)
    if len(points) < 2:
        raise ValueError(f"{len(points)} periods")
    return Forecast(tuple(points), points[1][0] - points[0][0], source)


def _json_pairs(text: str) -> Iterator[tuple[str, str]]:
    state = parsed_json(text)
    found = state.get("points") if isinstance(state, dict) else state
    if not isinstance(found, list):
        raise ValueError("no list of points")
    for pair in found:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise ValueError(f"no pair: {str(pair)[:60]}")
        yield str(pair[0]), str(pair[1])


def _csv_pairs(text: str) -> Iterator[tuple[str, str]]:
    for line, cells in enumerate(csv.reader(io.StringIO(text))):
        if not cells or (line == 0 and not cells[0][:1].isdigit()):
            continue
        if len(cells) != 2:
            raise ValueError(f"line {line + 1} has {len(cells)} columns")
        yield cells[0], cells[1]


def _unread(exc: ValueError) -> str:
    return "not UTF-8" if isinstance(exc, UnicodeDecodeError) else str(exc)


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise ValueError(f"{text[:40]!r} is no ISO 8601 time") from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
