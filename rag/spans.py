"""What was done as spans: a request, in it the answer, in that its stages.

They are made from the receipt, after the answer: the pipeline does nothing for them. A receipt
knows how long its stages took, not when each began, so they are laid end to end from the answer's
beginning. Stages' decisions are left out, as they may quote words of a question or a document.

Source: OpenTelemetry semantic conventions for generative AI, 0.1.0 (2026; in development), spans
``gen_ai.invoke_agent.internal`` of a workflow, ``gen_ai.retrieval.client`` and
``gen_ai.inference.client``. What they have no name for is ``frugal_rag.*``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from rag.results import Receipt, TraceStep
from rag.tracing import Answered, Done, Value
from rag.types import Interval

Kind: TypeAlias = Literal["server", "client", "internal"]
NAME: Final = "frugal-rag"
_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """One span; identifiers in hex digits, times in nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent: str | None
    name: str
    kind: Kind
    started: int
    ended: int
    attributes: Mapping[str, Value]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What the spans of a collection's answers say beside the receipt.

    Attributes:
        collection: Its name.
        providers: By the name of a model, who provides it, in the conventions' words.
    """

    collection: str
    providers: Mapping[str, str] = field(default_factory=dict)


def spans_of(done: Done, source: Source) -> Iterator[Span]:
    """Yield the spans of something that was done, each after the one it stands in."""
    trace = done.trace
    yield Span(
        trace.trace_id,
        trace.span_id,
        trace.parent,
        done.name,
        done.kind,
        done.started,
        done.ended,
        done.attributes,
        done.error,
    )
    for answered in trace.answers:
        yield from _answer_spans(done, answered, source)


def _answer_spans(done: Done, answered: Answered, source: Source) -> Iterator[Span]:
    receipt = answered.receipt
    # The wall clock may be set meanwhile: a span never leaves the one that it stands in.
    ended = min(max(done.started, answered.ended), done.ended)
    started = max(done.started, ended - round(receipt.seconds * _NANOSECONDS))
    whole = Span(
        done.trace.trace_id,
        _identifier(),
        done.trace.span_id,
        f"invoke_workflow {NAME}",
        "internal",
        started,
        ended,
        _answer_attributes(answered, source),
    )
    yield whole
    now = started
    for step in receipt.trace:
        begun, now = now, min(now + round(step.seconds * _NANOSECONDS), ended)
        yield _stage_span(whole, step, (begun, now), _naming(step, receipt, source))


def _stage_span(
    whole: Span, step: TraceStep, times: tuple[int, int], naming: tuple[str, Kind, dict[str, Value]]
) -> Span:
    name, kind, attributes = naming
    own = {"frugal_rag.stage": step.stage, **dict(_bounds("joules", step.joules)), **attributes}
    return Span(whole.trace_id, _identifier(), whole.span_id, name, kind, *times, own)


def _naming(
    step: TraceStep, receipt: Receipt, source: Source
) -> tuple[str, Kind, dict[str, Value]]:
    """Return the name and kind of a stage's span, and what the conventions want on it."""
    if step.stage == "retrieve":
        about: dict[str, Value] = {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": source.collection,
        }
        return f"retrieval {source.collection}", "client", about
    model = receipt.model
    if step.stage != "generate" or model is None:
        return step.stage, "internal", {}
    about = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": source.providers.get(model, "unknown"),
        "gen_ai.request.model": model,
    }
    calls = sum(each.stage == "generate" for each in receipt.trace)
    asked_before = sum(each.stage == "condense" for each in receipt.trace) > 1
    if calls == 1 and not asked_before:  # else the tokens are those of several calls together
        about |= dict(_tokens(receipt))
    return f"chat {model}", "client", about


def _answer_attributes(answered: Answered, source: Source) -> Mapping[str, Value]:
    receipt = answered.receipt
    usage, impact = receipt.usage, receipt.impact
    known: dict[str, Value | None] = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.agent.name": NAME,
        "gen_ai.data_source.id": source.collection,
        "gen_ai.request.model": receipt.model,
        "frugal_rag.kind": answered.kind,
        "frugal_rag.tenant": answered.tenant,
        "frugal_rag.context.tokens": usage.context_tokens,
        "frugal_rag.context.budget_tokens": usage.budget_tokens,
        "frugal_rag.cache": receipt.cache,
        "frugal_rag.generation": receipt.generation,
        "frugal_rag.fingerprint": receipt.fingerprint,
        "frugal_rag.impact.basis": impact.basis,
        "frugal_rag.impact.region": impact.region,
    }
    amounts = {name: getattr(impact, name) for name in ("joules", "gco2e", "litres")}
    return {
        **{name: value for name, value in known.items() if value is not None},
        **dict(_tokens(receipt)),
        **{name: value for which, each in amounts.items() for name, value in _bounds(which, each)},
    }


def _tokens(receipt: Receipt) -> Iterator[tuple[str, Value]]:
    """Yield the tokens of the models that were asked, where any was."""
    usage = receipt.usage
    for name, count in (
        ("input_tokens", usage.prompt_tokens),
        ("cache_read.input_tokens", usage.cached_tokens),
        ("output_tokens", usage.completion_tokens),
    ):
        if count is not None:
            yield f"gen_ai.usage.{name}", count


def _bounds(quantity: str, interval: Interval | None) -> Iterator[tuple[str, Value]]:
    """Yield both bounds of a quantity; nothing where it is unknown."""
    if interval is not None:
        yield f"frugal_rag.{quantity}.low", interval.low
        yield f"frugal_rag.{quantity}.high", interval.high


def _identifier() -> str:
    return os.urandom(8).hex()
