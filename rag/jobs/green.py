"""When a job that may wait is to start, by the forecast of the grid as it is known now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rag.errors import RagError
from rag.grid.forecast import Forecast, ForecastSource, Start, best_start
from rag.grid.forecast import Job as Window
from rag.grid.waiting import READ_AGAIN_SECONDS
from rag.jobs.job import Job

# What may wait without a deadline waits no longer. Source: chosen; a day has one night.
_LONGEST_WAIT_SECONDS = 86_400.0


class GreenStarts:
    """Advises when jobs start; a forecast that cannot be read again stays in use."""

    def __init__(self, source: ForecastSource | None) -> None:
        self._source = source
        self._last: Forecast | None = None

    def start(self, job: Job, now: float) -> Start:
        """Return when a job is to start, now or later [POSIX s], and why."""
        order = job.order
        if not order.when_green:
            return Start(now, "")
        if order.expected_seconds is None:
            return Start(now, "starts now: nobody knows how long it takes")
        problem = self._read()
        deadline = order.deadline or job.created + _LONGEST_WAIT_SECONDS
        window = Window(now, order.expected_seconds, deadline)
        return best_start(window, self._last, problem)

    def _read(self) -> str:
        if self._source is None:
            return "no source is set"
        try:
            self._last = self._source.forecast()
        except RagError as exc:
            return exc.what  # callers are not told where it is
        return ""


def look_again(start: Start, now: float) -> float:
    """Return when to look at the forecast again, at the latest at the start [POSIX s]."""
    return min(start.at, now + READ_AGAIN_SECONDS)


def told(start: Start) -> Mapping[str, object]:
    """Return what a job keeps of its start: intensities now and then [gCO2e/kWh], and by whom."""
    if start.source is None:
        return {}
    return {
        "green": {
            "now_gco2e_per_kwh": start.now_gco2e_per_kwh,
            "then_gco2e_per_kwh": start.then_gco2e_per_kwh,
            "saved_share": start.saved_share,
            "source": Path(start.source).name,
        }
    }
