"""Questions over HTTP: checked bodies through the pipeline, on a bounded number of threads."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from fastapi import Request, Response

from rag import logs
from rag.answering import Answering
from rag.errors import OverloadedError, RagError, ValueRangeError
from rag.generating import Listener
from rag.listening import Waiting
from rag.question_log import QuestionLog
from rag.quotas import Quotas
from rag.results import Question, Receipt
from rag.service import problems, refusals
from rag.service.admission import Admission
from rag.service.bodies import QueryBody, RetrieveBody, to_question
from rag.service.chat_bodies import ChatBody
from rag.service.hearing import Hearing
from rag.service.metrics import Metrics
from rag.service.problems import Problem
from rag.service.replies import ChatReply, QueryReply, Reply
from rag.service.schemas import QueryResponse, query_response, retrieve_response
from rag.service.streaming import COMMENT, EventStream
from rag.settings import Settings

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)
_READING_SECONDS: Final = 30.0  # beyond the deadline, for a caller to read what was said


class _Refuses(Protocol):
    def __call__(self, problem: Problem) -> Response: ...


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, how a refusal of it is told, and the connection that it came on."""

    question: Question
    refused: _Refuses
    request: Request


class Questions:
    """Takes checked bodies through the pipeline, on the gate's threads."""

    def __init__(
        self,
        settings: Settings,
        answering: Answering,
        metrics: Metrics,
        quotas: Quotas | None = None,
    ) -> None:
        self._settings = settings
        self._answering = answering
        self._kept = QuestionLog(settings.question_log) if settings.question_log else None
        self._metrics = metrics
        self.admission = Admission(settings, quotas)
        self.gate = gate = self.admission.gate
        metrics.watch("queue", "Questions that wait for a thread", lambda: gate.waiting)
        metrics.watch("pressure", "How near questions are to being refused", lambda: gate.pressure)

    async def query(self, body: QueryBody, request: Request) -> Response:
        """Answer a question, or abstain with the reason and the nearest sources."""
        try:
            question = self._question(body, request)
        except ValueRangeError as error:
            problem = problems.out_of_bounds(error, "sampling.max_tokens")
            return self._refused(problem, None, refusals.response)
        reply = QueryReply()
        return await self._answer(body, _Asked(question, reply.refused, request), reply)

    async def retrieve(self, body: RetrieveBody, request: Request) -> Response:
        """Return the packed context for a question, without an answer."""
        came = _Asked(self._question(body, request), refusals.response, request)
        asked = self._admitted(came, cached=False)
        if isinstance(asked, Response):
            return asked

        def work(listener: Listener) -> bytes:
            found = self._answering.retrieve(asked.question)
            self._log(asked.question, found.receipt, abstained=None, heard=not listener.gone())
            return retrieve_response(body, found).model_dump_json().encode()

        return await self._whole(asked, work, lambda content: content)

    async def chat(self, body: ChatBody, request: Request) -> Response:
        """Answer the last message of a conversation, as OpenAI's API does."""
        problem = body.problem()
        if problem is not None:
            return self._refused(problem, None, refusals.chat_response)
        try:
            query = body.query(self._settings)
            question = self._question(query, request)
        except RagError as error:
            return self._refused(problems.from_error(error), None, refusals.chat_response)
        options = body.stream_options
        reply = ChatReply(body.model, with_usage=options is not None and options.include_usage)
        return await self._answer(query, _Asked(question, reply.refused, request), reply)

    def _question(self, body: RetrieveBody, request: Request) -> Question:
        deadline = request.state.arrived + self._settings.deadline_seconds
        return to_question(body, self._settings, deadline)

    def _admitted(self, asked: _Asked, *, cached: bool) -> _Asked | Response:
        """Return the question as it is to be answered, or the response that refuses it."""
        try:
            question = self.admission.admit(asked.question, cached=cached)
        except RagError as error:
            return self._failed(error, asked)
        if question.sparing is not None:
            self._metrics.spared(question.sparing.upto)
        return replace(asked, question=question)

    async def _answer(self, body: QueryBody, came: _Asked, reply: Reply) -> Response:
        asked = self._admitted(came, cached=True)
        if isinstance(asked, Response):
            return asked

        def work(listener: Listener) -> QueryResponse:
            hears = listener if body.stream else Waiting(listener)
            answer = self._answering.answer(asked.question, hears)
            heard = not listener.gone()
            self._log(asked.question, answer.receipt, abstained=answer.abstained, heard=heard)
            return query_response(body, answer)

        if body.stream:
            return await self._streamed(asked, work, reply)
        return await self._whole(asked, work, reply.whole)

    async def _whole(
        self, asked: _Asked, work: Callable[[Listener], _T], told: Callable[[_T], bytes]
    ) -> Response:
        hearing = self._hearing(asked, work)
        try:
            async for _ in hearing.notes():
                pass
            if hearing.gone():
                return self._left(asked)
            return Response(told(hearing.result()), media_type="application/json")
        except RagError as error:
            return self._failed(error, asked)
        finally:
            hearing.close()

    async def _streamed(
        self, asked: _Asked, work: Callable[[Listener], QueryResponse], reply: Reply
    ) -> Response:
        """Return the stream once something is said; until then an error has its own status."""
        hearing = self._hearing(asked, work)
        with ExitStack() as otherwise:
            otherwise.callback(hearing.close)
            try:
                if not await hearing.begun() and not hearing.gone():
                    hearing.result()
            except RagError as error:
                return self._failed(error, asked)
            otherwise.pop_all()
        left = max(0.0, asked.question.deadline - time.monotonic())
        events = self._events(asked, reply, hearing)
        return EventStream(events, left + _READING_SECONDS, hearing.close)

    async def _events(
        self, asked: _Asked, reply: Reply, hearing: Hearing[QueryResponse]
    ) -> AsyncIterator[bytes]:
        """Yield an event a piece, and that of the end or of what went wrong."""
        async for note in hearing.notes():
            yield COMMENT if note is None else reply.piece(note)
        if hearing.gone():
            self._left(asked)
            return
        try:
            yield reply.end(hearing.result())
        except RagError as error:
            problem = self._problem(error)
            self._refused(problem, asked.question, reply.refused)
            yield reply.fault(problem)
        except Exception:  # noqa: BLE001  # the boundary of a response that has begun
            problem = refusals.fault_of(asked.request.url.path)
            self._metrics.refused(problem)
            yield reply.fault(problem)

    def _hearing(self, asked: _Asked, work: Callable[[Listener], _T]) -> Hearing[_T]:
        gate = self.admission.gate_of(asked.question)
        return Hearing(gate, work, asked.question.deadline, asked.request.receive)

    def _failed(self, error: RagError, asked: _Asked) -> Response:
        return self._refused(self._problem(error), asked.question, asked.refused)

    def _problem(self, error: RagError) -> Problem:
        if isinstance(error, OverloadedError):
            error = self.admission.told(error)
        return problems.from_error(error)

    def _left(self, asked: _Asked) -> Response:
        """Note a caller who has gone; nobody receives the response."""
        refusals.note(problems.caller_left(), self._metrics, _named(asked.question))
        return Response(status_code=problems.CALLER_LEFT)

    def _log(
        self, question: Question, receipt: Receipt, *, abstained: bool | None, heard: bool
    ) -> None:
        outcome = {"abstained": abstained, **logs.receipt_fields(receipt)}
        fields = {"status": 200, **_named(question), **outcome}
        _LOG.info("answered" if heard else "not-heard", extra={"fields": fields})
        self._metrics.answered(question.where.tenant, receipt, abstained=abstained)
        self.admission.charge(question.where.tenant, receipt)
        if self._kept is not None:
            self._kept.add(question, receipt, abstained=abstained)

    def _refused(self, problem: Problem, question: Question | None, respond: _Refuses) -> Response:
        refusals.note(problem, self._metrics, _named(question) if question else None)
        return respond(problem)


def _named(question: Question) -> dict[str, object]:
    """Return what the log may say of a question."""
    return {"question": logs.question_hash(question.text), "tenant": question.where.tenant}
