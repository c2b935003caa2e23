"""Responses of the chat interface, as OpenAI's API has them, with our receipt in one more field.

Source: OpenAI API reference, "Chat Completions" and "Models", 2025-08.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.service.schemas import QueryResponse

NO_ANSWER: Final = "No answer: "  # how an abstention begins in words


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CachedBody(_Told):
    """Of which kinds the prompt's tokens were."""

    cached_tokens: int = Field(description="read from the provider's cache [tokens]")


class ChatUsageBody(_Told):
    """Tokens that generators were sent and wrote: 0 where none was called."""

    prompt_tokens: int = Field(description="sent to generators [tokens]")
    completion_tokens: int = Field(description="written by generators [tokens]")
    total_tokens: int = Field(description="both [tokens]")
    prompt_tokens_details: CachedBody = Field(description="of which kinds they were")

    @classmethod
    def of(cls, response: QueryResponse) -> ChatUsageBody:
        """Return what a response used."""
        usage = response.usage
        prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            prompt_tokens_details=CachedBody(cached_tokens=usage.cached_tokens or 0),
        )


class SaidBody(_Told):
    """The answer as a message; an abstention is told in words."""

    role: Literal["assistant"] = Field(default="assistant", description="always assistant")
    content: str = Field(description="the answer; of a model, with marks that number the citations")
    refusal: None = Field(default=None, description="always null")


class ChoiceBody(_Told):
    """The one answer."""

    index: Literal[0] = Field(default=0, description="always 0")
    message: SaidBody = Field(description="the answer")
    finish_reason: Literal["stop"] = Field(
        default="stop", description="always stop: an answer consists of whole sentences"
    )
    logprobs: None = Field(default=None, description="always null")


class ChatResponse(_Told):
    """An answer as OpenAI's API gives it, with the whole of ours in ``frugal_rag``."""

    id: str = Field(description="name of this answer")
    object: Literal["chat.completion"] = Field(default="chat.completion", description="what it is")
    created: int = Field(description="POSIX time [s]")
    model: str = Field(description="as it was asked for")
    choices: tuple[ChoiceBody] = Field(description="the one answer")
    usage: ChatUsageBody = Field(description="tokens of generators")
    frugal_rag: QueryResponse = Field(description="as of /v1/query: citations, context, receipt")


class DeltaBody(_Told):
    """What a chunk adds to the message."""

    role: Literal["assistant"] | None = Field(default=None, description="in the first chunk")
    content: str | None = Field(default=None, description="what is added")


class ChunkChoiceBody(_Told):
    """The one answer, in pieces."""

    index: Literal[0] = Field(default=0, description="always 0")
    delta: DeltaBody = Field(description="what is added")
    finish_reason: Literal["stop"] | None = Field(default=None, description="stop at the end")


class ChunkBody(_Told):
    """One piece of a streamed answer; of the last ones, one holds our receipt, one the tokens."""

    id: str = Field(description="name of this answer, the same in all chunks")
    object: Literal["chat.completion.chunk"] = Field(
        default="chat.completion.chunk", description="what it is"
    )
    created: int = Field(description="POSIX time [s]")
    model: str = Field(description="as it was asked for")
    choices: tuple[ChunkChoiceBody, ...] = Field(description="the one answer; empty with the usage")
    usage: ChatUsageBody | None = Field(default=None, description="in the last chunk, if asked for")
    frugal_rag: QueryResponse | None = Field(
        default=None, description="in the chunk with the finish_reason: as of /v1/query"
    )


class ModelBody(_Told):
    """One way of answering, as a model."""

    id: str = Field(description="what to ask for")
    object: Literal["model"] = Field(default="model", description="what it is")
    created: Literal[0] = Field(default=0, description="always 0")
    owned_by: Literal["frugal-rag"] = Field(default="frugal-rag", description="always frugal-rag")


class ModelsBody(_Told):
    """The ways of answering."""

    object: Literal["list"] = Field(default="list", description="what it is")
    data: tuple[ModelBody, ...] = Field(description="the models")


class FaultBody(_Told):
    """What went wrong."""

    message: str = Field(description="what happened, the value, and what to do")
    type: Literal["invalid_request_error", "server_error"] = Field(description="whose fault it is")
    param: str | None = Field(description="path of the field at fault")
    code: str = Field(description="the kind of problem, as in the type of our own problems")


class ErrorBody(_Told):
    """A problem as OpenAI's clients read it."""

    error: FaultBody = Field(description="what went wrong")
