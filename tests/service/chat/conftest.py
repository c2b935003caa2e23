"""The service with the real client of OpenAI before it, and a provider behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import pytest

from eval.misbehaving_provider import Provider, running_provider

Asking: TypeAlias = Callable[..., AbstractContextManager[httpx.Client]]
QUESTION = "How long is the pump covered?"


@dataclass
class Service:
    client: httpx.Client
    provider: Provider
    openai: Any

    def complete(self, *said: str, model: str = "frugal-rag-extract", **fields: Any) -> Any:
        """Ask with the turns said so far, the user's first."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]
        asked = {"model": model, "messages": messages or [{"role": "user", "content": QUESTION}]}
        return self.openai.chat.completions.create(**asked | fields)


@contextmanager
def service_of(client: httpx.Client, provider: Provider) -> Iterator[Service]:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{client.base_url}/v1", api_key="sk-theirs") as theirs:
        yield Service(client, provider, theirs)


@pytest.fixture(scope="module")
def service(asking: Asking, pump_corpus: object) -> Iterator[Service]:
    with running_provider() as provider:
        far = {"name": "far", "kind": "openai", "model": "tiny", "url": provider.url}
        given = {"generators": [far], "if_unwritten": "error", "max_answer_tokens": 50}
        with (
            asking(pump_corpus, **given, deadline_seconds=4) as client,
            service_of(client, provider) as service,
        ):
            yield service


@pytest.fixture(scope="module")
def speaking() -> Callable[[httpx.Client, Provider], AbstractContextManager[Service]]:
    """How a client of OpenAI is put before a service."""
    return service_of
