"""The chat interface, asked by the real client of OpenAI over a real socket."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import httpx
import pytest

from eval.misbehaving_provider import (
    answering,
)
from rag.service.chat_schemas import ChatResponse, ChunkBody

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


def text_of(chunks: list[Any]) -> str:
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


# What is told


def test_an_answer_without_a_model(service: Any) -> None:
    completion = service.complete()
    [choice] = completion.choices
    assert (choice.message.role, choice.message.content) == ("assistant", SENTENCE)
    assert (choice.finish_reason, completion.model) == ("stop", "frugal-rag-extract")
    assert completion.id.startswith("chatcmpl-")
    usage = completion.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (0, 0, 0)
    receipt = completion.frugal_rag
    assert receipt["citations"][0]["quote"] == SENTENCE
    assert receipt["usage"]["prompt_tokens"] is None
    assert receipt["impact"]["joules"]["high"] > 0
    assert receipt["context"] is None


def test_context_trace_and_filter_are_reached_by_the_extension(service: Any) -> None:
    mine = {"include_context": True, "trace": True, "budget_tokens": 64}
    receipt = service.complete(extra_body={"frugal_rag": mine}).frugal_rag
    assert "24 months" in receipt["context"]["text"]
    assert receipt["usage"]["budget_tokens"] == 64
    assert {"retrieve", "pack"} <= {step["stage"] for step in receipt["trace"]}
    elsewhere = {"frugal_rag": {"filter": {"documents": ["tax.txt"]}}}
    assert service.complete(extra_body=elsewhere).frugal_rag["abstained"]


@needs_generate
def test_an_answer_by_a_model_has_marks_usage_and_citations(service: Any) -> None:
    usage = {"prompt_tokens": 90, "completion_tokens": 25, "prompt_tokens_details": {}}
    usage["prompt_tokens_details"] = {"cached_tokens": 64}
    service.provider.always = answering([MARKED], usage=usage)
    completion = service.complete(model="frugal-rag-generate")
    assert completion.choices[0].message.content == MARKED
    used = completion.usage
    assert (used.prompt_tokens, used.completion_tokens, used.total_tokens) == (90, 25, 115)
    assert used.prompt_tokens_details.cached_tokens == 64
    assert [c["quote"] for c in completion.frugal_rag["citations"]] == [
        SENTENCE,
        "It weighs 12 kg.",
    ]
    assert completion.frugal_rag["usage"]["reported"]
    assert completion.frugal_rag["model"] == "tiny"


@needs_generate
def test_a_stream_by_a_model(service: Any) -> None:
    service.provider.always = answering([MARKED[i : i + 5] for i in range(0, len(MARKED), 5)])
    options = {"include_usage": True}
    stream = service.complete(model="frugal-rag-generate", stream=True, stream_options=options)
    *pieces, stop, used = chunks_of(stream)
    assert len(pieces) == 2
    assert text_of(pieces) == MARKED
    assert [piece.choices[0].delta.role for piece in pieces] == ["assistant", None]
    assert [piece.choices[0].finish_reason for piece in pieces] == [None, None]
    assert stop.choices[0].finish_reason == "stop"
    assert stop.frugal_rag["answer"] == MARKED
    assert stop.frugal_rag["impact"]["gco2e"] is None
    assert used.choices == []
    assert used.usage.total_tokens > 0
    assert len({chunk.id for chunk in (*pieces, stop, used)}) == 1


def test_an_extractive_stream_says_its_answer_once(service: Any) -> None:
    for _ in range(20):  # the end must not overtake the piece
        *pieces, stop = chunks_of(service.complete(stream=True))
        assert text_of(pieces) == SENTENCE
        assert stop.frugal_rag["answer"] == SENTENCE


def test_an_abstention_is_said_in_words(service: Any) -> None:
    completion = service.complete("Who is the queen of Zanzibar?")
    assert completion.choices[0].message.content.startswith("No answer: ")
    assert completion.frugal_rag["abstained"]
    *pieces, stop = chunks_of(service.complete("Who is the queen of Zanzibar?", stream=True))
    assert text_of(pieces) == completion.choices[0].message.content
    assert stop.frugal_rag["answer"] is None


def test_the_schemas_are_those_of_what_is_sent(service: Any) -> None:
    body = {"model": "frugal-rag-extract", "messages": [{"role": "user", "content": QUESTION}]}
    whole = service.client.post("/v1/chat/completions", json=body)
    assert ChatResponse.model_validate_json(whole.content).frugal_rag.answer == SENTENCE
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    streamed = service.client.post("/v1/chat/completions", json=body)
    *events, done, rest = streamed.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [ChunkBody.model_validate_json(line.removeprefix("data: ")) for line in events]
    assert [len(chunk.choices) for chunk in chunks] == [1, 1, 0]
    # What is unknown is null there too, and not left out.
    assert '"gco2e": null' in streamed.text


def test_the_async_client(service: Any) -> None:
    async def ask() -> tuple[str, str]:
        url = f"{service.client.base_url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="x") as client:
            asked = {
                "model": "frugal-rag-extract",
                "messages": [{"role": "user", "content": QUESTION}],
            }
            whole = await client.chat.completions.create(**asked)
            stream = await client.chat.completions.create(**asked, stream=True)
            pieces = [chunk async for chunk in stream]
            return whole.choices[0].message.content, text_of(pieces)

    assert asyncio.run(ask()) == (SENTENCE, SENTENCE)


def test_the_models(service: Any) -> None:
    models = service.openai.models
    names = [model.id for model in models.list()]
    assert names == ["frugal-rag", "frugal-rag-extract", "frugal-rag-generate"]
    assert models.retrieve("frugal-rag").owned_by == "frugal-rag"
    with pytest.raises(openai.NotFoundError, match="no such model"):
        models.retrieve("gpt-7")


# What is asked


def test_a_conversation_and_parts(service: Any) -> None:
    asked = [
        {"role": "system", "content": "Answer in French."},
        {"role": "user", "content": "How long is the pump covered?"},
        {"role": "assistant", "content": f"{SENTENCE} [1]"},
        {"role": "user", "content": [{"type": "text", "text": "And how much does it weigh?"}]},
    ]
    mine = {"frugal_rag": {"trace": True}}
    completion = service.complete(messages=asked, extra_body=mine)
    decisions = {s["stage"]: s["decision"] for s in completion.frugal_rag["trace"]}
    assert "pump" in decisions["condense"]


def test_a_long_conversation_is_no_error(service: Any) -> None:
    said = [QUESTION, "No answer: nothing. " + "word " * 5000] * 20
    assert service.complete(*said, QUESTION).choices[0].message.content == SENTENCE


@needs_generate
def test_sampling_reaches_the_model_within_bounds(service: Any) -> None:
    service.provider.always = answering([MARKED])
    service.provider.asked.clear()
    drawn = {"temperature": 0.7, "top_p": 0.9, "frequency_penalty": 0.5, "presence_penalty": -1}
    service.complete(model="frugal-rag-generate", **drawn, stop="END", max_tokens=4096)
    service.complete(model="frugal-rag-generate", stop=["a", "b"], max_completion_tokens=7)
    service.complete(model="frugal-rag-generate", max_tokens=None, stop=None, seed=4, user="me")
    first, second, third = service.provider.asked
    assert {name: first[name] for name in drawn} == drawn
    assert (first["stop"], first["max_tokens"]) == (["END"], 50)
    assert (second["stop"], second["max_tokens"]) == (["a", "b"], 7)
    assert (third["max_tokens"], third["temperature"]) == (50, 0)
    assert "stop" not in third


@needs_generate
def test_the_key_of_the_caller_goes_nowhere(service: Any) -> None:
    service.provider.always = answering([MARKED])
    service.provider.headers.clear()
    completion = service.complete(model="frugal-rag-generate")
    assert "sk-theirs" not in json.dumps(service.provider.headers)
    assert "sk-theirs" not in completion.model_dump_json()
