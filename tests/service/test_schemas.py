from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from pydantic import BaseModel

from rag.errors import ValueRangeError
from rag.generating import Message, Sampling
from rag.results import (
    Answer,
    Citation,
    Context,
    Evidence,
    Impact,
    Receipt,
    Retrieved,
    Saved,
    Short,
    SignedInterval,
    TraceStep,
    Usage,
)
from rag.service.bodies import FilterBody, QueryBody, RetrieveBody, to_question
from rag.service.cache_routes import CacheBody
from rag.service.chat_bodies import ChatBody
from rag.service.chat_schemas import ChatResponse, ChunkBody, ErrorBody, ModelsBody
from rag.service.examples import ANSWER, CONTEXT, QUESTION
from rag.service.schemas import (
    QueryResponse,
    RetrieveResponse,
    query_response,
    retrieve_response,
)
from rag.settings import Settings, load_settings
from rag.types import Chunk, Filter, Interval, Span

TEXT = "It lasts. It works."
CHUNK = Chunk("c", "d", "T", TEXT, 100, 119, 6, (Span(0, 9), Span(10, 19)), ("H",), 3)
CITATION = Citation("d", "T", "It lasts.", 100, 109, 3, ("H",), ("e",))
EVIDENCE = Evidence(chunk=CHUNK, sentence=1, score=0.5, cosine=None, coverage=1.0, source=1)
CONTEXT_VALUE = Context("[1] It works.", 5, 64, (EVIDENCE,))
RECEIPT = Receipt(
    Usage(5, 64, None, None, None, "cl100k_base"),
    Impact(Interval(0.1, 0.2), None, None, Interval(0.01, 0.02), "estimated", None),
    None,
    "off",
    (TraceStep("pack", "1 sentence", 0.001, None),),
    "abc",
    7,
    0.5,
)
ANSWER_VALUE = Answer("It lasts.", (CITATION,), False, None, 0.9, 1.0, (), CONTEXT_VALUE, RECEIPT)


def test_bounds_are_those_of_the_settings() -> None:
    for name in ("budget_tokens", "frugality", "tenant"):
        ours = RetrieveBody.model_fields[name].metadata
        theirs = Settings.model_fields[name].metadata
        assert str(ours) == str(theirs)


def test_examples_are_valid() -> None:
    QueryBody.checked(QUESTION)
    assert QueryResponse.model_validate(ANSWER).answer
    assert RetrieveResponse.model_validate(CONTEXT).evidence


def test_a_saving_is_told_with_where_it_was_measured() -> None:
    less = SignedInterval(-0.1, 0.3)
    saved = Saved(9.5, None, less, None, None, "other", "0a1b", "CPU", same_machine=True)
    answer = replace(ANSWER_VALUE, receipt=replace(RECEIPT, saved=saved))
    body = query_response(QueryBody.checked({"question": "q"}), answer).saved
    assert body is not None
    assert body.model_dump() == asdict(saved)


@pytest.mark.parametrize(
    "body",
    [
        *(QueryBody, QueryResponse, RetrieveBody, RetrieveResponse, CacheBody),
        *(ChatBody, ChatResponse, ChunkBody, ErrorBody, ModelsBody),
    ],
)
def test_every_field_is_described(body: type[BaseModel]) -> None:
    schema = body.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        assert part["description"]
        assert [
            name for name, field in part["properties"].items() if "description" not in field
        ] == []


def test_defaults_come_from_the_settings() -> None:
    settings = load_settings()
    question = to_question(QueryBody.checked({"question": "q"}), settings, 5.0)
    assert question.where == Filter(settings.tenant)
    assert question.budget_tokens == settings.budget_tokens
    assert question.frugality == settings.frugality > 0
    assert question.deadline == 5.0


@pytest.mark.parametrize("frugality", [0, 0.0, 0.25])
def test_a_dial_that_is_named_is_taken_even_if_it_is_0(frugality: float) -> None:
    body = RetrieveBody.checked({"question": "q", "frugality": frugality})
    assert to_question(body, load_settings(), 1.0).frugality == frugality


def test_a_body_that_names_everything_is_taken_over() -> None:
    settings = load_settings()
    where = {"documents": ["a", "b"], "tags": ["t"], "since": "2024", "until": "2024-05-31"}
    fields = {"question": "q", "budget_tokens": 32, "tenant": "x", "filter": where}
    question = to_question(RetrieveBody.checked(fields), settings, 1.0)
    assert question.where == Filter("x", ("a", "b"), ("t",), "2024", "2024-05-31")
    assert question.budget_tokens == 32


def test_the_conversation_and_the_sampling_are_taken_over() -> None:
    settings = load_settings(max_answer_tokens=90, temperature=0.5)
    fields = {
        "question": "q",
        "history": [{"role": "user", "text": "a"}, {"role": "assistant", "text": "b"}],
        "generate": "always",
        "sampling": {"max_tokens": 40, "stop": ["END"]},
    }
    question = to_question(QueryBody.checked(fields), settings, 1.0)
    assert question.history == (Message("user", "a"), Message("assistant", "b"))
    assert question.generate == "always"
    assert question.sampling == Sampling(40, 0.5, stop=("END",))


@pytest.mark.parametrize("sampling", [{}, {"max_tokens": 160}, {"temperature": 0, "top_p": 1}])
def test_what_is_configured_anyway_is_no_sampling_of_its_own(sampling: dict[str, object]) -> None:
    body = QueryBody.checked({"question": "q", "sampling": sampling})
    assert to_question(body, load_settings(), 1.0).sampling is None


@pytest.mark.parametrize("date", ["", "tomorrow", "2024-13-01", "31.05.2024"])
def test_a_date_that_is_none_is_refused(date: str) -> None:
    with pytest.raises(ValueRangeError, match="ISO 8601"):
        FilterBody.checked({"since": date})


def test_a_value_out_of_bounds_names_its_field() -> None:
    with pytest.raises(ValueRangeError, match=r"budget_tokens cannot be used: 15\..*16"):
        QueryBody.checked({"question": "q", "budget_tokens": 15})


def test_an_exact_answer_comes_with_its_place_and_its_probability() -> None:
    short = Short("phrase", "works", (Span(113, 118),), 0.75)
    body = QueryBody.checked({"question": "q"})
    fields = query_response(body, replace(ANSWER_VALUE, short=short)).model_dump(mode="json")
    assert {name: fields[name] for name in fields if name.startswith("short")} == {
        "short": "works",
        "short_form": "phrase",
        "short_spans": [{"start": 113, "end": 118}],
        "short_confidence": 0.75,
    }
    without = query_response(body, ANSWER_VALUE).model_dump(mode="json")
    assert {without[name] for name in ("short", "short_form", "short_confidence")} == {None}
    assert without["short_spans"] == []


def test_the_example_places_its_exact_answer_where_it_stands() -> None:
    answer = QueryResponse.model_validate(ANSWER)
    (span,), cited = answer.short_spans, answer.citations[0]
    assert cited.quote[span.start - cited.start : span.end - cited.start] == answer.short


def test_an_answer_is_given_with_all_it_carries_and_nothing_unasked() -> None:
    response = query_response(QueryBody.checked({"question": "q"}), ANSWER_VALUE)
    fields = response.model_dump(mode="json")
    assert fields["answer"] == "It lasts."
    assert fields["citations"] == [
        {
            "doc_id": "d",
            "title": "T",
            "quote": "It lasts.",
            "start": 100,
            "end": 109,
            "page": 3,
            "headings": ["H"],
            "also_in": ["e"],
        }
    ]
    assert fields["impact"]["joules"] == {"low": 0.1, "high": 0.2}
    assert fields["impact"]["gco2e"] is None
    assert (fields["generation"], fields["fingerprint"], fields["seconds"]) == (7, "abc", 0.5)
    assert fields["trace"] is None
    assert fields["context"] is None


def test_trace_and_context_come_when_asked() -> None:
    body = QueryBody.checked({"question": "q", "trace": True, "include_context": True})
    fields = query_response(body, ANSWER_VALUE).model_dump(mode="json")
    assert fields["context"] == {"text": "[1] It works.", "tokens": 5}
    assert fields["trace"] == [
        {"stage": "pack", "decision": "1 sentence", "seconds": 0.001, "joules": None}
    ]


def test_retrieved_evidence_says_where_each_sentence_stands() -> None:
    found = retrieve_response(
        RetrieveBody.checked({"question": "q"}), Retrieved(CONTEXT_VALUE, RECEIPT)
    )
    [evidence] = found.evidence
    assert (evidence.quote, evidence.start, evidence.end) == ("It works.", 110, 119)
    assert (evidence.source, evidence.score, evidence.page) == (1, 0.5, 3)
    assert found.context.text == "[1] It works."
