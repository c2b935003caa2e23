"""The cache over HTTP: what it holds and saved, and forgetting on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rag import access
from rag.audit import AuditLog
from rag.cache.answer_cache import AnswerCache
from rag.cache.purge import Purge
from rag.errors import RagError, UsageError, ValueRangeError
from rag.service.metrics import Gauged, Metrics
from rag.settings import Settings

_PATH = "/v1/cache"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class ShadowBody(_Body):
    """How often hits in other words were false, told by answering some of them anew."""

    checked: int = Field(description="hits that were answered anew, with an answer to compare")
    false: int = Field(description="of those, hits whose answer was another")
    undecided: int = Field(description="hits that were answered anew without an answer")
    low: float | None = Field(description="share of false hits, lower 95 % bound; null if unknown")
    high: float | None = Field(description="upper 95 % bound; null if unknown")
    surely: float | None = Field(description="one-sided lower 95 % bound, which the limit is for")
    on: bool = Field(description="whether the semantic level has not switched itself off")


class CacheBody(_Body):
    """What the cache holds, and what its hits saved since it was emptied."""

    entries: int = Field(description="answers kept, of all tenants")
    bytes: int = Field(description="their size [bytes]")
    exact_hits: int = Field(description="answers given again to the same question")
    semantic_hits: int = Field(description="answers given again to other words for it")
    joules_saved: float = Field(description="what they had taken, less what giving them took [J]")
    tokens_saved: int = Field(description="tokens that generators were spared [tokens]")
    shadow: ShadowBody = Field(description="the check on hits in other words")


class PurgeQuery(BaseModel):
    """What is to be forgotten: one question, what a document had a part in, or all of a tenant."""

    # Without it a misspelt name would be ignored, and all of a tenant deleted instead.
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="whose; default: the service's",
    )
    question: str | None = Field(
        default=None, min_length=1, max_length=20_000, description="a question, in whatever words"
    )
    document: str | None = Field(
        default=None, min_length=1, max_length=512, description="a document's id"
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if self.question is not None and self.document is not None:
            what = "a question and a document are named"
            raise ValueRangeError(what, "both", "name one of them")
        return self


class PurgedBody(_Body):
    """What was forgotten."""

    purged: int | None = Field(
        description="answers that were deleted; null for a key that may not read all documents, "
        "as the number would tell of what others asked"
    )


@dataclass(frozen=True, slots=True)
class CacheParts:
    """The cache, if there is one, and where it is noted who looked at it or purged it."""

    cache: AnswerCache | None
    audit: AuditLog

    def there(self) -> AnswerCache:
        """Return the cache.

        Raises:
            UsageError: This service keeps none.
        """
        if self.cache is None:
            remedy = 'set cache to "exact" or "semantic", and start again'
            raise UsageError("this service keeps no cache", 'cache = "off"', remedy)
        return self.cache


def add_cache(
    app: FastAPI,
    parts: CacheParts,
    settings: Settings,
    documented: Mapping[int | str, dict[str, Any]],
) -> None:
    """Add reading and purging of a cache; ``documented`` are their problems."""
    responses = dict(documented)
    app.add_api_route(_PATH, _state(parts), summary="What is kept?", responses=responses)
    purge = _purge(parts, settings.tenant)
    summary = "Forget answers"
    app.add_api_route(_PATH, purge, methods=["DELETE"], summary=summary, responses=responses)


def watch_cache(metrics: Metrics, cache: AnswerCache | None) -> None:
    """Add what the cache holds and how often it erred, as gauges."""
    if cache is not None:
        metrics.gauge(lambda: _gauges(cache))


def _gauges(cache: AnswerCache) -> Iterator[Gauged]:
    state = cache.state()
    if state is None:
        return
    shadow = state.shadow
    numbers = {
        "entries": ("Answers kept", state.entries),
        "bytes": ("Size of the answers kept [bytes]", state.bytes),
        "joules_saved": ("What hits had taken, less what giving them took [J]", state.joules_saved),
        "tokens_saved": ("Tokens that hits spared generators", state.tokens_saved),
        "semantic_on": ("0 once the semantic level has switched itself off", float(shadow.on)),
        "shadow_checked": ("Semantic hits answered anew, and compared", shadow.checked),
        "shadow_false": ("Of those, hits with another answer", shadow.false),
    }
    for name, (text, number) in numbers.items():
        yield Gauged(f"cache_{name}", text, {"": number})
    bounds = {"low": shadow.low, "high": shadow.high, "surely": shadow.surely}
    share = {bound: each for bound, each in bounds.items() if each is not None}
    text = "Share of false semantic hits, 95 % bounds; surely: the one-sided one with a limit"
    yield Gauged("cache_false_share", text, share, "bound")


def _state(parts: CacheParts) -> Callable[[], CacheBody]:
    def state() -> CacheBody:
        """Tell what the cache holds and what it saved."""
        found = parts.there().state()
        if found is None:
            raise RagError("the cache cannot be read", "its file", "see the log for the reason")
        parts.audit.note("cache", None)
        return CacheBody.model_validate(found)

    return state


def _purge(parts: CacheParts, usual_tenant: str) -> Callable[..., PurgedBody]:
    def purge(what: Annotated[PurgeQuery, Query()]) -> PurgedBody:
        """Forget a tenant's answers: to a question, from a document, or all."""
        forget, whose = parts.there().purge, access.tenant_of(what.tenant, usual_tenant)
        parts.audit.note("purge", whose, () if what.document is None else (what.document,))
        count = _purged(forget, whose, what)
        return PurgedBody(purged=count if access.caller().labels is None else None)

    return purge


def _purged(forget: Purge, tenant: str, what: PurgeQuery) -> int:
    if what.question is not None:
        return forget.question(tenant, what.question)
    if what.document is not None:
        return forget.document(tenant, what.document)
    return forget.tenant(tenant)
