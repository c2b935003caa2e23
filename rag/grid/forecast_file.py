"""Forecasts in local files: CSV with two columns, or JSON with a list of pairs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rag.errors import LoadError
from rag.grid.forecast import Forecast

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
            text = self.path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
            raise LoadError("forecast cannot be read", f"{self.path} ({why})", _REMEDY) from exc
        try:
            return _parsed(text, str(self.path))
        except ValueError as exc:
            raise LoadError("not a forecast", f"{self.path} ({exc})", _REMEDY) from exc


def _parsed(text: str, source: str) -> Forecast:
    """Return the forecast that a text holds; the step is that between its first two times.

    JSON is a list of ``[time, gco2e_per_kwh]``, or an object with that list as
    ``points``. CSV has a pair a line, perhaps below a header. A time without an offset
    is UTC.

    Raises:
        ValueError: It is neither, or its periods are no forecast.
    """
    pairs = list(_json_pairs(text) if text.lstrip()[:1] in ("[", "{") else _csv_pairs(text))
    points = sorted((_moment(time), float(value)) for time, value in pairs)
    if len(points) < 2:
        raise ValueError(f"{len(points)} periods")
    return Forecast(tuple(points), points[1][0] - points[0][0], source)


def _json_pairs(text: str) -> Iterator[tuple[str, str]]:
    state = json.loads(text)
    found = state.get("points") if isinstance(state, dict) else state
    if not isinstance(found, list):
        raise ValueError("no list of points")
    for pair in found:
        if not (isinstance(pair, list) and len(pair) == 2):
            raise ValueError(f"no pair: {str(pair)[:60]}")
        yield str(pair[0]), str(pair[1])


def _csv_pairs(text: str) -> Iterator[tuple[str, str]]:
    for number, cells in enumerate(csv.reader(io.StringIO(text))):
        if not cells or (number == 0 and not cells[0][:1].isdigit()):
            continue
        if len(cells) != 2:
            raise ValueError(f"line {number + 1} has {len(cells)} columns")
        yield cells[0], cells[1]


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as exc:
        raise ValueError(f"{text[:40]!r} is no ISO 8601 time") from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
