"""The lines of a batch: questions as they would be sent one by one, and the same answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.answering import Answering
from rag.audit import AuditLog
from rag.audited import AuditedAnswering
from rag.errors import RagError, UsageError
from rag.jobs.batch import Line, Reply, lines_of
from rag.question_log import QuestionLog
from rag.results import Question, Receipt
from rag.service import problems, refusals
from rag.service.bodies import QueryBody, RetrieveBody, to_question
from rag.service.chat_bodies import ChatBody
from rag.service.metrics import Metrics
from rag.service.problems import Problem
from rag.service.replies import ChatReply, QueryReply
from rag.service.schemas import QueryResponse, query_response, retrieve_response
from rag.settings import Settings
from rag.trace_export import TraceExport, traced
from rag.types import Interval

# Source: OpenAI API reference, "Create batch", 2025-08: up to 50,000 requests.
MOST_LINES: Final = 50_000
_LONGEST_LINE = 1_200_000  # bytes: the largest body that is taken alone, and its envelope


class Noted(Protocol):
    """Is told a result, as the service tells its counters; ``abstained`` is None of a context."""

    def __call__(self, question: Question, receipt: Receipt, *, abstained: bool | None) -> None:
        """Take it in."""


class BatchLineBody(BaseModel):
    """One line of a batch. Source: OpenAI API reference, "The request input object", 2025-08."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    custom_id: str = Field(min_length=1, max_length=512, description="its name in the batch")
    method: Literal["POST"] = Field(description="always POST")
    url: Literal["/v1/query", "/v1/retrieve", "/v1/chat/completions"] = Field(
        description="where it would be sent alone"
    )
    body: dict[str, Any] = Field(description="what would be sent there")

    @property
    def tenant(self) -> object:
        """Whose documents it names, None if it names nobody's."""
        own = self.body.get("frugal_rag") if self.url == refusals.CHAT else self.body
        return own.get("tenant") if isinstance(own, dict) else None


def checked_lines(path: Path, tenant: str) -> int:
    """Return the number of lines in a file of questions for a tenant.

    Each must have the form of a line. What its question is, is looked at when it is asked: one that
    cannot be asked gets the problem that it would get alone.

    Raises:
        UsageError: It has no lines or too many, or one is not as it must be; it names the first.
    """
    seen: set[str] = set()
    for number, content in enumerate(lines_of(path), 1):
        if number > MOST_LINES:
            raise UsageError("too many lines", number, f"send at most {MOST_LINES} in a batch")
        line = _read(number, content)
        if line.custom_id in seen:
            _refuse(number, "custom_id stands there twice", line.custom_id, "give each its own")
        if line.tenant not in (None, tenant):
            remedy = f"leave it out: all lines are of {tenant}"
            _refuse(number, "another tenant is named", str(line.tenant), remedy)
        seen.add(line.custom_id)
    if not seen:
        raise UsageError("there are no lines", "an empty file", "send one question a line")
    return len(seen)


def _read(number: int, content: bytes) -> BatchLineBody:
    if len(content) > _LONGEST_LINE:
        _refuse(number, "is too long", f"{len(content)} bytes", f"use at most {_LONGEST_LINE}")
    try:
        return BatchLineBody.model_validate(_fields(content))
    except ValidationError as exc:
        problem = problems.from_validation(exc.errors())
        what = f"cannot be used: {problem.field or 'it'}: {problem.detail}"
        _refuse(number, what, problem.value or "nothing", problem.remedy)
    except (ValueError, RecursionError):
        remedy = "write one JSON object a line, in UTF-8"
        _refuse(number, "is no JSON", repr(content[:60])[1:], remedy)


def _refuse(number: int, what: str, value: str, remedy: str) -> NoReturn:
    raise UsageError(f"line {number}: {what}", value[:120], remedy)


def _fields(content: bytes) -> object:
    def no_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no JSON")

    return json.loads(content.decode(), parse_constant=no_constant)


@dataclass(frozen=True, slots=True)
class BatchAsker:
    """Takes lines through the pipeline as if each had been sent alone.

    Attributes:
        settings: Limits and defaults of questions.
        answering: What answers; it holds tenants to their quotas itself.
        audit: Where it is written what each line is given, before it is.
        noted: Is told each result.
        export: Where traces are sent, if anywhere.
    """

    settings: Settings
    answering: Answering
    audit: AuditLog
    noted: Noted
    export: TraceExport | None = None

    def ask(self, line: Line) -> Reply:
        """Return what a line gets; see ``Asker.ask``.

        Raises:
            RagError: It cannot be answered now, or at all.
        """
        read = BatchLineBody.model_validate(_fields(line.content))
        attributes: dict[str, str | int] = {
            "frugal_rag.job": line.job_id,
            "frugal_rag.line": line.number,
        }
        try:
            with traced(self.export, "batch line", attributes):
                return _ASKED[read.url](self, line, read.body)
        except ValidationError as exc:
            return _problem(read.url, problems.from_validation(exc.errors()))
        except RagError:
            raise
        except Exception:  # noqa: BLE001  # the boundary of a line: the others are to be asked
            return _problem(read.url, refusals.fault_of(read.url))

    def refusal(self, line: Line, error: RagError) -> Reply:
        """Return what a line gets that cannot be answered."""
        url = BatchLineBody.model_validate(_fields(line.content)).url
        return _problem(url, problems.from_error(error))

    def query(self, line: Line, fields: Mapping[str, Any]) -> Reply:
        """Return what a line to ``/v1/query`` gets."""
        response = self._answer(line, QueryBody.model_validate(fields))
        return Reply(200, QueryReply().whole(response), _joules(response))

    def retrieve(self, line: Line, fields: Mapping[str, Any]) -> Reply:
        """Return what a line to ``/v1/retrieve`` gets."""
        body = RetrieveBody.model_validate(fields)
        question = self._question(body)
        found = self._audited(line).retrieve(question)
        self.noted(question, found.receipt, abstained=None)
        content = retrieve_response(body, found).model_dump_json().encode()
        return Reply(200, content, found.receipt.impact.joules)

    def chat(self, line: Line, fields: Mapping[str, Any]) -> Reply:
        """Return what a line to ``/v1/chat/completions`` gets."""
        body = ChatBody.model_validate(fields)
        problem = body.problem()
        if problem is not None:
            return _problem(refusals.CHAT, problem)
        response = self._answer(line, body.query(self.settings))
        reply = ChatReply(body.model, with_usage=False)
        return Reply(200, reply.whole(response), _joules(response))

    def _answer(self, line: Line, body: QueryBody) -> QueryResponse:
        if body.stream:
            raise UsageError("a line of a batch cannot be streamed", "stream", "leave it out")
        question = self._question(body)
        answer = self._audited(line).answer(question)
        self.noted(question, answer.receipt, abstained=answer.abstained)
        return query_response(body, answer)

    def _audited(self, line: Line) -> Answering:
        return AuditedAnswering(self.answering, self.audit, line.job_id)

    def _question(self, body: RetrieveBody) -> Question:
        return to_question(body, self.settings, time.monotonic() + self.settings.deadline_seconds)


_ASKED: Final[Mapping[str, Callable[[BatchAsker, Line, Mapping[str, Any]], Reply]]] = {
    "/v1/query": BatchAsker.query,
    "/v1/retrieve": BatchAsker.retrieve,
    refusals.CHAT: BatchAsker.chat,
}


def noting(metrics: Metrics | None = None, kept: QuestionLog | None = None) -> Noted:
    """Return what tells the counters and the log of questions of a result, where they are."""

    def noted(question: Question, receipt: Receipt, *, abstained: bool | None) -> None:
        if metrics is not None:
            metrics.answered(question.where.tenant, receipt, abstained=abstained)
        if kept is not None:
            kept.add(question, receipt, abstained=abstained)

    return noted


def _joules(response: QueryResponse) -> Interval | None:
    joules = response.impact.joules
    return None if joules is None else Interval(joules.low, joules.high)


def _problem(url: str, problem: Problem) -> Reply:
    response = refusals.response_to(url, problem)
    return Reply(response.status_code, bytes(response.body))
