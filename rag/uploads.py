"""Documents that were sent over HTTP: files of a tenant's own folder, which ingest reads.

    <uploads>/_uploads.sqlite    which content of which name has which labels
    <uploads>/acme/report.pdf    the files, by tenant
    <uploads>/.parts/            what is just being received

A file is complete and on the disk, and its labels are noted, before it gets its name. Killed at
any point this leaves the old file or the new one, each under its own labels.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Final

from rag import access
from rag.errors import AccessError, ConflictError, IndexStateError, NotFoundError, StorageFullError
from rag.filetree import sync_path
from rag.generation import file_digest
from rag.settings import Settings
from rag.upload_names import folded
from rag.upload_table import Upload, UploadTable

FOLDER: Final = "uploads"
_PARTS: Final = ".parts"
_LOCK: Final = ".lock"
# EFBIG is what a limit on the size of a process's files gives.
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Source: chosen; nothing is received for so long, at the least rate that is taken.
_STALE_SECONDS: Final = 86_400.0


def upload_root(settings: Settings) -> Path:
    """Return where the uploads of the configured collection lie, absolute and without links.

    Ingest knows files by their paths, so there must be one way to write each.
    """
    if settings.upload_dir is not None:
        return Path(os.path.realpath(settings.upload_dir / settings.collection))
    return Path(os.path.realpath(settings.data_dir / settings.collection / FOLDER))


class UploadStore:
    """The uploads of a collection; safe to use from threads and from several processes.

    What is another tenant's than the caller's raises ``AccessError``; what has labels of which the
    caller holds none is not there for them.
    """

    def __init__(self, root: Path, most_bytes: int) -> None:
        self.root = root
        self.table = UploadTable(root)
        self._most_bytes = most_bytes

    def folder(self, tenant: str) -> Path:
        """Return the folder of a tenant's files; it may not be there yet."""
        return self.root / access.require(tenant)

    def find(self, tenant: str, name: str) -> tuple[Upload, ...]:
        """Return what a name stands for: one content, two while it is replaced, or none.

        None too where the caller may not read one of them.
        """
        found = self.table.versions(access.require(tenant), name)
        return found if _readable(found) else ()

    def readable(self, tenant: str) -> dict[str, tuple[Upload, ...]]:
        """Return what each name of a tenant stands for, of those that the caller may read."""
        rows = self.table.all(access.require(tenant))
        grouped = groupby(rows, key=lambda row: row.name)
        named = {name: tuple(versions) for name, versions in grouped}
        return {name: versions for name, versions in named.items() if _readable(versions)}

    def name_of(self, tenant: str, path: str) -> str | None:
        """Return the name of the upload that lies at a path, None where that is not one's place."""
        place = Path(os.path.realpath(path))
        inside = place.parent == Path(os.path.realpath(self.folder(tenant)))
        return place.name if inside else None

    @contextmanager
    def part(self) -> Iterator[Path]:
        """Yield where a file may be received; what is still there afterwards is removed.

        Raises:
            StorageFullError: There is no room.
            IndexStateError: The folder cannot be written.
        """
        parts = self.root / _PARTS
        with _mapped(parts):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            parts.mkdir(mode=0o700, exist_ok=True)
        path = parts / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def check(self, upload: Upload) -> None:
        """Check that a content may be kept under its name, as far as is known beforehand.

        Raises:
            AccessError: It is for another tenant, or has labels that the caller does not hold.
            ConflictError: The name is taken.
            StorageFullError: The tenant has too much already.
        """
        tenant, name = access.require(upload.tenant), upload.name
        held = access.caller().labels
        if held is not None and not set(upload.access) <= set(held):
            label = ", ".join(sorted(set(upload.access) - set(held)))
            raise AccessError("the key does not hold the label", label, "give labels that it holds")
        alike = self.table.alike(tenant, name, folded(name))
        if alike:
            raise _taken(name, "send it under the name of the other, to replace it, or another one")
        if not _readable(self.table.versions(tenant, name)):
            raise _taken(name, "send it under another name")
        total = self.table.bytes_beside(tenant, name) + upload.bytes
        if total > self._most_bytes:
            what = f"the tenant's documents would be over {self._most_bytes / 1e6:g} MB"
            # Not how much there is already: it may be of documents that they may not read.
            size = f"{upload.bytes / 1e6:.1f} MB more"
            raise StorageFullError(what, size, "delete documents first")

    def keep(self, part: Path, upload: Upload) -> Path:
        """Give a received file its name, in place of an earlier one; returns where it lies.

        All of it is on the disk when this returns. The part must be.

        Raises:
            AccessError: As ``check``.
            ConflictError: As ``check``.
            StorageFullError: As ``check``, or the disk is full.
            IndexStateError: It cannot be written.
        """
        with self._alone():
            self.check(upload)
            before = self.table.versions(upload.tenant, upload.name)
            self.table.put(upload, folded(upload.name))
            try:
                path = self._placed(part, upload)
            except (StorageFullError, IndexStateError):
                if part.exists():  # else the new file is there, and needs its row
                    self.table.replace(upload.tenant, upload.name, before, folded(upload.name))
                raise
            self.table.replace(upload.tenant, upload.name, (upload,), folded(upload.name))
            return path

    def remove(self, tenant: str, name: str) -> None:
        """Delete a file, for good: it is gone from the disk when this returns.

        Raises:
            AccessError: It is another tenant's.
            NotFoundError: Its newest content is not for the caller.
            IndexStateError: It cannot be deleted.
        """
        path = self.folder(tenant) / name
        with self._alone(), _mapped(path):
            if not _readable(self.table.versions(tenant, name)):
                raise NotFoundError("no such document", name, "list them with GET /v1/documents")
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_path(path.parent)
            self.table.replace(tenant, name, (), folded(name))

    def settled(self, tenant: str) -> tuple[Upload, ...]:
        """Return a tenant's uploads after setting right what a process left that died.

        Raises:
            AccessError: They are another tenant's.
            IndexStateError: The folder cannot be read.
        """
        with self._alone(), _mapped(self.root):
            for part in (self.root / _PARTS).glob("*"):
                if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                    part.unlink(missing_ok=True)
            rows = self.table.all(access.require(tenant))
            for name, versions in groupby(rows, key=lambda row: row.name):
                self._settle(tenant, name, tuple(versions))
            return self.table.all(tenant)

    def _settle(self, tenant: str, name: str, versions: tuple[Upload, ...]) -> None:
        path = self.folder(tenant) / name
        if len(versions) == 1 and path.is_file():
            return
        digest = file_digest(path) if path.is_file() else ""
        there = [version for version in versions if version.sha256 == digest]
        self.table.replace(tenant, name, there, folded(name))

    def _placed(self, part: Path, upload: Upload) -> Path:
        folder = self.folder(upload.tenant)
        with _mapped(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_path(self.root)
            part.replace(folder / upload.name)
            sync_path(folder)
        return folder / upload.name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the store against other writers, of this process and of others."""
        with _mapped(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _readable(versions: tuple[Upload, ...]) -> bool:
    asking = access.caller()
    return all(asking.reads(version.access) for version in versions)


def _taken(name: str, remedy: str) -> ConflictError:
    return ConflictError("the name is taken", name, remedy)


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _NO_ROOM:
            what = "there is no room for the document"
            raise StorageFullError(what, path.name, "free space on the service's disk") from exc
        what, remedy = "documents cannot be kept", "fix the permissions of the service's folder"
        raise IndexStateError(what, f"{path.name} ({exc.strerror})", remedy) from exc


def upload_store(settings: Settings) -> UploadStore:
    """Return the uploads of the configured collection."""
    return UploadStore(upload_root(settings), round(settings.upload_total_mb * 1e6))
