"""The audit log: who read and changed what, and when; never the text of anything.

A line is written before what it tells of is given, or said to be done. So whoever was given
something stands there; a line may also stand there for somebody who had gone by then. Lines of
changes survive a power cut, as each is brought to the disk (``fsync``). Lines of reading survive
the death of the process, and a power cut may take the last seconds of them: an ``fsync`` a question
would take longer than most answers.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rag import access
from rag.appending import append_line, check_appendable
from rag.errors import AuditError, SettingsError
from rag.results import Answer, Receipt, Retrieved

_LOG = logging.getLogger(__name__)
Action: TypeAlias = Literal[
    "begin",  # pieces of an answer will be sent; ``answer`` follows once it is whole
    "answer",
    "retrieve",
    "source",
    "documents",
    "upload",
    "delete",
    "batch",
    "jobs",
    "cancel",
    "cache",
    "purge",
    "impact",
]
CHANGES: Final[frozenset[Action]] = frozenset(("upload", "delete", "batch", "cancel", "purge"))


def _now() -> datetime:
    return datetime.now(UTC)


class AuditLog:
    """Appends a JSON object a line to a file that only its owner can read; threads may share it.

    Without a path nothing is written. The file is opened anew each time, so logrotate may rename
    or remove it whenever it likes.
    """

    def __init__(self, path: Path | None, now: Callable[[], datetime] = _now) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()

    def check(self) -> None:
        """Look whether it can be written, so that no service starts that would refuse everything.

        Raises:
            SettingsError: It cannot.
        """
        if self._path is None:
            return
        try:
            check_appendable(self._path)
        except OSError as exc:
            shown = f"{self._path} ({exc.strerror or exc})"
            remedy = "make its folder, let this user write it, or set audit_log to another place"
            raise SettingsError("audit_log cannot be appended to", shown, remedy) from exc

    def note(
        self,
        action: Action,
        tenant: str | None,
        documents: Iterable[str] = (),
        receipt: Receipt | None = None,
        job: str | None = None,
    ) -> None:
        """Write that the caller is about to be given something, or to change it.

        Args:
            action: What they do.
            tenant: Whose documents; None is all tenants'.
            documents: Ids of those whose text is given, or that are changed.
            receipt: Of the answer or the context.
            job: Id of the job that it is of, or that it makes.

        Raises:
            AccessError: Nobody is asking.
            AuditError: It could not be written, so nothing may be given or done.
        """
        if self._path is None:
            return
        row = {
            "at": self._now().isoformat(timespec="milliseconds"),
            "key": access.caller().name,
            "tenant": tenant,
            "action": action,
            "documents": list(dict.fromkeys(documents)),
            "fingerprint": receipt.fingerprint if receipt else None,
            "generation": receipt.generation if receipt else None,
            "job": job,
        }
        self._write(self._path, f"{json.dumps(row)}\n".encode(), durable=action in CHANGES)

    def _write(self, path: Path, line: bytes, *, durable: bool) -> None:
        try:
            with self._lock:
                append_line(path, line, durable=durable)
        except OSError as exc:
            reason = exc.strerror or str(exc)
            fields = {"path": str(path), "reason": reason}
            _LOG.error("audit-failed", extra={"fields": fields})  # no fault of ours
            # Callers are not told where it is.
            remedy = "ask again later; whoever runs the service finds audit-failed in its log"
            raise AuditError("the audit log cannot be written", reason, remedy) from exc


def documents_of(given: Answer | Retrieved) -> tuple[str, ...]:
    """Return the ids of the documents that a result was made from or that it quotes, each once."""
    found = [piece.chunk.doc_id for piece in given.context.evidence]
    if isinstance(given, Answer):
        for citation in (*given.citations, *given.nearest):
            found += [citation.doc_id, *citation.also_in]
    return tuple(dict.fromkeys(found))
