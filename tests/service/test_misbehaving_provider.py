"""Whatever a provider does, a question has a clear outcome in its time, over HTTP."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import pytest

from eval.misbehaving_provider import (
    Behaviour,
    Provider,
    answering,
    cut_after,
    dripping,
    dripping_head,
    endless,
    refusing,
    running_provider,
    sending,
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llama_index") is None, reason="the extra `generate` is missing"
)
Asking: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"
SENTENCE = "The pump is covered for 24 months from delivery."
SECONDS = 0.6  # of one call
SLACK = 3.0  # of a busy machine


@dataclass
class Service:
    client: httpx.Client
    provider: Provider

    def ask(self, behaviour: Behaviour, **fields: object) -> httpx.Response:
        """Ask while the provider behaves so; the outcome must come in time."""
        self.provider.always = behaviour
        body = {"question": QUESTION, "generate": "always", "trace": True} | fields
        started = time.monotonic()
        response = self.client.post("/v1/query", json=body)
        assert time.monotonic() - started < SECONDS + SLACK
        return response


def services(if_unwritten: str) -> Any:
    @pytest.fixture(scope="module")
    def service(asking: Asking, pump_corpus: object) -> Iterator[Service]:
        with running_provider() as provider:
            generator = {"name": "far", "kind": "openai", "model": "tiny", "url": provider.url}
            generators = [generator | {"seconds": SECONDS}]
            given = {"if_unwritten": if_unwritten, "deadline_seconds": 5}
            with asking(pump_corpus, generators=generators, **given) as client:
                service = Service(client, provider)
                # The libraries are loaded by the first question.
                client.post("/v1/query", json={"question": QUESTION, "generate": "always"})
                yield service

    return service


extracting = services("extract")
telling = services("error")

# A behaviour, and the problem where one is to be told: its status, its type, its Retry-After.
FAILING = {
    "slow to begin": (answering([SENTENCE], first=30), 504, "backend-timeout", None),
    "dripping": (dripping(0.05), 504, "backend-timeout", None),
    "dripping its head": (dripping_head(0.05), 504, "backend-timeout", None),
    "without end, slowly": (endless(every=0.05), 504, "backend-timeout", None),
    "cut within a sentence": (cut_after(["The pump", " is covered"]), 503, "backend", "1"),
    "cut at once": (cut_after([]), 503, "backend", "1"),
    "429": (refusing(429, {"Retry-After": "30"}), 503, "backend", "30"),
    "500": (refusing(500), 503, "backend", "1"),
    "401": (refusing(401), 502, "backend-rejected", None),
    "malformed JSON": (sending('data: {"choices": [{"de\n\n'), 503, "backend", "1"),
    "no events": (sending("<html>busy</html>"), 503, "backend", "1"),
    "no answer": (sending('data: {"odd": 1}\n\n', "data: [DONE]\n\n"), 503, "backend", "1"),
}


@pytest.mark.parametrize("name", FAILING)
def test_the_extractive_answer_is_given_instead(extracting: Service, name: str) -> None:
    response = extracting.ask(FAILING[name][0])
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["answer"] == SENTENCE
    assert body["citations"][0]["quote"] == SENTENCE
    assert (body["model"], body["usage"]["reported"]) == ("tiny", False)
    [decision] = [each["decision"] for each in body["trace"] if each["stage"] == "generate"]
    assert "it failed" in decision


@pytest.mark.parametrize("name", FAILING)
def test_the_failure_is_told_where_that_is_configured(telling: Service, name: str) -> None:
    behaviour, status, kind, wait = FAILING[name]
    response = telling.ask(behaviour)
    assert response.status_code == status, response.text
    problem = response.json()
    assert problem["type"].endswith(f":{kind}")
    assert problem["remedy"]
    assert response.headers.get("retry-after") == wait
    streamed = telling.ask(behaviour, stream=True)
    assert (streamed.status_code, streamed.json()["type"]) == (status, problem["type"])


def test_the_extractive_answer_is_streamed_instead(extracting: Service) -> None:
    response = extracting.ask(FAILING["cut within a sentence"][0], stream=True)
    text, receipt = events(response)
    assert text == ("text", {"text": SENTENCE})
    assert (receipt[0], receipt[1]["answer"]) == ("receipt", SENTENCE)


def test_what_was_said_before_a_cut_stands(telling: Service) -> None:
    said = cut_after([f"{SENTENCE} [1]", " It weighs", " much"])
    body = telling.ask(said).json()
    assert body["answer"] == f"{SENTENCE} [1]"
    *texts, receipt = events(telling.ask(said, stream=True))
    assert texts == [("text", {"text": f"{SENTENCE} [1]"})]
    assert receipt[1]["answer"] == f"{SENTENCE} [1]"


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": 10**9},
        {"prompt_tokens": "many", "completion_tokens": None},
        "none",
        None,
    ],
)
def test_a_usage_that_cannot_be_true_is_counted(telling: Service, usage: object) -> None:
    body = telling.ask(answering([f"{SENTENCE} [1]"], usage=usage)).json()
    assert body["answer"] == f"{SENTENCE} [1]"
    assert body["usage"]["reported"] is False
    assert 8 <= body["usage"]["completion_tokens"] <= 20
    assert 20 <= body["usage"]["prompt_tokens"] <= 200


def test_an_answer_without_end_is_cut_by_its_tokens(extracting: Service) -> None:
    body = extracting.ask(endless(), sampling={"max_tokens": 20}).json()
    assert body["answer"] == SENTENCE
    assert body["usage"]["completion_tokens"] <= 2 * 20 + 16 + 1
    assert extracting.provider.left.wait(10)


def test_an_answer_that_does_not_stand_is_no_failure_but_an_abstention(telling: Service) -> None:
    body = telling.ask(endless(), sampling={"max_tokens": 20}).json()
    assert body["abstained"]
    assert "no answer that stands" in body["reason"]
    assert body["usage"]["completion_tokens"] <= 2 * 20 + 16 + 1


def test_what_passes_is_asked_again(asking: Asking, pump_corpus: object) -> None:
    with running_provider(answering([f"{SENTENCE} [1]"])) as provider:
        provider.next = [refusing(429, {"Retry-After": "1"}), refusing(503)]
        generator = {"name": "far", "kind": "openai", "model": "tiny", "url": provider.url}
        with asking(pump_corpus, generators=[generator]) as client:
            started = time.monotonic()
            body = {"question": QUESTION, "generate": "always"}
            response = client.post("/v1/query", json=body)
            assert time.monotonic() - started > 1
        assert response.json()["answer"] == f"{SENTENCE} [1]"
        assert len(provider.asked) == 3


def test_the_deadline_of_the_question_leaves_time_to_extract(
    asking: Asking, pump_corpus: object
) -> None:
    with running_provider(dripping(0.05)) as provider:
        generator = {"name": "far", "kind": "openai", "model": "tiny", "url": provider.url}
        with asking(pump_corpus, generators=[generator], deadline_seconds=2) as client:
            started = time.monotonic()
            body = {"question": QUESTION, "generate": "always"}
            response = client.post("/v1/query", json=body)
            assert time.monotonic() - started < 2 + SLACK
        assert response.status_code == 200, response.text
        assert response.json()["answer"] == SENTENCE
        assert provider.left.wait(10)


def events(response: httpx.Response) -> list[tuple[str, Any]]:
    assert response.headers["content-type"].startswith("text/event-stream")
    told = []
    for block in response.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
        if lines:
            told.append((lines["event"], json.loads(lines["data"])))
    return told
