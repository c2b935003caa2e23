"""A service with more to do than it can, over HTTP: with less, refused, and within quotas."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import httpx
import pytest

from rag.build_service import build_served
from rag.generating import Listener
from rag.keyring import Keyring, keys_path
from rag.listening import NOBODY
from rag.results import Answer, Question, Retrieved
from rag.service.app import create_app
from rag.settings import Settings, load_settings

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"
OTHER = "When are invoices paid?"


class Corpus(Protocol):
    @property
    def settings(self) -> Settings: ...


@dataclass
class Held:
    """The real pipeline; a question about invoices waits until it may go on."""

    inner: Any
    go: threading.Event

    def answer(self, question: Question, listener: Listener = NOBODY) -> Answer:
        if question.text.startswith(OTHER):
            self.go.wait(20)
        answer: Answer = self.inner.answer(question, listener)
        return answer

    def retrieve(self, question: Question) -> Retrieved:
        found: Retrieved = self.inner.retrieve(question)
        return found


@dataclass
class Service:
    client: httpx.Client
    go: threading.Event

    def ask(self, question: str = QUESTION, **fields: object) -> httpx.Response:
        return self.client.post("/v1/query", json={"question": question, **fields})

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])


@pytest.fixture
def serve(pump_corpus: Corpus, serving: Serving) -> Iterator[Callable[..., Service]]:
    with ExitStack() as kept:

        def started(**given: object) -> Service:
            known = pump_corpus.settings.model_dump(exclude_unset=True)
            usual = {"concurrent_questions": 1, "deadline_seconds": 60}
            settings = load_settings(**(known | usual | given))
            served = build_served(settings, Keyring(keys_path(settings)), kept)
            held = Held(served.answering, threading.Event())
            object.__setattr__(served, "answering", held)
            kept.callback(held.go.set)
            return Service(kept.enter_context(serving(create_app(settings, served))), held.go)

        yield started


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 15
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def test_what_is_in_the_cache_is_given_past_a_long_queue_and_all_else_refused(
    serve: Callable[..., Service],
) -> None:
    service = serve(cache="exact")
    whole = service.ask().json()
    with ThreadPoolExecutor(14) as pool:
        waiting = [pool.submit(service.ask, f"{OTHER} {n}") for n in range(14)]
        assert eventually(lambda: service.metric("frugal_rag_queue") == 13)
        assert service.metric("frugal_rag_pressure") >= 0.8
        again = service.ask(trace=True)
        assert again.status_code == 200
        assert (again.json()["answer"], again.json()["cache"]) == (whole["answer"], "exact")
        assert again.json()["trace"][0]["decision"] == (
            "admitted sparingly: many questions are waiting; from the cache alone"
        )
        for refused in (
            service.ask("What does the pump weigh?"),
            service.client.post("/v1/retrieve", json={"question": QUESTION}),
        ):
            assert refused.status_code == 503
            assert refused.json()["type"].endswith(":overloaded")
            assert int(refused.headers["retry-after"]) >= 1
        service.go.set()
        assert {future.result().status_code for future in waiting} == {200}
    assert service.ask("What does the pump weigh?").status_code == 200
    assert service.metric('frugal_rag_spared_total{step="search"}') == 2


def test_a_full_queue_is_refused_and_the_rest_is_answered(serve: Callable[..., Service]) -> None:
    service = serve(cache="off")
    with ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(service.ask, f"{OTHER} {n}") for n in range(30)]
        assert eventually(lambda: sum(future.done() for future in asked) >= 13)
        service.go.set()
        statuses = [future.result().status_code for future in asked]
    assert statuses.count(200) == 17  # one is worked on, sixteen wait
    assert statuses.count(503) == 13
    assert service.ask().status_code == 200


def test_quotas_are_told_with_when_to_come_again(serve: Callable[..., Service]) -> None:
    service = serve(quota_requests="2/hour", quotas={"big": {"requests": "3/hour"}})
    assert [service.ask().status_code for _ in range(2)] == [200, 200]
    for path, field in (
        ("/v1/query", "question"),
        ("/v1/retrieve", "question"),
    ):
        refused = service.client.post(path, json={field: QUESTION})
        assert refused.status_code == 429
        assert refused.json()["type"].endswith(":quota-spent")
        assert refused.json()["value"] == "2/hour"
        assert 3500 < int(refused.headers["retry-after"]) <= 3600
    chat = {"model": "frugal-rag", "messages": [{"role": "user", "content": QUESTION}]}
    refused = service.client.post("/v1/chat/completions", json=chat)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (429, "false")
    assert [service.ask(tenant="big").status_code for _ in range(4)] == [200] * 3 + [429]


def test_what_an_answer_took_counts_against_the_next(serve: Callable[..., Service]) -> None:
    service = serve(quotas={"default": {"tokens": "1/day"}})
    assert service.ask().status_code == 200
    refused = service.ask()
    assert refused.status_code == 429
    assert refused.json()["detail"] == "the tenant's quota of tokens is spent"
    assert 86_000 < int(refused.headers["retry-after"]) <= 86_400
