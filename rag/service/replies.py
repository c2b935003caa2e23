"""How an answer is told: as our own interface has it, or as OpenAI's does; whole or in pieces."""

from __future__ import annotations

import json
import time
import uuid
from typing import Protocol

from fastapi import Response

from rag.service import chat_schemas as chat
from rag.service import refusals
from rag.service.problems import Problem
from rag.service.schemas import QueryResponse
from rag.service.streaming import event


class Reply(Protocol):
    """One way of telling, for one answer."""

    def whole(self, response: QueryResponse) -> bytes:
        """Return the body of an answer that is not streamed."""

    def piece(self, text: str) -> bytes:
        """Return the event of a piece."""

    def end(self, response: QueryResponse) -> bytes:
        """Return the last events of an answer."""

    def fault(self, problem: Problem) -> bytes:
        """Return the last event of an answer that broke off."""

    def refused(self, problem: Problem) -> Response:
        """Return the response where nothing was said."""


class QueryReply:
    """Our own: ``text`` events with pieces, ``receipt`` last, or ``problem``."""

    def whole(self, response: QueryResponse) -> bytes:
        """Return the body of an answer that is not streamed."""
        return response.model_dump_json().encode()

    def piece(self, text: str) -> bytes:
        """Return the event of a piece."""
        return event("text", json.dumps({"text": text}))

    def end(self, response: QueryResponse) -> bytes:
        """Return the last event: the same as the whole response."""
        return event("receipt", self.whole(response).decode())

    def fault(self, problem: Problem) -> bytes:
        """Return the last event of an answer that broke off."""
        return event("problem", problem.body().decode())

    def refused(self, problem: Problem) -> Response:
        """Return the response where nothing was said."""
        return refusals.response(problem)


class ChatReply:
    """OpenAI's: chunks with pieces, the end with our receipt, the tokens if asked for."""

    def __init__(self, model: str, *, with_usage: bool) -> None:
        self._model = model
        self._with_usage = with_usage
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._said = ""

    def whole(self, response: QueryResponse) -> bytes:
        """Return the body of an answer that is not streamed."""
        message = chat.SaidBody(content=_content(response))
        body = chat.ChatResponse(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=(chat.ChoiceBody(message=message),),
            usage=chat.ChatUsageBody.of(response),
            frugal_rag=response,
        )
        return body.model_dump_json().encode()

    def piece(self, text: str) -> bytes:
        """Return the chunk of a piece."""
        role = None if self._said else "assistant"
        self._said += text
        delta = chat.DeltaBody.model_validate({"role": role, "content": text})
        return self._chunk(self._body(chat.ChunkChoiceBody(delta=delta)))

    def end(self, response: QueryResponse) -> bytes:
        """Return the last chunks; what was never said in pieces is said first."""
        content = _content(response)
        unsaid = content[len(self._said) :] if content.startswith(self._said) else ""
        rest = self.piece(unsaid) if unsaid else b""
        stop = chat.ChunkChoiceBody(delta=chat.DeltaBody(), finish_reason="stop")
        last = self._body(stop)
        # Not by the chunk: what is null there is left out, and here null says "unknown".
        rest += self._chunk({**last, "frugal_rag": response.model_dump(mode="json")})
        if self._with_usage:
            usage = chat.ChatUsageBody.of(response).model_dump()
            rest += self._chunk({**last, "choices": [], "usage": usage})
        return rest + event(None, "[DONE]")

    def fault(self, problem: Problem) -> bytes:
        """Return the last event of an answer that broke off."""
        return event(None, json.dumps(refusals.error_of(problem)))

    def refused(self, problem: Problem) -> Response:
        """Return the response where nothing was said."""
        return refusals.chat_response(problem)

    def _body(self, choice: chat.ChunkChoiceBody) -> dict[str, object]:
        body = chat.ChunkBody(
            id=self._id, created=self._created, model=self._model, choices=(choice,)
        )
        fields = body.model_dump(mode="json", exclude={"choices", "usage", "frugal_rag"})
        delta = choice.delta.model_dump(exclude_none=True)
        return {**fields, "choices": [{**choice.model_dump(mode="json"), "delta": delta}]}

    def _chunk(self, fields: dict[str, object]) -> bytes:
        return event(None, json.dumps(fields))


def _content(response: QueryResponse) -> str:
    """Return an answer as a message; an abstention says so, with its reason."""
    if response.answer is None:
        return f"{chat.NO_ANSWER}{response.reason}."
    return response.answer
