"""Runs in the collection's ledger, beside the answers that it keeps."""

from __future__ import annotations

from dataclasses import replace

from ingest.embed import EmbedReport
from ingest.push_report import PushReport
from ingest.report import StageCost, SyncReport
from rag.ledger_run import Run, RunStage
from rag.recording import record_run
from rag.results import Impact
from rag.settings import Settings

_UNWRITTEN = "the ledger could not be written: this run is missing in rag impact"
# Without any other the run only looked for what there is to do.
_LOOKING = frozenset({"scan", "plan"})


def recorded_sync(settings: Settings, report: SyncReport) -> SyncReport:
    """Return the report of a run that is now in the ledger; a note says so where it is not.

    A run that only looked, and found nothing to do, has no entry.
    """
    if report.impact is None or report.dry_run or not _worked(report.stages):
        return report
    chunks = report.chunks.added + report.chunks.changed
    published = report.generation if report.published else None
    if _record(settings, report.stages, report.impact, chunks, published):
        return report
    return replace(report, notes=(*report.notes, _UNWRITTEN))


def recorded_embed(settings: Settings, report: EmbedReport) -> EmbedReport:
    """Return the report of a run that is now in the ledger; a note says so where it is not."""
    published = report.generation if report.published else None
    if _record(settings, report.stages, report.impact, report.sci.chunks, published):
        return report
    return replace(report, notes=(*report.notes, _UNWRITTEN))


def recorded_push(settings: Settings, report: PushReport) -> PushReport:
    """Return the report of a push that is now in the ledger; a note says so where it is not."""
    if _record(settings, report.stages, report.impact, report.copied, report.generation):
        return report
    return replace(report, notes=(*report.notes, _UNWRITTEN))


def _worked(stages: tuple[StageCost, ...]) -> bool:
    return not {stage.name for stage in stages} <= _LOOKING


def _record(
    settings: Settings,
    stages: tuple[StageCost, ...],
    impact: Impact,
    chunks: int,
    generation: int | None,
) -> bool:
    run = Run(
        tenant=settings.tenant,
        tier=settings.tier,
        seconds=sum(stage.seconds for stage in stages),
        impact=impact,
        chunks=chunks,
        stages=tuple(RunStage(stage.name, stage.seconds, stage.joules) for stage in stages),
        fingerprint=settings.fingerprint(),
        generation=generation,
    )
    return record_run(settings, run)
