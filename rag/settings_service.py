"""The part of the settings that says who may use the service, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

_RATE: Final = r"^[1-9][0-9]{0,14}/(second|minute|hour|day)$"
Rate = Annotated[str, Field(pattern=_RATE)]


class QuotaSettings(BaseModel):
    """What one tenant may use in a time, such as ``600/minute``; None is the service's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: Rate | None = Field(None, description="questions")
    tokens: Rate | None = Field(None, description="tokens of contexts, prompts and answers")
    joules: Rate | None = Field(None, description="energy at its upper bound [J]")


class ServiceSettings(BaseModel):
    """The service and those who use it."""

    host: str = Field("127.0.0.1", description="address the service binds")
    port: int = Field(8080, ge=0, le=65535, description="port of the service; 0 picks a free one")
    keys_file: Path | None = Field(
        None, description="API keys, by rag keys; default: `keys.json` in `data_dir`"
    )
    keyless: bool = Field(False, description="serve other machines too while there are no API keys")
    audit_log: Path | None = Field(
        None, description="file to which the service appends who read and changed what"
    )
    question_log: Path | None = Field(
        None, description="file to which the service appends the text of each question"
    )
    deadline_seconds: float = Field(10.0, gt=0, le=600, description="limit for one question [s]")
    concurrent_questions: int = Field(4, ge=1, le=1024, description="questions worked on at once")
    max_connections: int = Field(
        1000, ge=1, le=100_000, description="connections at once; further ones are refused"
    )
    degrade: bool = Field(
        True, description="answer with less while questions queue up, before refusing any"
    )
    quota_requests: Rate | None = Field(
        None, description="questions of a tenant in a time: 600/minute; no limit if unset"
    )
    quota_tokens: Rate | None = Field(
        None, description="tokens of a tenant in a time: 1000000/day; no limit if unset"
    )
    quota_joules: Rate | None = Field(
        None, description="energy of a tenant in a time [J]: 5000/hour; no limit if unset"
    )
    quotas: dict[str, QuotaSettings] = Field(
        {}, max_length=1000, description="tables of `requests`, `tokens`, `joules` by tenant"
    )
    upload_dir: Path | None = Field(
        None, description="documents sent over HTTP; default: `uploads` in the collection"
    )
    upload_total_mb: float = Field(
        10_000.0, gt=0, le=1e8, description="all uploaded documents of a tenant [MB]"
    )
    batch_mb: float = Field(100.0, gt=0, le=10_000, description="largest file of questions [MB]")
    run_jobs: bool = Field(
        True, description="do batches and uploads in the service; else rag jobs run does them"
    )
    job_days: float = Field(
        30.0, gt=0, le=3650, description="how long ended jobs and their results are kept [days]"
    )
    frontier: Path | None = Field(
        None, description="what quality costs, for the page, by rag-eval frontier"
    )
    otlp_url: str | None = Field(
        None, max_length=512, description="collector of traces (OTLP over HTTP); none if unset"
    )
