"""``GET /v1/frontier``: what an evaluation measured, and where among it this service stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from rag.errors import UsageError
from rag.frontier import Frontier, Measured


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class SpreadBody(_Body):
    """A mean over questions, with its 95 % interval."""

    mean: float = Field(description="mean")
    low: float = Field(description="lower bound of the mean")
    high: float = Field(description="upper bound of the mean")


class MeasuredBody(_Body):
    """One system at one setting."""

    name: str = Field(description="the system, and what tells its setting from the others")
    record: str = Field(description="name of the evaluation that measured it")
    commit: str | None = Field(description="of the sources; null outside a checkout")
    fingerprint: str = Field(description="of its settings")
    tokens: SpreadBody = Field(description="context of a question [tokens]")
    quality: SpreadBody = Field(description="of the measure, 0 to 1")
    efficient: bool = Field(description="whether no other point is as cheap and as good")
    here: bool = Field(description="whether these are this service's settings")


class FrontierBody(_Body):
    """What quality costs, by an evaluation; ordered by tokens."""

    data: str = Field(description="name of the set of questions")
    questions: int = Field(description="how many were asked")
    measure: str = Field(description="what the quality is")
    tokenizer: str | None = Field(description="what counts the tokens; null is unknown")
    points: tuple[MeasuredBody, ...] = Field(description="systems and settings")


def add_frontier(
    app: FastAPI,
    frontier: Frontier | None,
    fingerprint: str,
    documented: Mapping[int | str, dict[str, Any]],
) -> None:
    """Add what was measured; ``fingerprint`` is of the service's settings."""
    body = None if frontier is None else _body(frontier, fingerprint)

    async def measured() -> FrontierBody:
        """Tell how good the answers of some systems and settings are, for how much context."""
        if body is None:
            remedy = "write one with rag-eval frontier, set frontier to its file, start again"
            raise UsageError("no evaluation is shown by this service", "frontier unset", remedy)
        return body

    app.add_api_route(
        "/v1/frontier",
        measured,
        response_model=FrontierBody,
        summary="What does quality cost?",
        responses=dict(documented),
    )


def _body(frontier: Frontier, fingerprint: str) -> FrontierBody:
    return FrontierBody(
        data=frontier.data,
        questions=frontier.questions,
        measure=frontier.measure,
        tokenizer=frontier.tokenizer,
        points=tuple(_point(point, fingerprint) for point in frontier.points),
    )


def _point(point: Measured, fingerprint: str) -> MeasuredBody:
    return MeasuredBody(
        name=point.name,
        record=point.record,
        commit=point.commit,
        fingerprint=point.fingerprint,
        tokens=SpreadBody.model_validate(point.tokens),
        quality=SpreadBody.model_validate(point.quality),
        efficient=point.efficient,
        here=point.fingerprint == fingerprint,
    )
