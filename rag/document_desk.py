"""What is done with documents that are sent, listed and deleted, whoever asks and by whatever way.

A file is on the disk before the job that indexes it is, and that before anybody is told so. So
nothing that was acknowledged is lost; what was refused at the last step may still be indexed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rag import access
from rag.documents import DocumentList, IndexedDocument
from rag.errors import ConflictError, NotFoundError
from rag.generation import file_digest
from rag.jobs.job import Job, Order
from rag.jobs.store import JobStore
from rag.settings import Settings
from rag.upload_table import Upload
from rag.uploads import upload_store

_LISTED: Final = 100  # jobs that are looked through for one that has not begun


@dataclass(frozen=True, slots=True)
class Found:
    """A document as it is published, if it is, and as it was sent, if it was; one of them is."""

    document: IndexedDocument | None
    sent: tuple[Upload, ...]


class DocumentDesk:
    """Sends, lists and deletes documents for whoever asks; see ``rag.access``."""

    def __init__(
        self,
        settings: Settings,
        jobs: JobStore,
        forget: Callable[[str, str], object] = lambda *_: None,
    ) -> None:
        """``forget`` deletes answers that a tenant's document had a part in."""
        self._documents = DocumentList(settings.data_dir / settings.collection)
        self._uploads = upload_store(settings)
        self._jobs = jobs
        self._forget = forget

    def page(self, tenant: str, after: str, limit: int) -> tuple[tuple[Found, ...], str | None]:
        """Return published documents by id, and what id the next page comes after, if any."""
        page = self._documents.page(tenant, after, limit)
        sent = self._uploads.readable(tenant)
        names = [self._name_of(tenant, document) for document in page.documents]
        found = zip(page.documents, names, strict=True)
        return tuple(Found(each, sent.get(name or "", ())) for each, name in found), page.after

    def find(self, tenant: str, doc_id: str) -> Found:
        """Return a document by its id, or else by the name that it was sent under.

        Raises:
            NotFoundError: There is none that the caller may read.
        """
        document = self._documents.find(tenant, doc_id)
        if document is not None:
            return self._with_sent(tenant, document)
        path = self._uploads.folder(tenant) / doc_id
        sent = () if path.name != doc_id else self._uploads.find(tenant, doc_id)
        if not sent or self._documents.hidden_at(tenant, path):
            raise NotFoundError("no such document", doc_id[:120], "list them: GET /v1/documents")
        # Another document may have had the name as its id: then it has a longer one.
        return Found(self._documents.at(tenant, path), sent)

    def check(self, upload: Upload) -> None:
        """Check that a document may be sent, before it is; see ``UploadStore.check``.

        Raises:
            ConflictError: The name is taken by what the caller may not read.
        """
        self._uploads.check(upload)
        path = self._uploads.folder(upload.tenant) / upload.name
        if self._documents.hidden_at(upload.tenant, path):
            raise ConflictError("the name is taken", upload.name, "send it under another name")

    def part(self) -> AbstractContextManager[Path]:
        """Yield where a file may be received; see ``UploadStore.part``."""
        return self._uploads.part()

    def send(self, part: Path, upload: Upload) -> tuple[Upload, Job]:
        """Keep a received file, and return it with the job that brings it into the index.

        ``upload`` is without the size and the SHA-256. Raises as ``check`` and ``UploadStore.keep``
        do.
        """
        whole = Upload(
            *(upload.tenant, upload.name, file_digest(part)),
            bytes=part.stat().st_size,
            access=upload.access,
        )
        self.check(whole)
        self._uploads.keep(part, whole)
        return whole, self._job(upload.tenant)

    def delete(self, tenant: str, doc_id: str) -> Job:
        """Delete a document's file and the answers made from it; the job unpublishes it.

        Raises:
            NotFoundError: There is none that the caller may read.
            ConflictError: It was not sent, but read from somebody's folder.
        """
        found = self.find(tenant, doc_id)
        name = found.sent[0].name if found.sent else self._name_of(tenant, found.document)
        if name is None:
            remedy = "delete the file there, then run rag-ingest sync --delete-missing"
            raise ConflictError("the document was read from a folder", doc_id, remedy)
        named = doc_id if found.document is None else found.document.doc_id
        self._uploads.table.note_gone(access.require(tenant), named)
        self._uploads.remove(tenant, name)
        self._forget(tenant, named)
        return self._job(tenant)

    def _name_of(self, tenant: str, document: IndexedDocument | None) -> str | None:
        if document is None:
            return None
        name = self._uploads.name_of(tenant, document.path)
        if name is not None or Path(document.path).exists():
            return name
        # After a restore the files lie elsewhere than where they were read.
        moved = Path(document.path).name
        same = {upload.sha256 for upload in self._uploads.find(tenant, moved)}
        return moved if document.sha256 in same else None

    def _with_sent(self, tenant: str, document: IndexedDocument) -> Found:
        name = self._name_of(tenant, document)
        return Found(document, () if name is None else self._uploads.find(tenant, name))

    def _job(self, tenant: str) -> Job:
        """Return the caller's job that has not begun, else a new one: one run takes in all files.

        The files are in place already, so a job that begins from now on finds them.
        """
        asking = access.caller()
        for job in self._jobs.list("ingest", _LISTED):
            own = job.caller == asking and job.tenant == tenant
            if own and job.state == "waiting" and not job.cancelling:
                return job
        return self._jobs.add(Order("ingest", tenant))
