"""Documents over HTTP: sent, listed and deleted; each change is a job that indexes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeAlias

from fastapi import FastAPI, Path, Query, Request, Response

from rag import access
from rag.audit import AuditLog
from rag.document_desk import DocumentDesk, Found
from rag.errors import RagError
from rag.labels import checked_labels
from rag.service import problems, refusals
from rag.service.document_schemas import (
    DeletedBody,
    DocumentBody,
    DocumentQuery,
    DocumentsBody,
    PageQuery,
    SentBody,
    UploadQuery,
)
from rag.service.job_schemas import JobBody
from rag.service.metrics import Metrics
from rag.service.problems import Problem
from rag.service.receiving import NotReceived, Receiving, receive
from rag.settings import Settings
from rag.upload_names import checked_name
from rag.upload_table import Upload

DOCUMENTS: Final = "/v1/documents"
_ONE: Final = f"{DOCUMENTS}/{{doc_id:path}}"
# Each holds a connection and, for moments, a thread that writes. Source: chosen; as many as a
# disk is kept busy by.
_MOST_AT_ONCE: Final = 8
_RETRY_SECONDS: Final = 5
_ANY: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
Documented: TypeAlias = Callable[..., dict[int | str, Any]]

_DocId = Annotated[str, Path(max_length=512, description="the document's id")]


@dataclass(frozen=True, slots=True)
class DocumentParts:
    """What the routes work with: the desk, the audit log, the counters of what was refused."""

    desk: DocumentDesk
    audit: AuditLog
    metrics: Metrics


def add_documents(
    app: FastAPI, settings: Settings, parts: DocumentParts, documented: Documented
) -> None:
    """Add documents; ``documented(None, 404, ...)`` gives what describes problems."""
    told = documented(None, 400, 401, 403, 404, 422, 503)
    app.add_api_route(
        DOCUMENTS,
        _send(settings, parts),
        methods=["POST"],
        status_code=HTTPStatus.ACCEPTED,
        response_model=SentBody,
        summary="Send a document",
        responses=documented(None, 400, 401, 403, 408, 409, 413, 415, 422, 429, 503, 507),
        openapi_extra={"requestBody": {"required": True, "content": _ANY}},
    )
    app.add_api_route(DOCUMENTS, _list(settings, parts), summary="List documents", responses=told)
    app.add_api_route(_ONE, _show(settings, parts), summary="Look at a document", responses=told)
    app.add_api_route(
        _ONE,
        _delete(settings, parts),
        methods=["DELETE"],
        status_code=HTTPStatus.ACCEPTED,
        response_model=DeletedBody,
        summary="Delete a document",
        responses=documented(None, 400, 401, 403, 404, 409, 422, 429, 503, 507),
    )


def _send(settings: Settings, parts: DocumentParts) -> Callable[..., Awaitable[Response]]:
    limits = Receiving(round(settings.max_file_mb * 1e6), settings.deadline_seconds)
    turns = _Turns(_MOST_AT_ONCE)

    async def send(request: Request, what: Annotated[UploadQuery, Query()]) -> Response:
        """Take a file, which is the body itself, and index it.

        Once this says 202 the file is on the disk, and is indexed though the process may die.
        """
        try:
            with turns.taken():
                upload = _named(settings, what, request)
                return _accepted(await _received(request, parts, upload, limits))
        except NotReceived as exc:
            problem = exc.problem
        except RagError as exc:
            problem = problems.from_error(exc)
        refusals.note(problem, parts.metrics)
        # What is still to come of the body is not waited for.
        headers = {**problem.headers, "Connection": "close"}
        return refusals.response(replace(problem, headers=headers))

    return send


def _named(settings: Settings, what: UploadQuery, request: Request) -> Upload:
    """Return what is to be received, as far as it is known.

    Raises:
        AccessError: It is for another tenant.
        ValueRangeError: The name or a label cannot be used.
        UnsupportedFormatError: No loader reads such a file.
    """
    tenant = access.tenant_of(what.tenant, settings.tenant)
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdigit() and len(declared) < 19 else 0
    return Upload(tenant, checked_name(what.name), "", size, checked_labels(what.access))


async def _received(
    request: Request, parts: DocumentParts, upload: Upload, limits: Receiving
) -> SentBody:
    _refuse_forms(request)
    await asyncio.to_thread(parts.desk.check, upload)
    with parts.desk.part() as part:
        if not await receive(request, part, limits):
            raise NotReceived(_empty())
        parts.audit.note("upload", upload.tenant, [upload.name])
        whole, job = await asyncio.to_thread(parts.desk.send, part, upload)
    return SentBody(
        name=whole.name,
        bytes=whole.bytes,
        sha256=whole.sha256,
        access=whole.access,
        job=JobBody.of(job),
    )


def _list(settings: Settings, parts: DocumentParts) -> Callable[..., DocumentsBody]:
    def listed(what: Annotated[PageQuery, Query()]) -> DocumentsBody:
        """List the documents that questions are answered from, by id."""
        tenant = access.tenant_of(what.tenant, settings.tenant)
        found, after = parts.desk.page(tenant, what.after, what.limit)
        told = tuple(body for each in found for body in _bodies(each))
        parts.audit.note("documents", tenant, [body.doc_id for body in told])
        return DocumentsBody(documents=told, after=after)

    return listed


def _show(settings: Settings, parts: DocumentParts) -> Callable[..., DocumentBody]:
    def shown(doc_id: _DocId, what: Annotated[DocumentQuery, Query()]) -> DocumentBody:
        """Tell of a document whether it is indexed, waits for that, or could not be read."""
        tenant = access.tenant_of(what.tenant, settings.tenant)
        body = next(iter(_bodies(parts.desk.find(tenant, doc_id))))
        parts.audit.note("documents", tenant, [body.doc_id])
        return body

    return shown


def _delete(settings: Settings, parts: DocumentParts) -> Callable[..., Response]:
    def delete(doc_id: _DocId, what: Annotated[DocumentQuery, Query()]) -> Response:
        """Delete a document that was sent here: its file, and what was answered from it, at once.

        The job takes it out of the index.
        """
        tenant = access.tenant_of(what.tenant, settings.tenant)
        parts.audit.note("delete", tenant, [doc_id])
        job = parts.desk.delete(tenant, doc_id)
        return _accepted(DeletedBody(doc_id=doc_id, job=JobBody.of(job)))

    return delete


def _bodies(found: Found) -> Iterator[DocumentBody]:
    if found.document is not None:
        yield DocumentBody.of(found.document, found.sent)
        return
    yield from (DocumentBody.waiting(upload) for upload in found.sent)


def _accepted(body: SentBody | DeletedBody) -> Response:
    return Response(
        body.model_dump_json(),
        status_code=HTTPStatus.ACCEPTED,
        headers={"Location": f"/v1/jobs/{body.job.id}"},
        media_type="application/json",
    )


class _Turns:
    """Counts what is under way on the event loop's thread, and refuses one too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        if self._taken >= self._most:
            raise NotReceived(_too_many(self._taken))
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


def _refuse_forms(request: Request) -> None:
    """Refuse a file inside a form: its wrapping would be stored as part of it.

    Raises:
        NotReceived: It is one.
    """
    given = request.headers.get("content-type", "")
    if given.lower().startswith("multipart/"):
        raise NotReceived(
            Problem(
                "unsupported-media-type",
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "the body is a form",
                "send the file itself as the body: curl --data-binary @FILE",
                field="Content-Type",
                value=given[:120],
                headers={"Connection": "close"},
            )
        )


def _empty() -> Problem:
    return Problem(
        "empty-document",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the body is empty",
        "send the file itself as the body: curl --data-binary @FILE",
    )


def _too_many(taken: int) -> Problem:
    return Problem(
        "overloaded",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too many documents are being received",
        "send it again later, a few at a time",
        value=f"{taken} at once",
        headers={"Retry-After": str(_RETRY_SECONDS), "Connection": "close"},
    )
