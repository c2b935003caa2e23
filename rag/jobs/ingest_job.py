"""Uploads into the index: ``rag-ingest sync`` over a tenant's folder, in its own process.

It publishes a generation, or leaves the published one as it is; killed, it is run again. What was
sent while it runs is the next job's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rag import access
from rag.documents import DocumentList
from rag.errors import IndexStateError, RagError
from rag.generation import read_current
from rag.jobs.child import Ended, run_child
from rag.jobs.job import Job, Later, Run
from rag.settings import Settings
from rag.upload_table import Upload
from rag.uploads import upload_store

COMMAND: Final = (sys.executable, "-m", "ingest.cli")
# What rag-ingest says where another one works; a test holds the two together.
BUSY: Final = "another rag-ingest works on"
_BUSY_SECONDS: Final = 5.0
_LONGEST_SECONDS: Final = 6 * 3600.0
_MOST_FAILURES: Final = 100  # that a job names
_NO_TEXT: Final = "no text was found in it"


class IngestWorker:
    """Brings the index up to date with a tenant's uploads; see ``rag.jobs.job.Worker``."""

    def __init__(
        self,
        settings: Settings,
        forget: Callable[[str, str], object] = lambda *_: None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Args: what deletes from the answer cache what a tenant's document had a part in."""
        self._settings = settings
        self._forget = forget
        self._command = tuple(command)
        self._collection = settings.data_dir / settings.collection
        self._documents = DocumentList(self._collection)
        self._uploads = upload_store(settings)

    def work(self, job: Job, run: Run) -> Mapping[str, object]:
        """Take in what was sent and drop what was deleted; returns what came of it.

        Raises:
            Stopped: As ``run.pause`` raised it; the process has been ended.
            Later: Another process changes the collection.
            RagError: Nothing could be published.
        """
        if not self._uploads.table.exists():
            # An empty folder, as where a disk is not mounted, would delete all that came from it.
            remedy = "look whether the folder of uploads is there, or restore it from a backup"
            raise IndexStateError("the list of uploads is gone", self._uploads.root.name, remedy)
        taken, gone = self._uploads.settled(job.tenant), self._uploads.table.gone(job.tenant)
        report = self._report(run_child(self._arguments(job), run.pause, _LONGEST_SECONDS))
        noted = self._noted(taken, report)
        for doc_id in gone:  # answers may have been given from it until now
            self._forget(job.tenant, doc_id)
            self._uploads.table.forget_gone(job.tenant, doc_id)
        return _told(job, run, report, noted)

    def _arguments(self, job: Job) -> list[str]:
        folder = self._uploads.folder(job.tenant)
        folder.mkdir(mode=0o700, exist_ok=True)
        place = ["--data-dir", str(self._settings.data_dir.absolute())]
        place += ["--collection", self._settings.collection, "--tenant", job.tenant]
        # Not the tier that questions are asked with: it could make the index anew without vectors.
        published = read_current(self._collection)
        tier = published.shape.tier if published else self._settings.tier
        return [
            *(*self._command, "sync", "--delete-missing", "--json", "--tier", tier),
            *(*place, "--", str(folder)),
        ]

    def _report(self, ended: Ended) -> dict[str, Any]:
        """Return what ``rag-ingest`` reported.

        Raises:
            Later: Another one works on the collection.
            RagError: It ended without a report.
        """
        if BUSY in ended.stderr:
            raise Later(_BUSY_SECONDS, "another process changes the collection")
        try:
            report: dict[str, Any] = json.loads(ended.stdout)
        except ValueError as exc:
            said = self._shown(ended.stderr.strip().rpartition("\n")[2])[:500]
            value = said.removeprefix("error: ").rstrip(".") or f"exit status {ended.status}"
            raise RagError("ingest failed", value, "mend that; the files are kept") from exc
        return report

    def _noted(self, taken: Sequence[Upload], report: Mapping[str, Any]) -> list[Upload]:
        """Return the uploads of a run with why they could not be read, which is remembered."""
        problems = dict(self._problems(report))
        noted = []
        for upload in taken:
            problem = problems.get((upload.name, upload.sha256)) or problems.get((upload.name, ""))
            if problem is None:
                problem = "" if self._is_published(upload) else _NO_TEXT
            if problem != upload.problem:
                self._uploads.table.note_problem(upload, problem)
            noted.append(replace(upload, problem=problem))
        return noted

    def _is_published(self, upload: Upload) -> bool:
        with access.acting(access.OPERATOR):  # whoever gave the job may not read all of the folder
            path = self._uploads.folder(upload.tenant) / upload.name
            document = self._documents.at(upload.tenant, path)
        return document is not None and document.sha256 == upload.sha256

    def _problems(self, report: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
        for letter in report["failures"]:
            remedy = letter["remedy"]
            text = f"{letter['cause']}. {remedy[:1].upper()}{remedy[1:]}."
            yield (Path(letter["path"]).name, letter["sha256"]), self._shown(text)

    def _shown(self, text: str) -> str:
        """Return what a process said without the places on this machine."""
        for place in (self._uploads.root, self._collection.absolute(), self._collection):
            text = text.replace(f"{place}/", "")
        return text


def _told(
    job: Job, run: Run, report: Mapping[str, Any], noted: Sequence[Upload]
) -> Mapping[str, object]:
    """Return what the job's giver may know of the run."""
    theirs = [upload for upload in noted if job.caller.reads(upload.access)]
    failures = [upload for upload in theirs if upload.problem]
    run.progress(len(theirs) - len(failures), len(failures))
    whole = job.caller.labels is None
    return {
        "generation": report["generation"],
        "published": report["published"],
        "files": report["files"] if whole else None,
        "chunks": report["chunks"] if whole else None,
        "failures": [
            {"name": upload.name, "problem": upload.problem} for upload in failures[:_MOST_FAILURES]
        ],
    }
