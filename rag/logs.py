"""Logs: one JSON object a line on stderr, never with the text of a question or a document."""

from __future__ import annotations

import hashlib
import json
import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from rag import tracing
from rag.results import Receipt


class JsonLines(logging.Formatter):
    """Formats a record as one JSON line; ``extra={"fields": {...}}`` adds to it.

    Where it is written for a request or a job's line, ``trace`` names that.
    Of an exception the type and the places are kept, not the message: it may quote a document.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_trace_field(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= _exception_fields(record.exc_info[1])
        return json.dumps(line, default=str)


def configure(stream: TextIO) -> None:
    """Send the process's logs to a stream as JSON lines; libraries speak from warnings up."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("rag").setLevel(logging.INFO)


def discard() -> None:
    """Show no logs: for a command that says itself, in its result or its error, what happened."""
    logging.basicConfig(handlers=[logging.NullHandler()])


def question_hash(text: str) -> str:
    """Return 12 hex digits that stand for a question in the logs."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def receipt_fields(receipt: Receipt) -> Mapping[str, object]:
    """Return what an answer cost and what produced it, as log fields."""
    usage, stages = receipt.usage, {step.stage: step.seconds for step in receipt.trace}
    return {
        "usage": {
            "context_tokens": usage.context_tokens,
            "budget_tokens": usage.budget_tokens,
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
        },
        "seconds": round(receipt.seconds, 6),
        "stages": {stage: round(seconds, 6) for stage, seconds in stages.items()},
        "cache": receipt.cache,
        "generation": receipt.generation,
        "fingerprint": receipt.fingerprint,
    }


def _trace_field() -> dict[str, object]:
    trace = tracing.current()
    return {} if trace is None else {"trace": trace.trace_id}


def _exception_fields(exc: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(exc.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return {"exception": type(exc).__name__, "frames": places}
