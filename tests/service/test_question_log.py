"""The question log behind the real application: what it gets, and that nobody suffers from it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import httpx
import pytest

from rag.build import build_answering, build_live_index
from rag.keyring import Keyring, keys_path
from rag.service.app import create_app
from rag.service.served import Served
from rag.settings import Settings

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"


class Corpus(Protocol):
    @property
    def settings(self) -> Settings: ...


@contextmanager
def service(corpus: Corpus, serving: Serving, log: Path | None) -> Iterator[httpx.Client]:
    settings = corpus.settings.model_copy(update={"question_log": log})
    live = build_live_index(settings)
    live.refresh()
    try:
        served = Served(
            answering=build_answering(settings, live),
            ready=live.problem,
            keyring=Keyring(keys_path(settings)),
        )
        with serving(create_app(settings, served)) as client:
            yield client
    finally:
        live.close()


def asked(client: httpx.Client, path: str = "/v1/query", **fields: object) -> dict[str, Any]:
    response = client.post(path, json={"question": QUESTION} | fields)
    body: dict[str, Any] = response.json()
    return body


def test_each_question_is_one_line_with_its_text(
    pump_corpus: Corpus, serving: Serving, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rag")
    log = tmp_path / "questions.jsonl"
    with service(pump_corpus, serving, log) as client:
        body = asked(client)
        asked(client, question="Who is the queen of Zanzibar?", tenant="acme")
        asked(client, "/v1/retrieve")
        asked(client, question="x" * 100_000)  # refused: not kept
        asked(client, budget_tokens=1)
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [(r["question"], r["tenant"], r["abstained"]) for r in rows] == [
        (QUESTION, "default", False),
        ("Who is the queen of Zanzibar?", "acme", True),
        (QUESTION, "default", None),
    ]
    assert rows[0]["generation"] == body["generation"] == 1
    assert rows[0]["fingerprint"] == body["fingerprint"] == pump_corpus.settings.fingerprint()
    assert set(rows[0]) == set("at tenant question generation fingerprint abstained".split())
    assert "pump" not in json.dumps([r.__dict__.get("fields") for r in caplog.records])


def test_without_the_setting_nothing_is_written(
    pump_corpus: Corpus, serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with service(pump_corpus, serving, None) as client:
        assert asked(client)["answer"]
    assert list(tmp_path.iterdir()) == []


def test_who_asks_does_not_notice_that_it_cannot_be_written(
    pump_corpus: Corpus, serving: Serving, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with service(pump_corpus, serving, tmp_path / "absent" / "q.jsonl") as client:
        answers = [asked(client)["answer"] for _ in range(3)]
    assert answers == ["The pump is covered for 24 months from delivery."] * 3
    assert caplog.messages.count("question-log-failed") == 1
