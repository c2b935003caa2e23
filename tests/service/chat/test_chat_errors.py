"""What the real client of OpenAI is told when something cannot be done, or goes wrong."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import httpx
import pytest

from eval.misbehaving_provider import (
    Wire,
    answering,
    cut_after,
    dripping,
    refusing,
    running_provider,
)
from rag.service.chat_schemas import ErrorBody

openai = pytest.importorskip("openai")
needs_generate = pytest.mark.skipif(
    importlib.util.find_spec("llama_index") is None, reason="the extra `generate` is missing"
)
Asking: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"
SENTENCE = "The pump is covered for 24 months from delivery."
MARKED = f"{SENTENCE} [1] It weighs 12 kg. [2]"


def chunks_of(stream: Any) -> list[Any]:
    with stream:
        return list(stream)


USER = {"role": "user", "content": QUESTION}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": "x" * 65}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages.0.content.0.type",
        ),
        ({"messages": [USER, {"role": "assistant", "content": "x"}]}, None),
        ({"messages": [{"role": "user", "content": " "}]}, None),
        ({"extra_body": {"frugal_rag": {"budget_tokens": 3}}}, "frugal_rag.budget_tokens"),
        ({"extra_body": {"frugal_rag": {"top_k": 3}}}, "frugal_rag.top_k"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(
    service: Any, fields: dict[str, Any], param: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        service.complete(**fields)
    assert caught.value.param == param
    assert caught.value.message
    body = ErrorBody.model_validate({"error": caught.value.body})
    assert body.error.type == "invalid_request_error"


def test_an_unknown_model_is_told_as_such(service: Any) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        service.complete(model="gpt-7")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "frugal-rag-extract" in caught.value.message


@needs_generate
@pytest.mark.parametrize("stream", [True, False])
def test_a_failing_model_is_an_error_of_the_server_asked_once(
    service: Any, *, stream: bool
) -> None:
    service.provider.always, service.provider.asked[:] = refusing(401), []
    with pytest.raises(openai.InternalServerError) as caught:
        service.complete(model="frugal-rag-generate", stream=stream)
    assert (caught.value.status_code, caught.value.code) == (502, "backend_rejected")
    assert len(service.provider.asked) == 1


@needs_generate
def test_a_deadline_is_an_error_of_the_server(service: Any) -> None:
    service.provider.always, service.provider.asked[:] = dripping(0.05), []
    with pytest.raises(openai.InternalServerError) as caught:
        service.complete(model="frugal-rag-generate")
    assert caught.value.status_code == 504
    assert len(service.provider.asked) == 1


@needs_generate
def test_the_patience_of_the_client_ends_the_generation(service: Any) -> None:
    service.provider.always = dripping(0.05)
    service.provider.left.clear()
    with pytest.raises(openai.APITimeoutError):
        service.openai.with_options(timeout=0.5, max_retries=0).chat.completions.create(
            model="frugal-rag-generate", messages=[USER]
        )
    assert service.provider.left.wait(5)


@needs_generate
def test_an_error_in_the_middle_of_a_stream(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rag.service.questions.query_response", broken)
    service.provider.always = cut_after([f"{SENTENCE} [1] And", " so"])
    stream = service.complete(model="frugal-rag-generate", stream=True)
    with pytest.raises(openai.APIError, match="the service failed"):
        chunks_of(stream)


def test_a_fault_of_ours_has_the_form_of_their_errors(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rag.service.questions.query_response", broken)
    with pytest.raises(openai.InternalServerError) as caught:
        service.complete()
    assert caught.value.code == "internal_error"


def test_a_body_over_the_limit(service: Any) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        service.complete("x" * 1_100_000)
    assert (caught.value.status_code, caught.value.code) == (413, "body_too_large")
    with pytest.raises(openai.APIStatusError) as caught:
        service.complete("x" * 100_000)
    assert (caught.value.status_code, caught.value.code) == (413, "question_too_long")


def test_a_spent_budget_is_a_rate_limit_that_is_not_asked_again(
    asking: Asking, speaking: Any, pump_corpus: object
) -> None:
    limits = {"daily_joules": 1e-9, "once_spent": "refuse"}
    with (
        asking(pump_corpus, **limits) as client,
        running_provider() as provider,
        speaking(client, provider) as service,
    ):
        client.post("/v1/query", json={"question": QUESTION})  # a budget is spent by something
        with pytest.raises(openai.RateLimitError) as caught:
            service.complete()
        assert caught.value.response.headers["retry-after"] == "3600"
        assert caught.value.code == "budget_spent"
        assert 'refused_total{problem="budget-spent"}' in client.get("/metrics").text


@needs_generate
def test_an_overloaded_service_is_asked_again_when_it_says(
    asking: Asking, pump_corpus: object
) -> None:
    def slow(wire: Wire) -> None:
        wire.pause(0.3)
        answering([MARKED])(wire)

    with running_provider(slow) as provider:
        far = {"name": "far", "kind": "openai", "model": "tiny", "url": provider.url}
        given = {"generators": [far], "concurrent_questions": 1, "deadline_seconds": 20}
        given["degrade"] = False
        with asking(pump_corpus, **given) as client:
            outcomes = asyncio.run(_many(f"{client.base_url}/v1"))
    refused = [each.response.headers for each in outcomes if isinstance(each, Exception)]
    assert len(refused) >= len(outcomes) - 17 > 0  # one is worked on, 16 wait at the most
    assert {headers["x-should-retry"] for headers in refused} == {"true"}
    assert all(1 <= int(headers["retry-after"]) <= 20 for headers in refused)


async def _many(url: str) -> list[Any]:
    async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
        asked = [
            client.chat.completions.create(
                model="frugal-rag-generate",
                messages=[USER],
                extra_body={"frugal_rag": {"budget_tokens": 100 + number}},
            )
            for number in range(24)
        ]
        return await asyncio.gather(*asked, return_exceptions=True)
