"""Documents over HTTP: what may be asked of them, and what is told."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from rag.documents import IndexedDocument
from rag.service.job_schemas import JobBody
from rag.upload_table import Upload

_TENANT = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_MOST_LABELS = 32
_Label = Annotated[str, Field(min_length=1, max_length=64)]


class _Asked(BaseModel):
    # Without it a misspelt name would be ignored, and a document opened to everybody by that.
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str | None = Field(
        default=None, pattern=_TENANT, description="whose documents; default: the service's"
    )


class UploadQuery(_Asked):
    """What a document is sent as."""

    name: str = Field(
        min_length=1,
        max_length=200,
        description="name of the file, whose suffix says its kind; one that is there is replaced",
    )
    access: list[_Label] = Field(
        default=[],
        max_length=_MOST_LABELS,
        description="labels: who holds one of them may read it; none: everybody of the tenant",
    )


class PageQuery(_Asked):
    """Which documents are listed."""

    after: str = Field(default="", max_length=512, description="those whose ids come after this")
    limit: int = Field(default=100, ge=1, le=1000, description="how many at most")


class DocumentQuery(_Asked):
    """Whose document is meant."""


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DocumentBody(_Told):
    """A document as it is in the index, or as it waits to be."""

    doc_id: str = Field(description="its id")
    status: Literal["indexed", "waiting", "failed"] = Field(
        description="whether questions are answered from it as it was last sent"
    )
    problem: str | None = Field(description="why it could not be read; null if that is all well")
    title: str | None = Field(description="title; null while it is not indexed")
    media_type: str | None = Field(description="kind of the file; null while it is not indexed")
    bytes: int = Field(description="size of the file [bytes]")
    date: str | None = Field(description="the document's date, ISO 8601; null if it has none")
    tags: tuple[str, ...] = Field(description="its tags")
    access: tuple[str, ...] = Field(description="its labels; none: everybody of the tenant")
    chunks: int = Field(description="pieces it was cut into")
    uploaded: bool = Field(description="whether it was sent here, and so can be deleted here")

    @classmethod
    def of(cls, document: IndexedDocument, sent: tuple[Upload, ...]) -> Self:
        """Return the body of a published document; ``sent`` is what its name stands for."""
        problem = next((upload.problem for upload in sent if upload.problem), None)
        current = not sent or document.sha256 in {upload.sha256 for upload in sent}
        return cls(
            doc_id=document.doc_id,
            status="failed" if problem else "indexed" if current else "waiting",
            problem=problem,
            title=document.title,
            media_type=document.media_type,
            bytes=document.bytes,
            date=document.date,
            tags=document.tags,
            access=document.access,
            chunks=document.chunks,
            uploaded=bool(sent),
        )

    @classmethod
    def waiting(cls, upload: Upload) -> Self:
        """Return the body of a document that is not published yet, or could not be read."""
        return cls(
            doc_id=upload.name,
            status="failed" if upload.problem else "waiting",
            problem=upload.problem or None,
            title=None,
            media_type=None,
            bytes=upload.bytes,
            date=None,
            tags=(),
            access=upload.access,
            chunks=0,
            uploaded=True,
        )


class DocumentsBody(_Told):
    """Published documents by id."""

    documents: tuple[DocumentBody, ...] = Field(description="the documents")
    after: str | None = Field(description="ask again with this for the next ones; null: no more")


class SentBody(_Told):
    """A document that was taken, and the job that brings it into the index."""

    name: str = Field(description="its name, and its id unless another document has that")
    bytes: int = Field(description="size [bytes]")
    sha256: str = Field(description="SHA-256 of what was received, in hexadecimal digits")
    access: tuple[str, ...] = Field(description="its labels")
    job: JobBody = Field(description="what brings it into the index: GET /v1/jobs/ID")


class DeletedBody(_Told):
    """A document whose file is deleted, and the job that takes it out of the index."""

    doc_id: str = Field(description="its id")
    job: JobBody = Field(description="what takes it out of the index: GET /v1/jobs/ID")
