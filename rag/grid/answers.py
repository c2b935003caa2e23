"""What the answers of live sources have in common: times, forecasts, and how they fail."""

from __future__ import annotations

from datetime import datetime

from rag.errors import BackendError
from rag.grid.forecast import Forecast
from rag.grid.untrusted import number


def posix_seconds(text: str) -> float:
    """Return an ISO 8601 time with its zone as POSIX seconds.

    Raises:
        ValueError: It is no time, or has no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text}")
    return moment.timestamp()


def forecast_of(points: list[tuple[str, object]], source: str) -> Forecast:
    """Return a forecast of (ISO 8601 start, gCO2e/kWh) in order, in equal steps.

    Raises:
        ValueError: There are fewer than two points, a gap, or a value that cannot be.
    """
    timed = sorted((posix_seconds(start), number(value)) for start, value in points)
    if len(timed) < 2:
        raise ValueError(f"{len(timed)} points")
    return Forecast(tuple(timed), timed[1][0] - timed[0][0], source)


def malformed(name: str, exc: Exception) -> BackendError:
    """Return the error for an answer that cannot be understood."""
    detail = f"{type(exc).__name__} {exc}"[:200]
    return BackendError(f"answer of {name} cannot be read", detail, "check grid_url and grid_zone")


def outdated(name: str, when: str) -> BackendError:
    """Return the error for an answer that is too old to be called present."""
    return BackendError(f"answer of {name} is too old", when, "wait, or use another source")
