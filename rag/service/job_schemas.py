"""Jobs over HTTP, in the words of OpenAI's batches where they have them.

Source: OpenAI API reference, "The batch object", 2025-08.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from rag.jobs.job import Job, JobKind, JobState

Status: TypeAlias = Literal[
    "waiting", "in_progress", "cancelling", "completed", "failed", "cancelled", "expired"
]
_STATUSES: Final[Mapping[JobState, Status]] = {
    "waiting": "waiting",
    "running": "in_progress",
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CountsBody(_Told):
    """How many parts of a job stand where."""

    total: int = Field(description="all of them; 0 where that is not known")
    completed: int = Field(description="done")
    failed: int = Field(description="those that could not be done")


class JobBody(_Told):
    """A job as it stands; times are POSIX seconds, null where they are not known."""

    id: str = Field(description="its name")
    object: JobKind = Field(description="what kind of job it is: batch or ingest")
    tenant: str = Field(description="whose documents it is about")
    status: Status = Field(description="where it stands")
    reason: str | None = Field(description="why it waits or did not end well; null if that is all")
    created_at: float = Field(description="when it was given [s]")
    starts_at: float | None = Field(
        description="when it is to start [s]; null is as soon as possible, or it has started"
    )
    in_progress_at: float | None = Field(description="when it was first begun [s]")
    ended_at: float | None = Field(description="when it ended, well or not [s]")
    expires_at: float | None = Field(description="its deadline [s]")
    when_green: bool = Field(description="whether it may wait for the least emissions")
    request_counts: CountsBody = Field(description="how far it got")
    detail: dict[str, Any] = Field(description="what else there is to say of this kind of job")

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return the body for a job."""
        ending = job.cancelling and job.state == "running"
        return cls(
            id=job.id,
            object=job.kind,
            tenant=job.tenant,
            status="cancelling" if ending else _STATUSES[job.state],
            reason=job.reason or None,
            created_at=job.created,
            starts_at=job.starts,
            in_progress_at=job.started,
            ended_at=job.ended,
            expires_at=job.order.deadline,
            when_green=job.order.when_green,
            request_counts=CountsBody(total=job.order.total, completed=job.done, failed=job.failed),
            detail=dict(job.detail),
        )


class JobsBody(_Told):
    """Jobs, the newest first."""

    object: Literal["list"] = Field(default="list", description="always list")
    data: tuple[JobBody, ...] = Field(description="the jobs")
    has_more: bool = Field(description="whether older ones follow: ask again with after=last_id")
    first_id: str | None = Field(description="the newest one's name")
    last_id: str | None = Field(description="the oldest one's name")
