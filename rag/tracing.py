"""What is being done now, and under which trace: identifiers of the W3C, and the notes taken.

Who asks is known to ``rag.access``, what is done for them is known here: a context variable, set
at the edges (the service's outermost layer, a job's line) and carried to the threads that work.
Nothing here knows whether traces are sent; their identifiers stand in the logs in any case.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from rag.results import Receipt

Value: TypeAlias = str | int | float | bool
# Source: W3C Trace Context, Recommendation of 2021-11-23, section 3.2.2: version 00, and of later
# versions the same beginning.
_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = 0x01
# A request holds one question. Source: chosen, so that whoever asks more cannot fill the memory.
_MOST_ANSWERS: Final = 64


@dataclass(frozen=True, slots=True)
class Answered:
    """One question's result, as it is to be traced; ``ended`` in nanoseconds since 1970."""

    tenant: str
    kind: Literal["answer", "retrieve"]
    receipt: Receipt
    ended: int


@dataclass(slots=True)
class Trace:
    """Something that is being done: a request, a line of a job.

    ``trace_id`` are 32 hex digits, ``span_id`` 16; ``parent`` is the caller's span. Where the
    caller keeps no trace of it (``sampled``), neither do we.
    """

    trace_id: str
    span_id: str
    parent: str | None = None
    sampled: bool = True
    answers: list[Answered] = field(default_factory=list)

    @property
    def header(self) -> str:
        """Return what names this to others, as the W3C has it."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was done, with all that its spans are made of.

    Attributes:
        trace: Its identifiers, and the results of the questions in it.
        name: What was done, in few different words: ``POST /v1/query``.
        kind: ``server`` where somebody waited for it at the other end.
        started: Nanoseconds since 1970, as ``ended``.
        attributes: What else is known of it; no text of questions or documents.
        error: What kind of error it ended with, None where it did not.
    """

    trace: Trace
    name: str
    kind: Literal["server", "internal"]
    started: int
    ended: int
    attributes: Mapping[str, Value]
    error: str | None = None


_NOW: ContextVar[Trace | None] = ContextVar("trace", default=None)


def begun(traceparent: str | None = None) -> Trace:
    """Return the trace of what begins now, under its caller's if that names a valid one."""
    found = _PARENT.fullmatch(traceparent or "")
    span_id = os.urandom(8).hex()
    if found is None or not _valid(*found.groups()):
        return Trace(os.urandom(16).hex(), span_id)
    _, trace_id, parent, flags, _ = found.groups()
    return Trace(trace_id, span_id, parent, bool(int(flags, 16) & _SAMPLED))


def current() -> Trace | None:
    """Return the trace of what is being done, None where none was begun."""
    return _NOW.get()


@contextmanager
def following(trace: Trace) -> Iterator[Trace]:
    """Do what stands within under a trace."""
    token = _NOW.set(trace)
    try:
        yield trace
    finally:
        _NOW.reset(token)


def note(tenant: str, kind: Literal["answer", "retrieve"], receipt: Receipt) -> None:
    """Note a question's result in the trace of what is being done, if there is one."""
    trace = current()
    if trace is not None and len(trace.answers) < _MOST_ANSWERS:
        trace.answers.append(Answered(tenant, kind, receipt, time.time_ns()))


def _valid(version: str, trace_id: str, parent: str, _: str, more: str | None) -> bool:
    """Return whether the W3C allows it: identifiers are not zero, and version 00 ends there."""
    known = version != "ff" and not (version == "00" and more)
    return known and bool(int(trace_id, 16)) and bool(int(parent, 16))
