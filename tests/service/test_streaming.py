"""Server-sent events over a real socket: pieces, the end, and callers who go away."""

from __future__ import annotations

import importlib.util
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import pytest

from eval.misbehaving_provider import (
    Behaviour,
    Provider,
    Wire,
    answering,
    dripping,
    endless,
    refusing,
    running_provider,
)
from rag.errors import IndexStateError
from rag.service.streaming import event

needs_generate = pytest.mark.skipif(
    importlib.util.find_spec("llama_index") is None, reason="the extra `generate` is missing"
)
Asking: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"
SENTENCE = "The pump is covered for 24 months from delivery."
SAID = [f"{SENTENCE} [1]", " It weighs 12 kg. [2]"]


@dataclass
class Service:
    client: httpx.Client
    provider: Provider

    def stream(self, **fields: object) -> AbstractContextManager[httpx.Response]:
        body = {"question": QUESTION, "stream": True} | fields
        return self.client.stream("POST", "/v1/query", json=body)

    def stands_idle(self) -> bool:
        """Return whether no question is worked on any more, soon."""
        return eventually(lambda: self.quick() == 200)

    def quick(self) -> int:
        """Ask without a model; with one thread it waits for whatever runs."""
        body = {"question": QUESTION, "generate": "never"}
        return self.client.post("/v1/query", json=body, timeout=1.5).status_code


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if true():
                return True
        except httpx.TimeoutException:
            pass
        time.sleep(0.02)
    return False


@pytest.fixture(scope="module")
def service(asking: Asking, pump_corpus: object) -> Iterator[Service]:
    with running_provider() as provider:
        far = {"name": "far", "kind": "openai", "model": "tiny", "url": provider.url}
        given = {"generators": [far], "concurrent_questions": 1, "deadline_seconds": 60}
        with asking(pump_corpus, **given) as client:
            yield Service(client, provider)


def told(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])
        else:
            assert line == "" or line.startswith(":")


def lasting(body: dict[str, Any]) -> dict[str, Any]:
    """What of a response does not differ between two runs."""
    return {name: body[name] for name in body.keys() - {"impact", "seconds", "trace"}}


# What is told


def test_an_event_is_one_line_of_data() -> None:
    assert event("text", '{"text": "a\\nb"}') == b'event: text\ndata: {"text": "a\\nb"}\n\n'
    assert event(None, "[DONE]") == b"data: [DONE]\n\n"


def test_the_receipt_comes_last_and_is_the_whole_response(service: Service) -> None:
    with service.stream(generate="never", include_context=True) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        (kind, piece), (last, receipt) = told(response.iter_lines())
    assert (kind, piece, last) == ("text", {"text": SENTENCE}, "receipt")
    body = {"question": QUESTION, "generate": "never", "include_context": True}
    assert lasting(receipt) == lasting(service.client.post("/v1/query", json=body).json())


def test_an_abstention_says_nothing_and_has_its_receipt(service: Service) -> None:
    with service.stream(question="Who is the queen of Zanzibar?") as response:
        [(kind, receipt)] = told(response.iter_lines())
    assert kind == "receipt"
    assert receipt["abstained"]
    assert receipt["reason"]


def paced(pauses: threading.Event, pieces: Sequence[str]) -> Behaviour:
    """Answer with a piece, and with the rest once the event is set."""

    def behave(wire: Wire) -> None:
        wire.head()
        wire.say(pieces[0])
        while not pauses.is_set():
            wire.pause(0.02)
        for piece in pieces[1:]:
            wire.say(piece)
        wire.end()

    return behave


@needs_generate
def test_a_sentence_is_sent_while_the_next_is_not_written_yet(service: Service) -> None:
    go = threading.Event()
    service.provider.always = paced(go, [f"{SENTENCE} [1] It weighs ", "12 kg. [1]"])
    with service.stream(generate="always") as response:
        events = told(response.iter_lines())
        assert next(events) == ("text", {"text": SAID[0]})
        assert not go.is_set()
        go.set()
        assert next(events) == ("text", {"text": SAID[1]})
        [(kind, receipt)] = events
    assert kind == "receipt"
    assert receipt["answer"] == "".join(SAID)


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"question": " "}, 400), ({"budget_tokens": 3}, 422), ({"question": "x" * 5000}, 413)],
)
def test_what_fails_before_anything_is_said_has_its_own_status(
    service: Service, fields: dict[str, object], status: int
) -> None:
    with service.stream(**fields) as response:
        response.read()
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"


@needs_generate
def test_what_was_said_stands_at_the_deadline(asking: Asking, pump_corpus: object) -> None:
    with running_provider(paced(threading.Event(), [f"{SENTENCE} [1] It weighs "])) as provider:
        far = {"name": "far", "kind": "openai", "model": "tiny", "url": provider.url}
        with asking(pump_corpus, generators=[far], deadline_seconds=2) as client:
            body = {"question": QUESTION, "generate": "always", "stream": True}
            with client.stream("POST", "/v1/query", json=body) as response:
                assert response.status_code == 200
                first, (kind, last) = told(response.iter_lines())
    assert first == ("text", {"text": SAID[0]})
    assert (kind, last["answer"]) == ("receipt", SAID[0])


def test_an_error_after_the_first_piece_is_the_last_event(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise IndexStateError("no documents yet", "x", "run rag-ingest sync PATH")

    monkeypatch.setattr("rag.service.questions.query_response", broken)
    with service.stream(generate="never") as response:
        assert response.status_code == 200
        (kind, _), (last, problem) = told(response.iter_lines())
    assert (kind, last, problem["status"]) == ("text", "problem", 503)
    assert problem["remedy"] == "run rag-ingest sync PATH"


def test_a_fault_after_the_first_piece_is_told_by_its_id(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("with the text of a document")

    monkeypatch.setattr("rag.service.questions.query_response", broken)
    with service.stream(generate="never") as response:
        (kind, _), (last, problem) = told(response.iter_lines())
    assert (kind, last, problem["status"]) == ("text", "problem", 500)
    assert "ZeroDivision" not in json.dumps(problem)
    [record] = [each for each in caplog.records if each.getMessage() == "internal-error"]
    assert record.__dict__["fields"]["id"] == problem["id"]


@needs_generate
def test_the_method_and_many_at_once(service: Service) -> None:
    assert service.client.head("/v1/query").status_code == 405
    with ThreadPoolExecutor(5) as pool:
        all_told = list(pool.map(lambda n: streamed(service, n), range(5)))
    assert [kinds for kinds, _ in all_told] == [["text", "receipt"]] * 5
    assert {text for _, text in all_told} == {SENTENCE}


def streamed(service: Service, number: int) -> tuple[list[str], str]:
    with service.stream(generate="never", budget_tokens=100 + number) as response:
        events = list(told(response.iter_lines()))
    return [kind for kind, _ in events], events[0][1]["text"]


# Who goes away


@needs_generate
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "behaviour",
    [answering([SENTENCE], first=60), dripping(0.05), endless(every=0.02)],
    ids=["slow to begin", "dripping", "without a sentence"],
)
def test_a_caller_who_leaves_before_the_first_piece_stops_the_provider(
    service: Service, behaviour: Behaviour, *, stream: bool
) -> None:
    provider = service.provider
    provider.always, provider.left, asked = behaviour, threading.Event(), len(provider.asked)
    body = {"question": QUESTION, "generate": "always", "stream": stream}
    with httpx.Client(base_url=service.client.base_url) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/query", json=body, timeout=0.6)
        left = time.monotonic()
    assert len(provider.asked) == asked + 1
    assert provider.left.wait(5)
    assert time.monotonic() - left < 2
    assert service.stands_idle()


@needs_generate
def test_a_caller_who_leaves_between_pieces_stops_the_provider(service: Service) -> None:
    provider = service.provider
    provider.always, provider.left = endless(f"{SENTENCE} [1] ", every=0.05), threading.Event()
    with httpx.Client(base_url=service.client.base_url) as client:
        body = {"question": QUESTION, "generate": "always", "stream": True}
        with client.stream("POST", "/v1/query", json=body) as response:
            assert next(told(response.iter_lines())) == ("text", {"text": SAID[0]})
    assert provider.left.wait(5)
    assert service.stands_idle()


@needs_generate
def test_a_caller_who_leaves_while_a_failed_call_waits_to_be_tried_again(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "rag")
    service.provider.always = refusing(429, {"Retry-After": "25"})
    body = {"question": QUESTION, "generate": "always"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.client.base_url}/v1/query", json=body, timeout=0.6)
    assert service.stands_idle()
    logged = [each.__dict__.get("fields", {}) for each in caplog.records]
    assert [each["status"] for each in logged if each.get("problem") == "caller-left"] == [499]


@needs_generate
def test_whoever_asked_the_same_is_answered_though_the_first_one_leaves(
    asking: Asking, pump_corpus: object
) -> None:
    with running_provider(answering([SAID[0]])) as provider, ThreadPoolExecutor(1) as pool:
        provider.next = [dripping(0.05)]
        far = {"name": "far", "kind": "openai", "model": "tiny", "url": provider.url}
        with asking(pump_corpus, generators=[far], deadline_seconds=20) as client:
            body = {"question": QUESTION, "generate": "always"}
            with httpx.Client(base_url=client.base_url) as leaving:

                def leave() -> None:
                    with pytest.raises(httpx.ReadTimeout):
                        leaving.post("/v1/query", json=body, timeout=3)

                left = pool.submit(leave)
                assert eventually(lambda: bool(provider.asked))
                waiting = client.post("/v1/query", json=body)
                left.result()
        assert waiting.json()["answer"] == SAID[0]
        assert len(provider.asked) == 2


@needs_generate
def test_a_caller_who_does_not_read_keeps_no_thread(service: Service) -> None:
    service.provider.always = answering([f"{SENTENCE} [1]\n"] * 60)
    host, port = service.client.base_url.host, service.client.base_url.port
    content = json.dumps({"question": QUESTION, "generate": "always", "stream": True}).encode()
    head = f"POST /v1/query HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    with closing(socket.create_connection((host, port))) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        assert service.stands_idle()
        assert connection.recv(12) == b"HTTP/1.1 200"


@needs_generate
def test_fifty_streams_at_once_fill_the_queue_and_no_more(service: Service) -> None:
    go = threading.Event()
    service.provider.always = paced(go, [f"{SENTENCE} [1] It weighs ", "12 kg. [1]"])

    def ask(number: int) -> tuple[int, str]:
        fields = {"generate": "always", "budget_tokens": 100 + number}
        with service.stream(**fields) as response:
            response.read()
            return response.status_code, response.headers.get("retry-after", "")

    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(ask, number) for number in range(50)]
        assert eventually(lambda: sum(future.done() for future in asked) >= 33)
        go.set()
        outcomes = [future.result() for future in asked]
    refused = [wait for status, wait in outcomes if status == 503]
    assert outcomes.count((200, "")) == 50 - len(refused) <= 17  # one is worked on, 16 wait
    assert all(int(wait) >= 1 for wait in refused)
