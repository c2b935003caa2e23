"""A service that leaves its jobs to ``rag jobs run``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeAlias

import httpx

from rag.build_service import build_served
from rag.keyring import Keyring, keys_path
from rag.run_jobs import worked_off
from rag.service.app import create_app
from rag.settings import load_settings

Serving: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
Corpus: TypeAlias = Any  # of conftest.py


def test_another_process_does_what_the_service_was_given(corpus: Corpus, serving: Serving) -> None:
    corpus.publish({"pump.txt": "The pump is covered for 24 months from delivery."})
    settings = load_settings(**corpus.settings.model_dump(exclude_unset=True), run_jobs=False)
    body = {"question": "How long is the pump covered?"}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/query", "body": body}
    with ExitStack() as kept:
        served = build_served(settings, Keyring(keys_path(settings)), kept)
        http = kept.enter_context(serving(create_app(settings, served)))
        headers = {"content-type": "application/jsonl"}
        given = http.post("/v1/batch", content=json.dumps(line), headers=headers)
        assert given.status_code == 202
        done = worked_off(settings)  # while the service runs: it holds nothing back
        assert (done.ended, done.failed, done.left) == (1, 0, 0)
        name = given.json()["id"]
        assert http.get(f"/v1/batch/{name}").json()["status"] == "completed"
        (reply,) = http.get(f"/v1/batch/{name}/output").text.splitlines()
        assert "24 months" in json.loads(reply)["response"]["body"]["answer"]
