"""What callers ask of a service under load, as bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence

from eval.bench.corpora import SEED
from eval.bench.traffic import Sending


def asks(netloc: str, questions: Sequence[str]) -> Iterator[Sending]:
    """Yield questions without end, in a seeded order."""
    drawn = random.Random(SEED)  # noqa: S311 -- not a secret
    while True:
        yield Sending("query", posted(netloc, "/v1/query", {"question": drawn.choice(questions)}))


def mixture(netloc: str, questions: Sequence[str]) -> Iterator[Sending]:
    """Yield all that callers do, without end: a fifth of the questions come again and again."""
    drawn = random.Random(SEED)  # noqa: S311 -- not a secret
    kinds = ("query", "retrieve", "stream", "chat", "wrong", "leave")
    few = questions[: max(1, len(questions) // 50)]
    while True:
        kind = drawn.choices(kinds, (60, 15, 10, 5, 5, 5))[0]
        again = drawn.random() < 0.2
        # The budget makes it another question to the cache, and the same work.
        budget = 256 if again else drawn.randrange(200, 300)
        text = drawn.choice(few if again else questions)
        yield _sending(netloc, kind, text, budget)


def _sending(netloc: str, kind: str, text: str, budget: int) -> Sending:
    asked = {"question": text, "budget_tokens": budget}
    if kind == "retrieve":
        return Sending(kind, posted(netloc, "/v1/retrieve", asked))
    if kind == "stream":
        return Sending(kind, posted(netloc, "/v1/query", {**asked, "stream": True}))
    if kind == "chat":
        said = {"model": "frugal-rag", "messages": [{"role": "user", "content": text}]}
        return Sending(kind, posted(netloc, "/v1/chat/completions", said))
    if kind == "wrong":
        return Sending(kind, posted(netloc, "/v1/query", {"question": ""}))
    return Sending(kind, posted(netloc, "/v1/query", asked), "leave" if kind == "leave" else "read")


def posted(netloc: str, path: str, body: Mapping[str, object]) -> bytes:
    """Return the bytes of a request."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {netloc}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
