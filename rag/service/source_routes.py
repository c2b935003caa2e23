"""Opening a source over HTTP: ``POST /v1/sources`` gives the text around a cited sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field

from rag import access
from rag.audit import AuditLog
from rag.service import refusals
from rag.service.problems import Problem
from rag.settings import Settings
from rag.sources import Place, SourceReader
from rag.types import Chunk, Filter

SOURCES: Final = "/v1/sources"
LONGEST_QUOTE: Final = 20_000  # characters
_GONE: Final = Problem(
    "source-not-found",
    HTTPStatus.NOT_FOUND,
    "no document of the tenant says this there",
    "ask again: the documents may have changed since the answer",
)


class SourceBody(BaseModel):
    """A citation whose surroundings are wanted; its fields are those of the citation.

    The quote travels in the body, as text has no place in the addresses that proxies log.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    doc_id: str = Field(min_length=1, max_length=512, description="id of the document")
    quote: str = Field(min_length=1, max_length=LONGEST_QUOTE, description="the cited text")
    start: int = Field(ge=0, description="its first character in the document's text, from 0")
    end: int = Field(ge=0, description="character after its last")
    tenant: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="whose document; default: the service's",
    )


class PassageBody(BaseModel):
    """The passage that a cited sentence stands in; offsets count characters from 0."""

    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)

    doc_id: str = Field(description="id of the document")
    title: str = Field(description="title of the document")
    text: str = Field(description="the document's text from start to end, verbatim")
    start: int = Field(description="first character in the document's text")
    end: int = Field(description="character after the last")
    page: int | None = Field(description="page, from 1; null if the document has none")
    headings: tuple[str, ...] = Field(description="headings it stands under, outermost first")
    date: str | None = Field(description="the document's date, ISO 8601; null if it has none")


@dataclass(frozen=True, slots=True)
class SourceParts:
    """What opens sources, and where it is noted that somebody did."""

    reader: SourceReader
    audit: AuditLog


def add_sources(
    app: FastAPI,
    settings: Settings,
    parts: SourceParts,
    documented: Mapping[int | str, dict[str, Any]],
) -> None:
    """Add opening a source; ``documented`` are its problems."""

    def source(body: SourceBody) -> Response:
        """Return the passage of the index that a cited sentence stands in."""
        tenant = access.tenant_of(body.tenant, settings.tenant)
        where = access.narrowed(Filter(tenant, documents=(body.doc_id,)))
        place = Place(body.doc_id, body.start, body.end, body.quote)
        chunk = parts.reader.around(where, place)
        if chunk is None:
            return refusals.response(_GONE)
        parts.audit.note("source", tenant, (chunk.doc_id,))
        return _passage(chunk)

    app.add_api_route(
        SOURCES,
        source,
        methods=["POST"],
        response_model=PassageBody,
        summary="Open a source at a sentence",
        responses=dict(documented),
    )


def _passage(chunk: Chunk) -> Response:
    body = PassageBody.model_validate(chunk)
    return Response(
        body.model_dump_json(),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
