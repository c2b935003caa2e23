"""The opt-in log of questions: their text, for people who make test questions of real ones.

The only place where a question's text is kept; off unless ``question_log`` names a file.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rag.appending import append_line
from rag.results import Question, Receipt

_LOG = logging.getLogger(__name__)
LIMIT_BYTES: Final = 10_000_000


def _now() -> datetime:
    return datetime.now(UTC)


class QuestionLog:
    """Appends one JSON object a question to a file that only its owner can read.

    At ``limit_bytes`` the file is renamed to ``<name>.1``, in place of the one before, so that at
    most two limits' worth is kept. One process writes to a file; its threads may share the log.
    """

    def __init__(
        self, path: Path, limit_bytes: int = LIMIT_BYTES, now: Callable[[], datetime] = _now
    ) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._now = now
        self._lock = threading.Lock()
        self._failing = False

    def add(self, question: Question, receipt: Receipt, *, abstained: bool | None) -> None:
        """Append a question; ``abstained`` is None where no answer was asked for.

        A failure is warned of once, until a write succeeds again; it never reaches the asker.
        """
        row = {
            "at": self._now().isoformat(timespec="milliseconds"),
            "tenant": question.where.tenant,
            "question": question.text,
            "generation": receipt.generation,
            "fingerprint": receipt.fingerprint,
            "abstained": abstained,
        }
        line = f"{json.dumps(row)}\n".encode()
        with self._lock:
            try:
                self._append(line)
                self._failing = False
            except OSError as exc:
                if not self._failing:
                    fields = {"path": str(self._path), "reason": exc.strerror or str(exc)}
                    _LOG.warning("question-log-failed", extra={"fields": fields})
                self._failing = True

    def _append(self, line: bytes) -> None:
        self._rotate(len(line))
        append_line(self._path, line)

    def _rotate(self, more: int) -> None:
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return
        if size and size + more > self._limit_bytes:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
