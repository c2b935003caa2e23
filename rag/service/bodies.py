"""Bodies of requests: what may be asked over HTTP, with bounds; also the CLI's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from rag import access, dates
from rag.errors import ValueRangeError
from rag.generating import MOST_STOPS, Message, Sampling
from rag.results import Question
from rag.service.examples import QUESTION
from rag.settings import Settings
from rag.types import Filter

MOST_TURNS: Final = 200  # of a conversation
LONGEST_TURN: Final = 20_000  # characters
StopText = Annotated[str, Field(min_length=1, max_length=64)]
_Text = Annotated[str, Field(min_length=1, max_length=512)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def checked(cls, fields: Mapping[str, object]) -> Self:
        """Return the body made of some fields.

        Raises:
            ValueRangeError: A field is outside its bounds.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as exc:
            raise _as_ours(exc) from exc


class FilterBody(_Request):
    """Which documents may be looked at; what is left out restricts nothing."""

    documents: list[_Text] = Field(
        default=[], max_length=256, description="any of these document ids"
    )
    tags: list[_Text] = Field(default=[], max_length=64, description="all of these tags")
    since: str | None = Field(
        default=None,
        max_length=64,
        description="first date, ISO 8601, inclusive; a year or month counts",
    )
    until: str | None = Field(
        default=None,
        max_length=64,
        description="last date, ISO 8601, inclusive; a year or month counts",
    )

    @field_validator("since", "until")
    @classmethod
    def _is_date(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and dates.covered(value) is None:
            remedy = "use an ISO 8601 date such as 2024-05-31"
            raise ValueRangeError(f"{info.field_name} is no date", value[:64], remedy)
        return value


class RetrieveBody(_Request):
    """A question for which context is wanted."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(QUESTION)]})

    question: str = Field(
        min_length=1, description="the question [characters: at most max_question_chars]"
    )
    budget_tokens: int | None = Field(
        default=None, ge=16, le=32768, description="context budget [tokens]; default: the service's"
    )
    frugality: float | None = Field(
        default=None,
        ge=0,
        le=0.5,
        description="answer recall that may be lost for fewer tokens, as a share; 0 fills the "
        "budget; default: the service's",
    )
    filter: FilterBody = Field(default=FilterBody(), description="which documents may be looked at")
    tenant: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="whose documents; default: the service's",
    )
    trace: bool = Field(
        default=False, description="whether to return each stage's decision and cost"
    )


class TurnBody(_Request):
    """An earlier message of the conversation."""

    role: Literal["user", "assistant"] = Field(description="who said it")
    text: str = Field(min_length=1, max_length=LONGEST_TURN, description="what was said")


class SamplingBody(_Request):
    """How a model draws tokens; what is left out is as configured."""

    max_tokens: int | None = Field(
        default=None, ge=1, description="longest written answer [tokens]: at most max_answer_tokens"
    )
    temperature: float | None = Field(default=None, ge=0, le=2, description="0 is deterministic")
    top_p: float | None = Field(default=None, ge=0, le=1, description="share of mass drawn from")
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2, description="on repetition")
    presence_penalty: float | None = Field(default=None, ge=-2, le=2, description="on recurrence")
    stop: list[StopText] = Field(
        default=[], max_length=MOST_STOPS, description="texts at which the model ends"
    )

    def sampling(self, settings: Settings) -> Sampling | None:
        """Return what is asked for over what is configured, None if that is nothing else.

        Raises:
            ValueRangeError: A longer answer is asked for than the service allows.
        """
        most = settings.max_answer_tokens
        if self.max_tokens is not None and self.max_tokens > most:
            what = "a longer answer than the service allows"
            raise ValueRangeError(what, self.max_tokens, f"use 1 to {most}")
        usual = Sampling(most, settings.temperature)
        given = self.model_dump(exclude_none=True)
        asked = replace(usual, **{**given, "stop": tuple(self.stop)})
        return None if asked == usual else asked


class QueryBody(RetrieveBody):
    """A question for which an answer is wanted."""

    history: list[TurnBody] = Field(
        default=[], max_length=MOST_TURNS, description="the conversation before it, oldest first"
    )
    generate: Literal["auto", "never", "always"] = Field(
        default="auto", description="whether a configured model may write the answer"
    )
    sampling: SamplingBody | None = Field(default=None, description="how it draws tokens")
    stream: bool = Field(
        default=False, description="whether to send pieces as server-sent events, the receipt last"
    )
    include_context: bool = Field(default=False, description="whether to return the packed context")


def to_question(body: RetrieveBody, settings: Settings, deadline: float) -> Question:
    """Return the question that a request body asks.

    Raises:
        ValueRangeError: A longer answer is asked for than the service allows.
        AccessError: Another tenant than the caller's is named.

    Args:
        body: The checked body.
        settings: Where the tenant, the budget and the frugality come from if the body names none.
        deadline: When it is given up, on the monotonic clock [s].
    """
    where = access.narrowed(
        Filter(
            tenant=access.tenant_of(body.tenant, settings.tenant),
            documents=tuple(body.filter.documents),
            tags=tuple(body.filter.tags),
            since=body.filter.since,
            until=body.filter.until,
        )
    )
    budget = body.budget_tokens or settings.budget_tokens
    frugality = settings.frugality if body.frugality is None else body.frugality
    question = Question(body.question, where, budget, deadline, frugality)
    if not isinstance(body, QueryBody):
        return question
    return replace(
        question,
        history=tuple(Message(turn.role, turn.text) for turn in body.history),
        generate=body.generate,
        sampling=body.sampling.sampling(settings) if body.sampling else None,
    )


def _as_ours(error: ValidationError) -> ValueRangeError:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ValueRangeError):
        return cause
    name = ".".join(str(part) for part in first["loc"])
    return ValueRangeError(f"{name} cannot be used", repr(first["input"])[:120], first["msg"])
