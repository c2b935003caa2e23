from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rag import bm25
from rag.adapters.memory_index import MemoryIndex
from rag.build import build_analyzer, build_pipeline, build_splitter
from rag.errors import (
    ConflictError,
    IndexStateError,
    NotFoundError,
    RagError,
    StorageFullError,
)
from rag.generating import Listener
from rag.keyring import Keyring, keys_path
from rag.listening import NOBODY
from rag.results import Answer, Question, Retrieved
from rag.service.app import create_app
from rag.service.chat_schemas import ErrorBody
from rag.service.schemas import ProblemBody, QueryResponse, RetrieveResponse
from rag.service.served import Served
from rag.settings import Settings, load_settings
from rag.types import Chunk, Point

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]

TEXTS = {
    "pump": "The pump is covered for 24 months from delivery. It weighs 12 kg.",
    "tax": "Invoices are paid within 30 days of receipt.",
}
QUESTION = "How long is the pump covered?"


def filled_index(settings: Settings) -> MemoryIndex:
    analyzer, splitter, index = build_analyzer(), build_splitter(), MemoryIndex()
    for doc_id, text in TEXTS.items():
        chunk = Chunk(doc_id, doc_id, doc_id, text, 0, len(text), 12, splitter.split(text))
        sparse = bm25.document_vector(analyzer.terms(text), 8.0)
        index.upsert([Point(settings.tenant, chunk, sparse, None)])
    return index


@dataclass
class Answering:
    """The real pipeline, with a hook before each question."""

    inner: Any
    before: Callable[[Question], object] = lambda _: None
    asked: list[str] = field(default_factory=list)

    def retrieve(self, question: Question) -> Retrieved:
        self.before(question)
        found: Retrieved = self.inner.retrieve(question)
        return found

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        self.asked.append(question.text)
        self.before(question)
        answer: Answer = self.inner.answer(question, listener)
        return answer


@dataclass
class Service:
    client: httpx.Client
    answering: Answering
    settings: Settings
    problem: RagError | None = None

    def query(self, **fields: object) -> httpx.Response:
        return self.client.post("/v1/query", json={"question": QUESTION} | fields)


def running(settings: Settings, serving: Serving) -> Iterator[Service]:
    answering = Answering(build_pipeline(settings, filled_index(settings), lambda: 7))
    service: Service
    app = create_app(
        settings,
        Served(
            answering=answering, ready=lambda: service.problem, keyring=Keyring(keys_path(settings))
        ),
    )
    with serving(app) as client:
        service = Service(client, answering, settings)
        yield service


@pytest.fixture(scope="module")
def shared(serving: Serving) -> Iterator[Service]:
    settings = load_settings(tier="lexical", answer_threshold=0.2, max_question_chars=500)
    yield from running(settings, serving)


@pytest.fixture
def service(serving: Serving) -> Iterator[Service]:
    settings = load_settings(
        tier="lexical", answer_threshold=0.2, concurrent_questions=1, deadline_seconds=1.5
    )
    yield from running(settings, serving)


def problem_of(response: httpx.Response, status: int) -> ProblemBody:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = ProblemBody.model_validate_json(response.content)
    assert body.status == status
    assert body.remedy
    return body


# What a client gets


def test_an_answer_carries_its_sources_and_its_receipt(shared: Service) -> None:
    response = shared.query()
    assert response.status_code == 200
    body = QueryResponse.model_validate_json(response.content)
    assert body.answer == "The pump is covered for 24 months from delivery."
    [citation] = body.citations
    assert TEXTS[citation.doc_id][citation.start : citation.end] == citation.quote
    assert 0 < body.usage.context_tokens <= body.usage.budget_tokens == 256
    assert body.impact.joules
    assert body.impact.gco2e is None
    assert (body.generation, body.fingerprint) == (7, shared.settings.fingerprint())
    assert (body.trace, body.context) == (None, None)


def test_trace_and_context_come_when_asked(shared: Service) -> None:
    body = QueryResponse.model_validate_json(shared.query(trace=True, include_context=True).content)
    assert body.trace
    assert {"retrieve", "pack", "answer"} <= {step.stage for step in body.trace}
    assert body.context
    assert "24 months" in body.context.text
    assert body.context.tokens == body.usage.context_tokens


def test_an_abstention_is_a_result(shared: Service) -> None:
    response = shared.query(question="Who is the queen of zanzibar?")
    body = QueryResponse.model_validate_json(response.content)
    assert body.abstained
    assert body.answer is None
    assert body.reason


def test_a_filter_and_a_tenant_bound_what_is_looked_at(shared: Service) -> None:
    for fields in ({"filter": {"documents": ["tax"]}}, {"tenant": "somebody-else"}):
        body = shared.query(**fields).json()
        assert [c for c in body["citations"] + body["nearest"] if c["doc_id"] == "pump"] == []
    body = shared.query(filter={"documents": ["pump"]}).json()
    assert body["citations"][0]["doc_id"] == "pump"


def test_retrieve_gives_the_context_only(shared: Service) -> None:
    response = shared.client.post("/v1/retrieve", json={"question": QUESTION, "budget_tokens": 32})
    body = RetrieveResponse.model_validate_json(response.content)
    assert "24 months" in body.context.text
    assert body.context.tokens <= 32
    assert {item.doc_id for item in body.evidence} <= set(TEXTS)


def test_the_dial_spends_fewer_tokens_and_the_trace_says_so(shared: Service) -> None:
    def packed(frugality: float) -> tuple[int, str]:
        body = shared.query(frugality=frugality, trace=True).json()
        decisions = {step["stage"]: step["decision"] for step in body["trace"]}
        return body["usage"]["context_tokens"], decisions["pack"]

    (every, filled), (few, stopped) = packed(0), packed(0.5)
    assert few < every
    assert not filled.endswith("the next one does not pay")
    assert stopped.endswith(f" {few} tokens: the next one does not pay")


def test_health_and_readiness(shared: Service) -> None:
    assert shared.client.get("/healthz").json() == {"status": "ok"}
    ready = shared.client.get("/readyz")
    assert ready.json() == {"status": "ready", "fingerprint": shared.settings.fingerprint()}


def test_not_ready_says_why_while_the_process_is_healthy(service: Service) -> None:
    service.problem = IndexStateError("no documents yet", "x", "run rag-ingest sync PATH")
    response = service.client.get("/readyz")
    problem = problem_of(response, 503)
    assert (problem.detail, problem.remedy) == ("no documents yet", "run rag-ingest sync PATH")
    assert response.headers["retry-after"]
    assert service.client.get("/healthz").status_code == 200


def test_the_interface_is_described_with_examples(shared: Service) -> None:
    description = shared.client.get("/openapi.json").json()
    questions = {"/v1/query", "/v1/retrieve"}
    reading = {"/v1/impact", "/v1/frontier", "/metrics", "/v1/cache"}
    chat = {"/v1/chat/completions", "/v1/models", "/v1/models/{model}"}
    assert set(description["paths"]) == questions | reading | chat | {"/healthz", "/readyz"}
    query = description["paths"]["/v1/query"]["post"]
    assert query["responses"]["200"]["content"]["text/event-stream"]["example"]
    completions = description["paths"]["/v1/chat/completions"]["post"]
    assert set(completions["responses"]["200"]["content"]) == {
        "application/json",
        "text/event-stream",
    }
    assert {"400", "404", "429", "503", "504"} <= set(completions["responses"])
    assert set(description["paths"]["/v1/cache"]) == {"get", "delete"}
    assert query["responses"]["200"]["content"]["application/json"]["example"]["answer"]
    elsewhere = {NotFoundError, ConflictError, StorageFullError}  # of documents and jobs
    stated = [error.http_status for error in _errors(RagError) if error not in elsewhere]
    for path in ("/v1/query", "/v1/retrieve"):
        responses = description["paths"][path]["post"]["responses"]
        for status in map(str, {400, 408, *stated}):
            assert "application/problem+json" in responses[status]["content"]
    assert description["components"]["schemas"]["QueryBody"]["examples"]


def _errors(error: type[RagError]) -> Iterator[type[RagError]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__ == RagError.__module__:
            yield from _errors(child)


# What a client is told when it is wrong


@pytest.mark.parametrize(
    ("fields", "at", "value"),
    [
        ({"question": 5}, "question", "5"),
        ({"question": None}, "question", "null"),
        ({"budget_tokens": 15}, "budget_tokens", "15"),
        ({"budget_tokens": "256"}, "budget_tokens", '"256"'),
        ({"budget_tokens": True}, "budget_tokens", "true"),
        ({"budget_tokens": 40000}, "budget_tokens", "40000"),
        ({"frugality": -0.1}, "frugality", "-0.1"),
        ({"frugality": 0.6}, "frugality", "0.6"),
        ({"frugality": "0.1"}, "frugality", '"0.1"'),
        ({"frugality": True}, "frugality", "true"),
        ({"top_k": 5}, "top_k", "5"),
        ({"filter": {"documents": "a"}}, "filter.documents", '"a"'),
        ({"filter": {"tags": ["a", 7]}}, "filter.tags.1", "7"),
        ({"filter": {"since": "soon"}}, "filter.since", '"soon"'),
        ({"filter": {"author": "x"}}, "filter.author", '"x"'),
        ({"tenant": "../x"}, "tenant", '"../x"'),
        ({"trace": "yes"}, "trace", '"yes"'),
        ({"question": "\ud800"}, "question", '"\\ud800"'),
        ({"question": ""}, "question", '""'),
        ({"history": "before"}, "history", '"before"'),
        ({"history": [{"role": "system", "text": "x"}]}, "history.0.role", '"system"'),
        ({"history": [{"role": "user", "text": ""}]}, "history.0.text", '""'),
        ({"history": [{"role": "user"}]}, "history.0.text", None),
        ({"history": [{"role": "user", "text": "x"}] * 201}, "history", ...),
        ({"generate": "sometimes"}, "generate", '"sometimes"'),
        ({"stream": 1}, "stream", "1"),
        ({"sampling": {"temperature": 2.1}}, "sampling.temperature", "2.1"),
        ({"sampling": {"temperature": float("nan")}}, "sampling.temperature", "NaN"),
        ({"sampling": {"top_p": -0.1}}, "sampling.top_p", "-0.1"),
        ({"sampling": {"frequency_penalty": 3}}, "sampling.frequency_penalty", "3"),
        ({"sampling": {"presence_penalty": "0"}}, "sampling.presence_penalty", '"0"'),
        ({"sampling": {"max_tokens": 0}}, "sampling.max_tokens", "0"),
        ({"sampling": {"max_tokens": 161}}, "sampling.max_tokens", "161"),
        ({"sampling": {"stop": ["a"] * 5}}, "sampling.stop", ...),
        ({"sampling": {"stop": [""]}}, "sampling.stop.0", '""'),
        ({"sampling": {"seed": 7}}, "sampling.seed", "7"),
    ],
)
def test_a_wrong_field_is_named_with_its_value(
    shared: Service, fields: dict[str, object], at: str, value: object
) -> None:
    content = json.dumps({"question": QUESTION} | fields)
    response = shared.client.post(
        "/v1/query", content=content, headers={"content-type": "application/json"}
    )
    problem = problem_of(response, 422)
    assert problem.field == at
    assert value in (..., problem.value)


def test_a_missing_question_is_named(shared: Service) -> None:
    problem = problem_of(shared.client.post("/v1/query", json={}), 422)
    assert (problem.field, problem.value, problem.remedy) == ("question", None, "add the field")


def test_long_values_are_shortened(shared: Service) -> None:
    problem = problem_of(shared.query(tenant="x" * 5000), 422)
    assert problem.value is not None
    assert len(problem.value) == 120


def test_a_question_over_the_limit_is_refused(shared: Service) -> None:
    problem = problem_of(shared.query(question="x" * 501), 413)
    assert problem.type.endswith(":question-too-long")
    assert "500" in problem.remedy


def test_a_blank_question_is_refused(shared: Service) -> None:
    problem_of(shared.query(question=" \n "), 400)


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b"\xff\xfe", b'{"question": "x"', b"[" * 30_000, b"1" * 5000, b"{'a': 1}"],
)
def test_malformed_json_is_refused(shared: Service, content: bytes) -> None:
    response = shared.client.post(
        "/v1/query", content=content, headers={"content-type": "application/json"}
    )
    problem_of(response, 422 if content == b"" else 400)


@pytest.mark.parametrize("content", [b"null", b"[]", b"3", b'"x"', b"NaN"])
def test_json_that_is_no_object_is_refused(shared: Service, content: bytes) -> None:
    response = shared.client.post(
        "/v1/query", content=content, headers={"content-type": "application/json"}
    )
    problem_of(response, 422)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_media_type_is_refused(shared: Service, media_type: str) -> None:
    content = json.dumps({"question": QUESTION})
    response = shared.client.post(
        "/v1/query", content=content, headers={"content-type": media_type}
    )
    problem = problem_of(response, 415)
    assert problem.field == "Content-Type"


def test_unknown_paths_and_methods_are_problems(shared: Service) -> None:
    assert problem_of(shared.client.get("/v2/query"), 404).value == "/v2/query"
    response = shared.client.get("/v1/query")
    assert problem_of(response, 405).remedy == "use POST"
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_refused_before_it_is_parsed(
    shared: Service, declared: bool
) -> None:
    content = json.dumps({"question": "x" * 70_000}).encode()
    pieces = (content[i : i + 1000] for i in range(0, len(content), 1000))
    response = shared.client.post(
        "/v1/query",
        content=content if declared else pieces,
        headers={"content-type": "application/json"},
    )
    assert problem_of(response, 413).type.endswith(":body-too-large")


# What happens under load and when something breaks


def test_a_fault_of_ours_has_an_id_that_the_log_has_too(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Question) -> None:
        raise ZeroDivisionError("with the text of a document")

    service.answering.before = fail
    problem = problem_of(service.query(), 500)
    assert problem.id
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.__dict__["fields"]["id"] == problem.id
    assert "ZeroDivisionError" not in problem.model_dump_json()
    service.answering.before = lambda _: None
    assert service.query().status_code == 200


def test_an_error_of_ours_keeps_its_status(service: Service) -> None:
    def fail(_: Question) -> None:
        raise IndexStateError("no documents yet", "x", "run rag-ingest sync PATH")

    service.answering.before = fail
    assert problem_of(service.query(), 503).remedy == "run rag-ingest sync PATH"


def test_waiting_counts_against_the_deadline(service: Service) -> None:
    service.answering.before = lambda _: time.sleep(1.0)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(service.query)
        time.sleep(0.1)
        late = [pool.submit(service.query) for _ in range(2)]
        assert first.result().status_code == 200
        assert sorted(f.result().status_code for f in late) == [504, 504]


def test_a_question_nobody_waits_for_is_never_begun(service: Service) -> None:
    service.answering.before = lambda _: time.sleep(2.0)
    with ThreadPoolExecutor(4) as pool:
        responses = [pool.submit(service.query) for _ in range(3)]
        assert {future.result().status_code for future in responses} == {504}
    time.sleep(0.7)
    assert len(service.answering.asked) == 1


def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(service: Service) -> None:
    go = threading.Event()
    service.answering.before = lambda _: go.wait(5)
    with ThreadPoolExecutor(12) as pool:
        admitted = [pool.submit(service.query) for _ in range(9)]
        time.sleep(0.5)
        start = time.monotonic()
        response = service.query()
        assert time.monotonic() - start < 0.5
        go.set()
        assert problem_of(response, 503).type.endswith(":overloaded")
        assert int(response.headers["retry-after"]) >= 1
        assert {future.result().status_code for future in admitted} == {200}
    assert service.query().status_code == 200


def test_health_answers_while_questions_are_stuck(service: Service) -> None:
    go = threading.Event()
    service.answering.before = lambda _: go.wait(5)
    with ThreadPoolExecutor(4) as pool:
        stuck = pool.submit(service.query)
        assert service.client.get("/healthz").status_code == 200
        go.set()
        assert stuck.result().status_code == 200


# What is logged


def test_each_question_is_one_log_line_without_its_text(
    shared: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rag")
    shared.query()
    shared.query(question="x" * 501)
    answered, refused = [r.__dict__["fields"] for r in caplog.records if r.name.startswith("rag")]
    assert answered["question"] == hashlib.sha256(QUESTION.encode()).hexdigest()[:12]
    expected = {"status": 200, "tenant": "default", "abstained": False, "generation": 7}
    assert answered.items() >= expected.items()
    assert set(answered["stages"]) >= {"retrieve", "pack"}
    assert answered["usage"]["context_tokens"] > 0
    assert (refused["status"], refused["problem"]) == (413, "question-too-long")
    for text in ("pump", "months", "xxx"):
        assert text not in json.dumps([answered, refused])


# Whatever is sent


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
FIELDS = (
    *("question", "budget_tokens", "frugality", "filter"),
    *("tenant", "trace", "include_context", "more"),
    *("history", "generate", "sampling", "stream", "model", "messages", "stop", "frugal_rag"),
)
NEARLY = st.dictionaries(st.sampled_from(FIELDS), JSON) | st.fixed_dictionaries(
    {"question": st.text()},
    optional={
        "budget_tokens": st.integers(0, 40_000),
        "frugality": st.floats() | st.floats(0, 0.5),
        "filter": st.dictionaries(st.sampled_from(("documents", "tags", "since", "until")), JSON),
        "tenant": st.text() | st.just("default"),
        "trace": st.booleans(),
        "stream": st.booleans(),
        "generate": st.sampled_from(("auto", "never", "always", "ever")),
        "history": st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(("user", "assistant", "tool")), "text": st.text()}
            ),
            max_size=3,
        ),
        "sampling": st.dictionaries(
            st.sampled_from(("max_tokens", "temperature", "top_p", "stop")), JSON
        ),
    },
)
CHATTING = st.fixed_dictionaries(
    {
        "model": st.sampled_from(("frugal-rag", "frugal-rag-generate")) | st.text(),
        "messages": st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(("user", "assistant", "system")), "content": JSON}
            ),
            max_size=3,
        )
        | JSON,
    },
    optional={
        "stream": st.booleans() | st.none(),
        "stop": JSON,
        "temperature": st.floats() | JSON,
        "max_tokens": st.integers() | JSON,
        "response_format": JSON,
        "frugal_rag": st.dictionaries(st.sampled_from(FIELDS), JSON),
    },
)


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(path=st.sampled_from(("/v1/query", "/v1/retrieve")), body=JSON | NEARLY)
def test_no_json_body_is_a_fault_of_ours(shared: Service, path: str, body: object) -> None:
    response = shared.client.post(
        path, content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert_answered_or_explained(response)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.binary() | st.text(max_size=600).map(lambda t: json.dumps({"question": t}).encode()),
    media_type=st.sampled_from(("application/json", "application/json; charset=x", "a", "a/b;")),
)
def test_no_bytes_are_a_fault_of_ours(shared: Service, content: bytes, media_type: str) -> None:
    response = shared.client.post(
        "/v1/query", content=content, headers={"content-type": media_type}
    )
    assert_answered_or_explained(response)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=CHATTING | JSON)
def test_no_conversation_is_a_fault_of_ours(shared: Service, body: object) -> None:
    response = shared.client.post(
        "/v1/chat/completions",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert ErrorBody.model_validate_json(response.content).error.message


def assert_answered_or_explained(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        problem_of(response, response.status_code)
