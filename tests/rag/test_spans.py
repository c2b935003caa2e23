from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.results import Impact, Receipt, Stage, TraceStep, Usage
from rag.spans import Source, Span, spans_of
from rag.tracing import Answered, Done, Trace
from rag.types import Interval

QUESTION = "what does the Smith contract say"
SECOND = 1_000_000_000
RECEIPT = Receipt(
    usage=Usage(120, 512, None, None, None, "cl100k_base"),
    impact=Impact(Interval(0.5, 2.0), Interval(1e-5, 4e-5), None, None, "estimated", "DE"),
    saved=None,
    cache="miss",
    trace=(
        TraceStep("guard", "admitted", 0.001, Interval(0.0, 0.1)),
        TraceStep("retrieve", f"spelled {QUESTION}", 0.25, None),
        TraceStep("pack", QUESTION, 0.5, None),
    ),
    fingerprint="94b68bb1c89a",
    generation=7,
    seconds=0.8,
)
WRITTEN = replace(
    RECEIPT,
    usage=Usage(120, 512, 400, 100, 30, "cl100k_base", reported=True),
    trace=(*RECEIPT.trace, TraceStep("generate", QUESTION, 0.04, None)),
    model="gpt-4o-mini",
)


def done(*receipts: Receipt, started: int = 10 * SECOND) -> Done:
    ended = started + SECOND
    answers = [Answered("acme", "answer", each, ended) for each in receipts]
    trace = Trace("a" * 32, "b" * 16, "c" * 16, answers=answers)
    return Done(trace, "POST /v1/query", "server", started, ended, {"http.request.method": "POST"})


def spans(*receipts: Receipt) -> list[Span]:
    source = Source("handbook", {"gpt-4o-mini": "openai"})
    return list(spans_of(done(*receipts), source))


def test_a_request_without_a_result_is_one_span() -> None:
    (root,) = spans()
    assert (root.trace_id, root.span_id, root.parent) == ("a" * 32, "b" * 16, "c" * 16)
    assert (root.name, root.kind) == ("POST /v1/query", "server")


def test_stages_stand_in_the_answer_and_that_in_the_request() -> None:
    root, answer, *stages = spans(RECEIPT)
    assert answer.parent == root.span_id
    assert {stage.parent for stage in stages} == {answer.span_id}
    assert {span.trace_id for span in (root, answer, *stages)} == {"a" * 32}
    assert [span.name for span in stages] == ["guard", "retrieval handbook", "pack"]
    assert [span.kind for span in stages] == ["internal", "client", "internal"]
    seconds = [(span.ended - span.started) / SECOND for span in (answer, *stages)]
    assert seconds == pytest.approx([0.8, 0.001, 0.25, 0.5])


def test_an_answer_says_what_it_cost() -> None:
    about = spans(RECEIPT)[1].attributes
    assert about["gen_ai.operation.name"] == "invoke_workflow"
    assert about["frugal_rag.tenant"] == "acme"
    assert about["frugal_rag.context.tokens"] == 120
    assert (about["frugal_rag.joules.low"], about["frugal_rag.joules.high"]) == (0.5, 2.0)
    assert about["frugal_rag.gco2e.high"] == 4e-5
    assert about["frugal_rag.generation"] == 7
    assert about["frugal_rag.fingerprint"] == "94b68bb1c89a"
    assert about["frugal_rag.cache"] == "miss"


def test_unknown_quantities_are_left_out_and_never_zero() -> None:
    about = spans(RECEIPT)[1].attributes
    assert not any("litres" in name or "usage" in name for name in about)
    assert "gen_ai.request.model" not in about


def test_a_model_that_was_asked_is_a_chat_with_its_tokens() -> None:
    chat = spans(WRITTEN)[-1]
    assert (chat.name, chat.kind) == ("chat gpt-4o-mini", "client")
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": 400,
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.output_tokens": 30,
    }
    assert {name: chat.attributes[name] for name in expected} == expected


def test_tokens_of_several_calls_stand_on_the_answer_only() -> None:
    twice = replace(WRITTEN, trace=(*WRITTEN.trace, TraceStep("generate", "again", 0.01, None)))
    spanned = spans(twice)
    assert spanned[1].attributes["gen_ai.usage.input_tokens"] == 400
    assert [s.name for s in spanned[-2:]] == ["chat gpt-4o-mini"] * 2
    assert not any("usage" in name for s in spanned[-2:] for name in s.attributes)


def test_no_text_is_in_a_span() -> None:
    assert QUESTION not in repr(spans(WRITTEN))


_STAGES = st.lists(st.tuples(st.sampled_from(Stage.__args__), st.floats(0, 5)), max_size=12)


@given(_STAGES, st.floats(0, 5))
def test_a_span_never_leaves_the_one_that_it_stands_in(
    steps: list[tuple[Stage, float]], seconds: float
) -> None:
    trace = tuple(TraceStep(stage, "", each, None) for stage, each in steps)
    spanned = spans(replace(RECEIPT, trace=trace, seconds=seconds))
    outer = {span.span_id: span for span in spanned}
    assert len(outer) == len(spanned) == len(steps) + 2
    for span in spanned:
        assert span.started <= span.ended
        around = outer.get(span.parent or "")
        if around is not None:
            assert around.started <= span.started
            assert span.ended <= around.ended


def test_an_answer_of_a_clock_that_was_set_back_still_lies_within() -> None:
    early = Answered("acme", "answer", RECEIPT, 9 * SECOND)
    whole = replace(done(), trace=Trace("a" * 32, "b" * 16, answers=[early]))
    for span in spans_of(whole, Source("handbook")):
        assert whole.started <= span.started <= span.ended <= whole.ended
