"""Reading what was spent: ``GET /v1/impact`` from the ledger, ``GET /metrics`` of the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response

from rag import access
from rag.audit import AuditLog
from rag.errors import UsageError
from rag.ledger import Ledger
from rag.ledger_sums import By, days_between, read_report, today
from rag.service.impact_schemas import ImpactReport, report_body
from rag.service.metrics import MEDIA_TYPE, Metrics

_DATE = "ISO 8601, UTC, inclusive; a year or month counts whole"


def add_impact(
    app: FastAPI,
    ledger: Ledger | None,
    audit: AuditLog,
    documented: Mapping[int | str, dict[str, Any]],
) -> None:
    """Add the report of what answers cost; ``documented`` are its problems."""

    def impact(
        first: Annotated[
            str | None,
            Query(alias="from", description=f"first day; default: of the month. {_DATE}"),
        ] = None,
        last: Annotated[
            str | None, Query(alias="to", description=f"last day; default: today. {_DATE}")
        ] = None,
        by: Annotated[By | None, Query(description="what to group by; nothing if left out")] = None,
    ) -> Response:
        """Sum up what the answers and the ingest of some days cost, from the ledger."""
        if ledger is None:
            raise UsageError(
                "this service keeps no ledger", "ledger = false", "set ledger = true, start again"
            )
        audit.note("impact", access.caller().tenant)
        days = days_between(first, last, today())
        body = report_body(read_report(ledger.folder, days, by))
        return Response(body.model_dump_json(by_alias=True), media_type="application/json")

    app.add_api_route(
        "/v1/impact",
        impact,
        response_model=ImpactReport,
        summary="What did answers and ingest cost?",
        responses=dict(documented),
    )


def add_metrics(app: FastAPI, metrics: Metrics, ledger: Ledger | None) -> None:
    """Add the counters of this process, with those of its ledger's faults."""
    if ledger is not None:
        _watch(metrics, ledger)

    def exposed() -> Response:  # on a thread: files are read for it
        """Return the counters since the start, in the text format of Prometheus."""
        access.everywhere()
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    app.add_api_route(
        "/metrics",
        exposed,
        response_class=Response,
        summary="Counters for Prometheus",
        responses={200: {"content": {"text/plain": {}}}},
    )


def _watch(metrics: Metrics, ledger: Ledger) -> None:
    text = "Entries that wait for a disk that failed"
    metrics.watch("ledger_unwritten", text, lambda: ledger.unwritten)
    metrics.watch("ledger_lost", "Entries given up, as too many waited", lambda: ledger.lost)
