"""The cache over HTTP, with a real file: hits, what they saved, and forgetting."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import httpx
import pytest

from rag.cache.answer_cache import AnswerCache
from rag.cache.store import NAME
from rag.cache.values import CacheState, ShadowReport
from rag.service.cache_routes import CacheBody, watch_cache
from rag.service.metrics import Metrics
from rag.settings import Settings

Asking: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"
REWORDED = "How long is a pump covered?"
OTHER = "When are invoices paid?"
TEXTS = {
    "pump.txt": "The pump is covered for 24 months from delivery. It weighs 12 kg.",
    "tax.txt": "Invoices are paid within 30 days of receipt.",
}


class Corpus(Protocol):
    @property
    def settings(self) -> Settings: ...

    def publish(self, documents: Mapping[str, str]) -> int | None: ...


@pytest.fixture(scope="module")
def client(asking: Asking, pump_corpus: Corpus) -> Iterator[httpx.Client]:
    with asking(pump_corpus, cache="semantic", cache_shadow=0) as client:
        yield client


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> None:
    if "client" in request.fixturenames:
        client = request.getfixturevalue("client")
        for tenant in ("default", "other"):
            assert client.delete("/v1/cache", params={"tenant": tenant}).status_code == 200


def ask(client: httpx.Client, question: str = QUESTION, **fields: object) -> Any:
    response = client.post("/v1/query", json={"question": question} | fields)
    assert response.status_code == 200, response.text
    return response.json()


def state(client: httpx.Client) -> CacheBody:
    return CacheBody.model_validate_json(client.get("/v1/cache").content)


def purged(client: httpx.Client, **names: str) -> int:
    response = client.delete("/v1/cache", params=names)
    assert response.status_code == 200, response.text
    count: int = response.json()["purged"]
    return count


def test_the_receipt_says_what_the_cache_did(client: httpx.Client) -> None:
    first, second, third = ask(client), ask(client), ask(client, REWORDED)
    assert [each["cache"] for each in (first, second, third)] == ["miss", "exact", "semantic"]
    assert {each["answer"] for each in (first, second, third)} == {first["answer"]}
    assert second["citations"] == first["citations"]
    assert ask(client, tenant="other")["cache"] == "miss"
    assert ask(client, budget_tokens=64)["cache"] == "miss"


def test_chat_and_query_share_what_was_answered(client: httpx.Client) -> None:
    ask(client)
    body = {
        "model": "frugal-rag",
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 4096,
        "temperature": 0,
    }
    response = client.post("/v1/chat/completions", json=body)
    assert response.json()["frugal_rag"]["cache"] == "exact"
    streamed = client.post("/v1/query", json={"question": QUESTION, "stream": True})
    assert '"cache":"exact"' in streamed.text
    assert streamed.text.startswith("event: text\n")


def test_what_is_held_and_saved(client: httpx.Client) -> None:
    hits = state(client).exact_hits
    ask(client)
    ask(client)
    held = state(client)
    assert (held.entries, held.exact_hits) == (1, hits + 1)
    assert 0 < held.bytes < 100_000
    assert (held.shadow.checked, held.shadow.high, held.shadow.on) == (0, None, True)


def test_a_question_is_forgotten_in_all_its_words(client: httpx.Client) -> None:
    ask(client)
    ask(client, OTHER)
    ask(client, tenant="other")
    assert purged(client, question=REWORDED) == 1
    assert ask(client)["cache"] == "miss"
    assert ask(client, OTHER)["cache"] == "exact"
    assert ask(client, tenant="other")["cache"] == "exact"
    assert purged(client, question="Never asked?") == 0


def test_a_document_is_forgotten(client: httpx.Client) -> None:
    ask(client)
    ask(client, OTHER)
    assert purged(client, document="tax.txt") == 1
    assert ask(client)["cache"] == "exact"
    assert ask(client, OTHER)["cache"] == "miss"
    assert purged(client, document="pump.txt", tenant="other") == 0


def test_a_tenant_is_forgotten_and_no_other(client: httpx.Client) -> None:
    ask(client)
    ask(client, tenant="other")
    assert purged(client, tenant="other") == 1
    assert ask(client)["cache"] == "exact"
    assert purged(client) == 1
    assert state(client).entries == 0


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ({"qestion": QUESTION}, "query.qestion"),
        ({"tenant": "../x"}, "query.tenant"),
        ({"question": ""}, "query.question"),
        ({"document": "x" * 513}, "query.document"),
        ({"question": "a", "document": "b"}, "query"),
    ],
)
def test_a_name_that_is_wrong_forgets_nothing(
    client: httpx.Client, names: dict[str, str], field: str
) -> None:
    ask(client)
    response = client.delete("/v1/cache", params=names)
    assert response.status_code == 422
    assert (response.json()["field"], bool(response.json()["remedy"])) == (field, True)
    assert state(client).entries == 1


def test_what_changed_is_answered_anew(asking: Asking, corpus: Corpus) -> None:
    corpus.publish(TEXTS)
    with asking(corpus, cache="exact") as client:
        ask(client)
    corpus.publish(TEXTS | {"pump.txt": "The pump is covered for 36 months from delivery."})
    with asking(corpus, cache="exact") as client:
        answer = ask(client)
        assert (answer["cache"], "36 months" in answer["answer"]) == ("miss", True)
        assert ask(client)["cache"] == "exact"


def test_a_file_that_cannot_be_used_is_told(asking: Asking, corpus: Corpus) -> None:
    corpus.publish(TEXTS)
    with asking(corpus, cache="exact") as client:
        ask(client)
        file = corpus.settings.data_dir / corpus.settings.collection / "cache" / NAME
        with sqlite3.connect(file) as other:
            other.execute("DROP TABLE documents")
        other.close()
        response = client.delete("/v1/cache", params={"document": "pump.txt"})
        assert response.status_code == 500
        assert "cache" in response.json()["detail"]
        assert response.json()["remedy"]
        assert client.post("/v1/query", json={"question": QUESTION}).status_code == 200


def test_without_a_cache_the_routes_say_so(asking: Asking, pump_corpus: Corpus) -> None:
    with asking(pump_corpus) as client:
        for response in (client.get("/v1/cache"), client.delete("/v1/cache")):
            assert response.status_code == 400
            assert response.json()["detail"] == "this service keeps no cache"
            assert "exact" in response.json()["remedy"]
        assert ask(client)["cache"] == "off"
        assert "cache_entries" not in client.get("/metrics").text


# Metrics


def metric(client: httpx.Client, name: str) -> float:
    text = client.get("/metrics").text
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(match[1]) if match else 0.0


def test_hits_are_counted_by_their_level(client: httpx.Client) -> None:
    def counts() -> dict[str, float]:
        uses = ("miss", "exact", "semantic")
        return {use: metric(client, f'frugal_rag_cache_total{{use="{use}"}}') for use in uses}

    before = counts()
    for question in (QUESTION, QUESTION, REWORDED, REWORDED, OTHER):
        ask(client, question)
    more = {use: count - before[use] for use, count in counts().items()}
    assert sum(more.values()) == 5
    assert more["miss"] == 2
    assert more["exact"] >= 1
    assert more["semantic"] >= 1
    assert metric(client, "frugal_rag_cache_entries") == state(client).entries
    assert metric(client, "frugal_rag_cache_semantic_on") == 1


def test_questions_in_flight_are_shared_and_counted(asking: Asking, pump_corpus: Corpus) -> None:
    with asking(pump_corpus, concurrent_questions=8) as client, ThreadPoolExecutor(8) as pool:
        together = threading.Barrier(8)

        def at_once(_: int) -> str:
            together.wait()
            use: str = ask(client)["cache"]
            return use

        # Answers take a millisecond: it may take a few rounds until two are in flight at once.
        uses: list[str] = []
        while "shared" not in uses and len(uses) < 8 * 50:
            uses += pool.map(at_once, range(8))
        assert metric(client, 'frugal_rag_cache_total{use="shared"}') == uses.count("shared") > 0


class _Checked(AnswerCache):
    """A cache whose semantic hits were checked often."""

    report = ShadowReport(200, 3, 4, 0.003, 0.043, 0.004, on=False)

    def __init__(self) -> None: ...

    def state(self) -> CacheState | None:
        return CacheState(7, 900, 5, 6, 12.5, 300, self.report)


def test_the_share_of_false_hits_is_a_gauge_with_its_bounds() -> None:
    metrics = Metrics()
    watch_cache(metrics, _Checked())
    text = metrics.text().decode()
    for line in (
        'frugal_rag_cache_false_share{bound="low"} 0.003',
        'frugal_rag_cache_false_share{bound="high"} 0.043',
        'frugal_rag_cache_false_share{bound="surely"} 0.004',
        "frugal_rag_cache_shadow_checked 200.0",
        "frugal_rag_cache_shadow_false 3.0",
        "frugal_rag_cache_semantic_on 0.0",
        "frugal_rag_cache_joules_saved 12.5",
        "frugal_rag_cache_tokens_saved 300.0",
    ):
        assert line in text.splitlines()


def test_a_share_that_is_unknown_is_left_out(client: httpx.Client) -> None:
    text = client.get("/metrics").text
    assert "# TYPE frugal_rag_cache_false_share gauge" in text
    assert "frugal_rag_cache_false_share{" not in text
