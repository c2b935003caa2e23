"""A service that is told to stop while it streams."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import httpx
import pytest

from eval.misbehaving_provider import Wire, dripping, running_provider
from rag.settings import Settings

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llama_index") is None, reason="the extra `generate` is missing"
)
RUN = "import sys; from rag.cli import main; sys.exit(main())"
SENTENCE = "The pump is covered for 24 months from delivery."
BODY = {"question": "How long is the pump covered?", "generate": "always", "stream": True}


class Corpus(Protocol):
    @property
    def settings(self) -> Settings: ...


@contextmanager
def serving(corpus: Corpus, url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run ``rag serve`` in a process of its own, and yield it with its address."""
    settings = corpus.settings
    generators = [{"name": "far", "kind": "openai", "model": "tiny", "url": url}]
    given = {
        "RAG_DATA_DIR": str(settings.data_dir),
        "RAG_TIER": "lexical",
        "RAG_ANSWER_THRESHOLD": str(settings.answer_threshold),
        "RAG_CACHE": "off",
        "RAG_DEADLINE_SECONDS": "3",
        "RAG_GENERATORS": json.dumps(generators),
    }
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "serve", "--port", "0"],
        env=os.environ | given,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr
            line = next(line for line in process.stderr if line.startswith("listening on "))
            threading.Thread(target=process.stderr.read).start()
            address = line.split()[-1]
            while httpx.get(f"{address}/readyz").status_code != 200:
                time.sleep(0.05)
            yield process, address
        finally:
            process.kill()


def test_a_stream_is_spoken_to_its_end(pump_corpus: Corpus) -> None:
    go = threading.Event()

    def paced(wire: Wire) -> None:
        wire.head()
        wire.say(f"{SENTENCE} [1] It weighs ")
        go.wait(10)
        wire.say("12 kg. [1]")
        wire.end()

    with running_provider(paced) as provider, serving(pump_corpus, provider.url) as (process, url):
        with httpx.stream("POST", f"{url}/v1/query", json=BODY) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: text"
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            assert httpx.get(f"{url}/healthz").status_code == 200
            for refused in (httpx.get(f"{url}/readyz"), httpx.post(f"{url}/v1/query", json=BODY)):
                assert refused.status_code == 503
                assert refused.json()["type"].endswith(":stopping")
                assert refused.headers["connection"] == "close"
                assert refused.headers["retry-after"] == "1"
            counted = httpx.get(f"{url}/metrics").text
            assert 'frugal_rag_refused_total{problem="stopping"} 2.0' in counted
            go.set()
            *_, receipt = (line for line in lines if line.startswith("data: "))
        assert json.loads(receipt[6:])["answer"] == f"{SENTENCE} [1] It weighs 12 kg. [2]"
        assert process.wait(10) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz")


def test_a_stream_without_end_does_not_hold_up_the_stop(pump_corpus: Corpus) -> None:
    with (
        running_provider(dripping(0.05)) as provider,
        serving(pump_corpus, provider.url) as (process, url),
        httpx.Client(timeout=20) as client,
    ):
        told: list[str] = []

        def ask() -> None:
            told.append(client.post(f"{url}/v1/query", json=BODY).text)

        asking = threading.Thread(target=ask)
        asking.start()
        while not provider.asked:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        assert process.wait(10) == 0
        assert time.monotonic() - stopped < 3 + 5  # a busy machine takes two to end a process
        asking.join()
    assert SENTENCE in told[0]  # the extractive answer, in time
