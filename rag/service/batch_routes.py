"""Batches and jobs over HTTP: given at once, done later, looked at and cancelled meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeAlias

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from rag import access
from rag.audit import AuditLog
from rag.durations import seconds_of
from rag.errors import NotFoundError, RagError, ValueRangeError
from rag.jobs.batch import INPUT, output_of
from rag.jobs.job import Draft, Job, JobKind, Order
from rag.jobs.store import JobStore
from rag.service import refusals
from rag.service.batch_lines import BatchLineBody, checked_lines
from rag.service.job_schemas import JobBody, JobsBody
from rag.service.metrics import Gauged, Metrics
from rag.service.receiving import NotReceived, Receiving, receive, require_type
from rag.settings import Settings

Documented: TypeAlias = Callable[..., dict[int | str, Any]]
BATCH: Final = "/v1/batch"
JOBS: Final = "/v1/jobs"
MEDIA_TYPE: Final = "application/jsonl"
_TYPES: Final = (MEDIA_TYPE, "application/x-ndjson", "application/x-jsonlines")
# Source: OpenAI API reference, "Create batch", 2025-08: the completion window is 24 h.
_USUAL_DEADLINE: Final = "24h"
_LONGEST_SECONDS: Final = 30 * 86_400.0
_EARLIER: Final = 20  # batches by whose pace the next one's is guessed
_BLOCK_BYTES = 1 << 16
_LINES: Final[Mapping[str, Any]] = {MEDIA_TYPE: {"schema": BatchLineBody.model_json_schema()}}

_JobId = Annotated[str, Path(pattern=r"^job_[0-9a-f]{24}$", description="the job's name")]


class BatchQuery(BaseModel):
    """On what terms a batch is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="whose documents; default: the service's",
    )
    deadline: str = Field(
        default=_USUAL_DEADLINE, max_length=32, description="within what time: 90m, 6h, 2d"
    )
    when_green: bool = Field(
        default=False, description="whether it may wait for the hours of least emissions"
    )
    expect: str | None = Field(
        default=None,
        max_length=32,
        description="how long it takes, for when_green: 20m; default: as earlier ones took",
    )

    @field_validator("deadline", "expect")
    @classmethod
    def _is_length_of_time(cls, value: str | None) -> str | None:
        if value is not None and seconds_of(value) > _LONGEST_SECONDS:
            raise ValueRangeError("too long a time", value, "use at most 30d")
        return value


class ListQuery(BaseModel):
    """Which jobs are listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(default=20, ge=1, le=100, description="how many at most")
    after: str | None = Field(
        default=None, pattern=r"^job_[0-9a-f]{24}$", description="those given before this one"
    )


@dataclass(frozen=True, slots=True)
class JobParts:
    """What the routes work with: the jobs, the audit log, the counters of what was refused."""

    store: JobStore
    audit: AuditLog
    metrics: Metrics


def add_batch(app: FastAPI, settings: Settings, parts: JobParts, documented: Documented) -> None:
    """Add batches; ``documented(None, 404, ...)`` returns what describes problems."""
    app.add_api_route(
        BATCH,
        _give(settings, parts),
        methods=["POST"],
        status_code=HTTPStatus.ACCEPTED,
        response_model=JobBody,
        summary="Give many questions to be answered later",
        responses=documented(None, 400, 401, 403, 408, 413, 415, 422, 429, 503, 507),
        openapi_extra={"requestBody": {"required": True, "content": _LINES}},
    )
    app.add_api_route(
        f"{BATCH}/{{job_id}}/output",
        _output(parts),
        summary="Read the answers of a batch",
        response_class=Response,
        responses={**documented(None, 401, 403, 404, 422, 503), 200: {"content": _LINES}},
    )
    _add_looks(app, parts, documented, _Looks(BATCH, "batch"))


def add_jobs(app: FastAPI, parts: JobParts, documented: Documented) -> None:
    """Add jobs of all kinds, to be looked at and cancelled."""
    _add_looks(app, parts, documented, _Looks(JOBS, None))


def watch_jobs(metrics: Metrics, counts: Callable[[], Mapping[str, int]]) -> None:
    """Add how many jobs wait, are worked on, or did not end well, as a gauge."""

    def gauges() -> Iterator[Gauged]:
        with suppress(RagError):  # what cannot be read is not known
            yield Gauged("jobs", "Jobs by state; ended ones while they are kept", counts(), "state")

    metrics.gauge(gauges)


@dataclass(frozen=True, slots=True)
class _Looks:
    """Where jobs of a kind are looked at; None is of all kinds."""

    path: str
    kind: JobKind | None

    def seen(self, job: Job) -> Job:
        """Return a job if it is of the kind.

        Raises:
            NotFoundError: It is of another.
        """
        if self.kind not in (None, job.kind):
            raise NotFoundError(f"no such {self.kind}", job.id, f"list them with GET {self.path}")
        return job


def _add_looks(app: FastAPI, parts: JobParts, documented: Documented, looks: _Looks) -> None:
    name, one = looks.kind or "job", f"{looks.path}/{{job_id}}"
    responses = documented(None, 401, 403, 404, 422, 503)
    plural = "batches" if looks.kind else "jobs"
    app.add_api_route(
        looks.path, _list(parts, looks), summary=f"List {plural}", responses=responses
    )
    app.add_api_route(
        one, _show(parts, looks), summary=f"How is a {name} getting on?", responses=responses
    )
    app.add_api_route(
        one,
        _cancel(parts, looks),
        methods=["DELETE"],
        summary=f"Cancel a {name}",
        responses=responses,
    )


def _give(settings: Settings, parts: JobParts) -> Callable[..., Awaitable[Response]]:
    limits = Receiving(round(settings.batch_mb * 1e6), settings.deadline_seconds)

    async def give(request: Request, what: Annotated[BatchQuery, Query()]) -> Response:
        """Take a file of questions, one JSON object a line, and answer them when there is time.

        Once this says 202 the batch is on the disk, and is answered though the process may die.
        """
        tenant = access.tenant_of(what.tenant, settings.tenant)
        try:
            require_type(request, _TYPES)
            draft = await asyncio.to_thread(parts.store.draft)
            with _dropped_on_failure(parts.store, draft):
                await receive(request, draft.folder / INPUT, limits)
        except NotReceived as exc:
            refusals.note(exc.problem, parts.metrics, {"tenant": tenant})
            return refusals.response(exc.problem)
        job = await asyncio.to_thread(_taken, settings, parts, draft, what, tenant)
        return Response(
            JobBody.of(job).model_dump_json(),
            status_code=HTTPStatus.ACCEPTED,
            headers={"Location": f"{BATCH}/{job.id}"},
            media_type="application/json",
        )

    return give


@contextmanager
def _dropped_on_failure(store: JobStore, draft: Draft) -> Iterator[None]:
    try:
        yield
    except BaseException:  # also where the service ends meanwhile
        store.drop(draft)
        raise


def _taken(settings: Settings, parts: JobParts, draft: Draft, what: BatchQuery, tenant: str) -> Job:
    """Return the job that a file of questions has become."""
    with _dropped_on_failure(parts.store, draft):
        total = checked_lines(draft.folder / INPUT, tenant)
        order = Order(
            "batch",
            tenant,
            total,
            deadline=time.time() + seconds_of(what.deadline),
            when_green=what.when_green,
            expected_seconds=_expected(settings, parts.store, what, total),
        )
        parts.audit.note("batch", tenant, job=draft.id)
        return parts.store.add(order, draft)


def _expected(settings: Settings, store: JobStore, what: BatchQuery, total: int) -> float:
    """Return how long a batch takes [s]: as said, else as earlier ones, else at most."""
    if what.expect is not None:
        return seconds_of(what.expect)
    earlier = [job for job in store.list("batch", _EARLIER) if job.state == "done"]
    lines = sum(job.done + job.failed for job in earlier)
    seconds = sum((job.ended or 0.0) - (job.started or 0.0) for job in earlier)
    pace = max(0.0, seconds) / lines if lines else settings.deadline_seconds
    return total * pace


def _list(parts: JobParts, looks: _Looks) -> Callable[..., JobsBody]:
    def listed(what: Annotated[ListQuery, Query()]) -> JobsBody:
        """List the key's own jobs, or with admin rights the tenant's, the newest first."""
        found = parts.store.list(looks.kind, what.limit + 1, what.after)
        parts.audit.note("jobs", access.caller().tenant)
        told = tuple(JobBody.of(job) for job in found[: what.limit])
        return JobsBody(
            data=told,
            has_more=len(found) > what.limit,
            first_id=told[0].id if told else None,
            last_id=told[-1].id if told else None,
        )

    return listed


def _show(parts: JobParts, looks: _Looks) -> Callable[..., JobBody]:
    def shown(job_id: _JobId) -> JobBody:
        """Tell how a job is getting on."""
        job = looks.seen(parts.store.get(job_id))
        parts.audit.note("jobs", job.tenant, job=job.id)
        return JobBody.of(job)

    return shown


def _cancel(parts: JobParts, looks: _Looks) -> Callable[..., JobBody]:
    def cancelled(job_id: _JobId) -> JobBody:
        """Cancel a job; what is done of it stays. One that has ended stays as it is."""
        job = looks.seen(parts.store.get(job_id))
        parts.audit.note("cancel", job.tenant, job=job.id)
        return JobBody.of(parts.store.cancel(job.id))

    return cancelled


def _output(parts: JobParts) -> Callable[..., Response]:
    def output(job_id: _JobId) -> Response:
        """Read the answers so far, in the order of the questions.

        Once a batch has ended, a line that has no answer says why.
        """
        job = _Looks(BATCH, "batch").seen(parts.store.get(job_id))
        folder = parts.store.folder_of(job)
        if not (folder / INPUT).exists():
            raise NotFoundError("the batch has no files", job.id, "restore them, or give it again")
        parts.audit.note("jobs", job.tenant, job=job.id)
        headers = {"Content-Disposition": f'attachment; filename="{job.id}.jsonl"'}
        blocks = _blocks(output_of(job, folder))
        return StreamingResponse(blocks, media_type=MEDIA_TYPE, headers=headers)

    return output


def _blocks(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines together, as each is a way to another thread and back."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
