"""Requests of the chat interface, as OpenAI's API has them, with ours in one more field.

Source: OpenAI API reference, "Chat Completions", 2025-08.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from rag.errors import UsageError
from rag.generating import MOST_STOPS
from rag.results import Writing
from rag.service.bodies import (
    LONGEST_TURN,
    MOST_TURNS,
    FilterBody,
    QueryBody,
    StopText,
)
from rag.service.chat_schemas import NO_ANSWER
from rag.service.examples import QUESTION
from rag.service.problems import Problem
from rag.settings import Settings

MODELS: Final[Mapping[str, Writing]] = {
    "frugal-rag": "auto",
    "frugal-rag-extract": "never",
    "frugal-rag-generate": "always",
}
_MOST_MESSAGES: Final = 2000
_SOURCE_MARK: Final = re.compile(r"\s*\[\d+(?:\s*,\s*\d+)*\]")
_DRAWING: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")


class _Asked(BaseModel):
    # Clients send fields of every kind; those that cannot be kept are refused by name below.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class PartBody(_Asked):
    """A part of a message; only text is understood."""

    type: Literal["text"] = Field(description="text: nothing else can be read")
    text: str = Field(description="what was said")


def unknown_model(name: str) -> Problem:
    """Return the problem for a model that there is not."""
    remedy = f"use {', '.join(MODELS)}"
    return Problem("model-not-found", 404, "no such model", remedy, "model", name[:64])


def _form(value: object) -> str:
    return "(list)" if isinstance(value, list) else "(text)"


# Tagged, so that what is wrong is said of the form that was sent; see problems.from_validation.
_Content = Annotated[
    Annotated[str, Tag("(text)")] | Annotated[list[PartBody], Tag("(list)")], Discriminator(_form)
]
_Stops = Annotated[
    Annotated[StopText, Tag("(text)")]
    | Annotated[list[StopText], Field(max_length=MOST_STOPS), Tag("(list)")],
    Discriminator(_form),
]


class ChatMessageBody(_Asked):
    """One message of the conversation; instructions to the model are not followed."""

    role: Literal["system", "developer", "user", "assistant"] = Field(description="who said it")
    content: _Content | None = Field(default=None, description="text, or parts of type text")

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())


class StreamOptionsBody(_Asked):
    """What a stream holds besides the answer."""

    include_usage: bool = Field(default=False, description="whether a last chunk tells the tokens")


class ExtensionBody(_Asked):
    """What only this service understands, in the field ``frugal_rag``: as in ``/v1/query``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    budget_tokens: int | None = Field(default=None, ge=16, le=32768, description="as in /v1/query")
    frugality: float | None = Field(default=None, ge=0, le=0.5, description="as in /v1/query")
    filter: FilterBody = Field(default=FilterBody(), description="as in /v1/query")
    tenant: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="as in /v1/query"
    )
    trace: bool = Field(default=False, description="as in /v1/query")
    include_context: bool = Field(default=False, description="as in /v1/query")


class ChatBody(_Asked):
    """A conversation whose last message is the question."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "frugal-rag",
                    "messages": [{"role": "user", "content": QUESTION["question"]}],
                }
            ]
        }
    )

    model: str = Field(description="one of GET /v1/models: how the answer may be made")
    messages: list[ChatMessageBody] = Field(
        min_length=1, max_length=_MOST_MESSAGES, description="the last one is the question"
    )
    stream: bool | None = Field(default=None, description="whether to send the answer in pieces")
    stream_options: StreamOptionsBody | None = Field(default=None, description="of a stream")
    max_tokens: int | None = Field(
        default=None, ge=1, description="longest answer [tokens]; more than allowed is lowered"
    )
    max_completion_tokens: int | None = Field(default=None, ge=1, description="the same, newer")
    temperature: float | None = Field(default=None, ge=0, le=2, description="0 is deterministic")
    top_p: float | None = Field(default=None, ge=0, le=1, description="share of mass drawn from")
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, description="on repetition")
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, description="on recurrence")
    stop: _Stops | None = Field(default=None, description="texts at which the model ends")
    n: int | None = Field(default=None, description="1: there is one answer")
    tools: list[Any] | None = Field(default=None, description="none: no tool is called")
    functions: list[Any] | None = Field(default=None, description="none: no function is called")
    logprobs: bool | None = Field(default=None, description="false: none are given")
    logit_bias: dict[str, Any] | None = Field(default=None, description="none: no bias is applied")
    modalities: list[str] | None = Field(default=None, description="text only")
    response_format: dict[str, Any] | None = Field(default=None, description="of type text only")
    frugal_rag: ExtensionBody = Field(
        default=ExtensionBody(), description="what only this service understands"
    )

    def problem(self) -> Problem | None:
        """Return what is asked for that would be answered otherwise than asked, None if nothing."""
        if self.model not in MODELS:
            return unknown_model(self.model)
        text_only = (self.response_format or {"type": "text"}).get("type") == "text"
        asked = {
            "n": self.n not in (None, 1),
            "tools": bool(self.tools),
            "functions": bool(self.functions),
            "logprobs": bool(self.logprobs),
            "logit_bias": bool(self.logit_bias),
            "modalities": self.modalities not in (None, ["text"]),
            "response_format": not text_only,
        }
        refused = [name for name, wanted in asked.items() if wanted]
        if refused:
            what = "not offered here"
            return Problem("usage", 400, what, "leave it out", refused[0], ", ".join(refused))
        return None

    def query(self, settings: Settings) -> QueryBody:
        """Return the question that the last message asks, as our own interface has it.

        Raises:
            UsageError: The last message asks nothing.
            ValueRangeError: A field is outside its bounds.
        """
        last = self.messages[-1]
        if last.role != "user" or not last.text.strip():
            found = last.role if last.role != "user" else "no text"
            raise UsageError("the last message asks nothing", found, "end with a user's question")
        return QueryBody.checked(
            {
                "question": last.text,
                "history": self._history(),
                "generate": MODELS[self.model],
                "sampling": self._sampling(settings),
                "stream": bool(self.stream),
                **self.frugal_rag.model_dump(),
            }
        )

    def _history(self) -> list[dict[str, str]]:
        """Return the turns before the question, oldest first, without instructions.

        Our answers' source marks are left out: they number another context's lines. So is what
        was no answer.
        """
        turns = []
        for turn in self.messages[:-1]:
            text = turn.text.strip()
            if turn.role == "assistant":
                text = "" if text.startswith(NO_ANSWER) else _SOURCE_MARK.sub("", text)
            if text and turn.role in ("user", "assistant"):
                turns.append({"role": turn.role, "text": text[:LONGEST_TURN]})
        return turns[-MOST_TURNS:]

    def _sampling(self, settings: Settings) -> dict[str, object]:
        """Return how to draw tokens; a longer answer than the service allows is not an error.

        Clients ask for thousands of tokens by default, and a shorter answer is what they get.
        """
        longest = self.max_completion_tokens or self.max_tokens
        asked: dict[str, object] = {name: getattr(self, name) for name in _DRAWING}
        asked["stop"] = [self.stop] if isinstance(self.stop, str) else self.stop
        asked["max_tokens"] = longest and min(longest, settings.max_answer_tokens)
        return {name: value for name, value in asked.items() if value is not None}
