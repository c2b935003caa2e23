"""A run that waits for the hours in which the grid emits least, within its deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ingest.build import Toolkit
from ingest.pace import expected_seconds
from ingest.progress import Progress
from ingest.report import GreenStart, SyncReport
from ingest.sync import SyncRequest, preview, sync
from rag.durations import worded
from rag.errors import UsageError
from rag.grid.forecast import ForecastSource
from rag.grid.forecast_file import ForecastFile
from rag.grid.siting import live_source
from rag.grid.waiting import Clock, Waited, Wish, advice, saved_emissions, wait_for_green
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Green:
    """How a run waits: until when at most [s], for how long it runs [s], and who is told.

    ``expected_seconds`` is None where the last runs are to say it; ``source`` is None where no
    forecast is to be had.
    """

    deadline_seconds: float
    expected_seconds: float | None
    source: ForecastSource | None
    tell: Callable[[str], object]
    clock: Clock = field(default_factory=Clock)

    def sync(self, request: SyncRequest, toolkit: Toolkit, progress: Progress) -> SyncReport:
        """Wait, run, and return the report with what the wait saved.

        What would stop the run is looked for before the wait, not after it; the collection is not
        held meanwhile.

        Raises:
            UsageError: A path does not exist, or nothing says how long the run takes.
            RagError: As the run itself.
        """
        ahead = preview(request, toolkit, Progress())
        wish = Wish(self._duration(toolkit, ahead), self.deadline_seconds)
        waited = wait_for_green(wish, self.source, self.tell, self.clock)
        report = sync(request, toolkit, progress)
        return replace(report, green=_told(waited, report))

    def preview(self, request: SyncRequest, toolkit: Toolkit, progress: Progress) -> SyncReport:
        """Return what a run would do, and in the notes when it would start.

        Raises:
            UsageError: A path does not exist, or nothing says how long the run takes.
        """
        report = preview(request, toolkit, progress)
        wish = Wish(self._duration(toolkit, report), self.deadline_seconds)
        now = self.clock.now()
        start = advice(wish, self.source, now)
        when = f", in {worded(start.at - now)}" if start.at > now else ""
        return replace(report, notes=(*report.notes, f"{start.reason}{when}"))

    def _duration(self, toolkit: Toolkit, ahead: SyncReport) -> float:
        if self.expected_seconds is not None:
            return self.expected_seconds
        found = expected_seconds(toolkit.collection_dir, ahead.files.indexed)
        if found is None:
            remedy = "say how long it takes, such as --expect 20m"
            raise UsageError("no earlier run to expect a duration from", "--when-green", remedy)
        return found


def forecast_source(settings: Settings, file: Path | None) -> ForecastSource | None:
    """Return where forecasts come from: the named file, that of the settings, the live source.

    None where none of them is set.

    Raises:
        SettingsError: ``grid_url`` is no address.
    """
    path = file or settings.grid_file
    return ForecastFile(path) if path else live_source(settings)


def _told(waited: Waited, report: SyncReport) -> GreenStart:
    start = waited.start
    return GreenStart(
        asked=_moment(waited.asked),
        started=_moment(waited.started),
        waited_seconds=round(waited.started - waited.asked, 3),
        reason=start.reason,
        source=start.source,
        now_gco2e_per_kwh=start.now_gco2e_per_kwh,
        then_gco2e_per_kwh=start.then_gco2e_per_kwh,
        saved_share=start.saved_share,
        saved_gco2e=saved_emissions(start, report.joules),
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
