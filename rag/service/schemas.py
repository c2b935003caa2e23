"""Bodies of responses, with units; what they say is also the CLI's ``--json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from rag.results import Answer, CacheUse, Citation, Evidence, Receipt, Retrieved, Short
from rag.service.bodies import QueryBody, RetrieveBody
from rag.service.grid_schemas import GridBody
from rag.service.saved_schemas import SavedBody
from rag.verify import cite


class _Response(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, from_attributes=True)


class IntervalBody(_Response):
    """A quantity known to lie between two bounds."""

    low: float = Field(description="lower bound")
    high: float = Field(description="upper bound")


class SpanBody(_Response):
    """A place in a document's text."""

    start: int = Field(description="first character, from 0")
    end: int = Field(description="character after the last")


class CitationBody(_Response):
    """Where a statement comes from."""

    doc_id: str = Field(description="id of the document")
    title: str = Field(description="title of the document")
    quote: str = Field(description="the document's text from start to end, verbatim")
    start: int = Field(description="first character in the document's text, from 0")
    end: int = Field(description="character after the last")
    page: int | None = Field(description="page, from 1; null if the document has none")
    headings: tuple[str, ...] = Field(description="headings it stands under, outermost first")
    also_in: tuple[str, ...] = Field(description="further documents with the same passage")


class EvidenceBody(CitationBody):
    """One packed sentence."""

    source: int = Field(description="number of its line in the context, from 1")
    score: float = Field(description="how much it promised; higher is better")


class ContextBody(_Response):
    """The packed context, as a generator would read it."""

    text: str = Field(description="the context")
    tokens: int = Field(description="its size in the configured tokenizer [tokens]")


class UsageBody(_Response):
    """Token counts in the configured tokenizer; null where no generator was called."""

    context_tokens: int = Field(description="packed context [tokens]")
    budget_tokens: int = Field(description="what it was allowed to be [tokens]")
    prompt_tokens: int | None = Field(description="sent to the generator [tokens]")
    cached_tokens: int | None = Field(description="of those, read from its cache [tokens]")
    completion_tokens: int | None = Field(description="written by the generator [tokens]")
    tokenizer: str = Field(description="what counted the context")
    reported: bool | None = Field(
        description="whether the provider counted the other tokens, or we; null if there are none"
    )


class ImpactBody(_Response):
    """What the request cost; null is unknown, never zero."""

    joules: IntervalBody | None = Field(description="energy [J]")
    gco2e: IntervalBody | None = Field(description="of operation, by location [g CO2e]")
    litres: IntervalBody | None = Field(description="water [L]")
    cpu_seconds: IntervalBody | None = Field(description="processor time [s]")
    basis: Literal["measured", "estimated"] = Field(description="how the energy is known")
    region: str | None = Field(description="where it was spent")
    grid: GridBody | None = Field(description="the carbon intensity in gco2e, and who says so")
    embodied_gco2e: IntervalBody | None = Field(description="of making the machine [g CO2e]")
    market_gco2e: IntervalBody | None = Field(description="of operation, by contract [g CO2e]")


class TraceBody(_Response):
    """One stage of the way a question took."""

    stage: str = Field(description="name of the stage")
    decision: str = Field(description="what was decided, and why")
    seconds: float = Field(description="wall time [s]")
    joules: IntervalBody | None = Field(description="energy [J]")


class ReceiptBody(_Response):
    """What every result carries."""

    usage: UsageBody = Field(description="token counts")
    impact: ImpactBody = Field(description="what the request cost")
    saved: SavedBody | None = Field(description="against the measured baseline; null if none is")
    cache: CacheUse = Field(
        description="what the cache did; shared: the same question was just being answered"
    )
    trace: tuple[TraceBody, ...] | None = Field(description="stages in order; null unless asked")
    fingerprint: str = Field(description="identity of the settings that shape an answer")
    generation: int | None = Field(description="which published state of the documents was asked")
    seconds: float = Field(description="wall time in the pipeline [s]")
    model: str | None = Field(description="the model that was called last; null if none was")


class AnswerBody(_Response):
    """An answer with its sources, or an abstention with its reason."""

    answer: str | None = Field(description="the answer; null exactly when abstained")
    abstained: bool = Field(description="whether the documents do not answer it well enough")
    reason: str | None = Field(description="why it abstained; null when answered")
    confidence: float = Field(description="probability that the cited sentence answers it, 0 to 1")
    short: str | None = Field(
        description="the exact answer: a phrase of the cited sentence, yes or no, or a list's "
        "items; null where none is likely enough"
    )
    short_form: Literal["phrase", "verdict", "list"] | None = Field(
        description="what kind of exact answer it is; null without one"
    )
    short_spans: tuple[SpanBody, ...] = Field(
        description="where it stands in the document's text; of a verdict, what it rests on"
    )
    short_confidence: float | None = Field(
        description="probability that it is right, 0 to 1; null without one"
    )
    groundedness: float | None = Field(
        description="share of the answer that its citations support, 0 to 1; null when abstained"
    )
    citations: tuple[CitationBody, ...] = Field(description="what the answer rests on, best first")
    nearest: tuple[CitationBody, ...] = Field(description="nearest sources of an abstention")
    context: ContextBody | None = Field(description="the packed context; null unless asked")


class FoundBody(_Response):
    """The context for a question."""

    context: ContextBody = Field(description="the packed context")
    evidence: tuple[EvidenceBody, ...] = Field(description="its sentences, in its order")


class QueryResponse(ReceiptBody, AnswerBody):
    """An answer, or an abstention, and what it cost."""


class RetrieveResponse(ReceiptBody, FoundBody):
    """The context for a question, and what it cost."""


class HealthBody(_Response):
    """Whether the process is up."""

    status: Literal["ok"] = Field(default="ok", description="always ok")


class ReadyBody(_Response):
    """What can be asked."""

    status: Literal["ready"] = Field(default="ready", description="always ready")
    fingerprint: str = Field(description="identity of the settings that shape an answer")


class ProblemBody(_Response):
    """A problem as in RFC 9457, with the field, its value and the remedy."""

    type: str = Field(description="identifies the kind of problem")
    title: str = Field(description="the kind of problem, in words")
    status: int = Field(description="HTTP status")
    detail: str = Field(description="what happened this time")
    field: str | None = Field(description="path of the field at fault, such as filter.since")
    value: str | None = Field(description="what stood there, shortened")
    remedy: str = Field(description="what to do")
    id: str | None = Field(description="name of this occurrence in the service's log")


def query_response(body: QueryBody, answer: Answer) -> QueryResponse:
    """Return the response body for an answer, with what the request asked for."""
    return QueryResponse(
        answer=answer.text,
        abstained=answer.abstained,
        reason=answer.reason,
        confidence=answer.confidence,
        **_short(answer.short),
        groundedness=answer.groundedness,
        citations=_citations(answer.citations),
        nearest=_citations(answer.nearest),
        context=ContextBody.model_validate(answer.context) if body.include_context else None,
        **_receipt(body, answer.receipt),
    )


def _short(short: Short | None) -> dict[str, Any]:
    if short is None:
        return {"short": None, "short_form": None, "short_spans": (), "short_confidence": None}
    return {
        "short": short.text,
        "short_form": short.form,
        "short_spans": tuple(SpanBody.model_validate(span) for span in short.spans),
        "short_confidence": short.confidence,
    }


def retrieve_response(body: RetrieveBody, found: Retrieved) -> RetrieveResponse:
    """Return the response body for a context."""
    return RetrieveResponse(
        context=ContextBody.model_validate(found.context),
        evidence=tuple(_evidence(item) for item in found.context.evidence),
        **_receipt(body, found.receipt),
    )


def _citations(citations: tuple[Citation, ...]) -> tuple[CitationBody, ...]:
    return tuple(CitationBody.model_validate(citation) for citation in citations)


def _evidence(item: Evidence) -> EvidenceBody:
    return EvidenceBody(**asdict(cite(item)), source=item.source, score=item.score)


def _receipt(body: RetrieveBody, receipt: Receipt) -> dict[str, Any]:
    fields = {name: getattr(receipt, name) for name in ReceiptBody.model_fields}
    if not body.trace:
        fields["trace"] = None
    return fields
