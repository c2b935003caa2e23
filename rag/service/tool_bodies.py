"""What an agent may ask of a tool: a request over HTTP, flat, with its bounds and no tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from rag.errors import ValueRangeError
from rag.service.bodies import FilterBody, QueryBody, RetrieveBody
from rag.settings import Settings

LEAST_TOKENS: Final = 16
MOST_TOKENS: Final = 32768


class SearchAsked(FilterBody):
    """The arguments of ``search``."""

    # Read as they are meant: asking an agent again costs more than taking "256" for 256.
    model_config = ConfigDict(strict=False)

    question: str = Field(min_length=1, description="what to look for, as one whole question")
    budget_tokens: int | None = Field(
        default=None,
        ge=LEAST_TOKENS,
        le=MOST_TOKENS,
        description="most tokens of the documents' text to be given or read for this call",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        """Agents send null for what they leave out."""
        if isinstance(given, Mapping):
            return {name: value for name, value in given.items() if value is not None}
        return given

    def body(self) -> RetrieveBody:
        """Return the request over HTTP that asks the same."""
        return RetrieveBody.checked(self._fields())

    def _fields(self) -> dict[str, object]:
        where = {name: getattr(self, name) for name in FilterBody.model_fields}
        return {"question": self.question, "budget_tokens": self.budget_tokens, "filter": where}


class AnswerAsked(SearchAsked):
    """The arguments of ``answer``."""

    generate: Literal["auto", "never", "always"] = Field(
        default="auto",
        description="whether a model of the server may write the answer; never only quotes",
    )

    def body(self) -> QueryBody:
        """Return the request over HTTP that asks the same."""
        return QueryBody.checked({**self._fields(), "generate": self.generate})


def input_schema(asked: type[SearchAsked], settings: Settings, most_tokens: int) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments, with the bounds that are configured."""
    schema = plain(asked.model_json_schema())
    schema.pop("description")
    fields = schema["properties"]
    fields["question"]["maxLength"] = settings.max_question_chars
    fields["budget_tokens"] |= {"default": settings.budget_tokens, "maximum": most_tokens}
    order = ("question", "budget_tokens", "generate", *FilterBody.model_fields)
    schema["properties"] = {name: fields[name] for name in order if name in fields}
    return schema


def check_budget(asked: SearchAsked, most_tokens: int) -> None:
    """Hold a call to the largest budget that whoever runs the server allows.

    Raises:
        ValueRangeError: It asks for more.
    """
    if asked.budget_tokens is not None and asked.budget_tokens > most_tokens:
        remedy = f"use {LEAST_TOKENS} to {most_tokens}"
        raise ValueRangeError("budget_tokens is too large", asked.budget_tokens, remedy)


def plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without titles, in which what may be left out is not also null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        schema = {**kinds[0], **{name: each for name, each in schema.items() if name != "anyOf"}}
    return {
        name: plain(each) if isinstance(each, Mapping) else each
        for name, each in schema.items()
        if not (name == "title" and isinstance(each, str)) and not (name == "default" and not each)
    }
