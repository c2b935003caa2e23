"""The composition root of jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rag.grid.forecast import ForecastSource
from rag.grid.forecast_file import ForecastFile
from rag.grid.siting import live_source
from rag.jobs.job import JobKind, Worker
from rag.jobs.parts import Jobs
from rag.jobs.queue import JobQueue
from rag.jobs.runner import Terms
from rag.jobs.store import FOLDER, JobStore
from rag.settings import Settings


def build_jobs(
    settings: Settings,
    workers: Mapping[JobKind, Worker] | None = None,
    still_valid: Callable[[str], bool] = lambda _: True,
) -> Jobs:
    """Return the collection's jobs; nothing is opened yet.

    Args:
        settings: Where they are, how long they are kept, and where forecasts come from.
        workers: Who does the jobs of each kind but batches.
        still_valid: Whether a key of this id may still be acted for.

    Raises:
        SettingsError: ``grid_url`` is no address.
    """
    folder = settings.data_dir / settings.collection / FOLDER
    terms = Terms(settings.job_days, _forecasts(settings), still_valid)
    return Jobs(JobStore(folder), JobQueue(folder), terms, workers or {})


def _forecasts(settings: Settings) -> ForecastSource | None:
    return ForecastFile(settings.grid_file) if settings.grid_file else live_source(settings)
