"""Answers and questions for the tests of the cache."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rag.cache.answer_cache import AnswerCache
from rag.cache.values import Asked, Cached, Clue, Cost, Limits, Said, Scope
from rag.results import Citation, Context, Evidence, Short
from rag.types import Chunk, Filter, Interval, Span


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A cache with what is asked of it."""

    def __init__(self, folder: Path, make_chunk: Callable[..., Chunk]) -> None:
        self.folder = folder
        self.clock = Clock()
        self._make_chunk = make_chunk
        self.cache = self.opened()

    def opened(self, limits: Limits | None = None) -> AnswerCache:
        """Open the folder once more, as another process would."""
        return AnswerCache(self.folder, limits, self.clock)

    def context(self, *facts: str, doc_id: str = "doc", title: str = "Title") -> Context:
        chunks = [
            self._make_chunk([fact, "And more."], doc_id=doc_id, title=title, headings=("Top",))
            for fact in facts
        ]
        evidence = tuple(Evidence(c, 0, 0.9, 0.8, 0.7, n) for n, c in enumerate(chunks, 1))
        text = "\n".join(f"[{e.source}] {title}: {e.text}" for e in evidence)
        return Context(text, 12, 128, evidence, "nothing is left", (doc_id, "offered"))

    def said(self, context: Context, text: str | None = "It is so.") -> Said:
        cited = tuple(
            Citation(e.chunk.doc_id, e.chunk.title, e.text, 0, len(e.text), None, e.headings, ())
            for e in context.evidence
        )
        return Said(
            text=text,
            citations=cited if text else (),
            abstained=text is None,
            reason=None if text else "nothing fits",
            confidence=0.75,
            groundedness=1.0 if text else None,
            nearest=() if text else cited,
            context=context,
            short=Short("phrase", "so", (Span(6, 8),), 0.5) if text else None,
        )

    def clue(self, *numbers: float) -> Clue:
        vector = np.array(numbers or (1.0, 0.0, 0.0), dtype=np.float32)
        return Clue(vector / np.linalg.norm(vector))

    def asked(
        self, text: str, tenant: str = "one", generation: str = "g1", **more: object
    ) -> Asked:
        scope = Scope(Filter(tenant), 128, 0.0, "settings")
        return Asked(text, scope, generation, **more)  # type: ignore[arg-type]

    def keep(self, text: str, *facts: str, joules: float = 2.0, **more: str) -> Context:
        """Keep an answer made from these facts."""
        context = self.context(*(facts or ("It is so.",)))
        cost = Cost(Interval(joules, joules), 10)
        assert self.cache.keep(self.asked(text, **more), self.clue(), self.said(context), cost)
        return context

    def exact(self, text: str, **more: str) -> Cached | None:
        return self.cache.exact(self.asked(text, **more))

    def similar(self, text: str, context: Context, **more: str) -> Cached | None:
        return self.cache.similar(self.asked(text, **more), self.clue(), context)


@pytest.fixture
def world(tmp_path: Path, make_chunk: Callable[..., Chunk]) -> Iterator[World]:
    """A cache in an empty folder."""
    made = World(tmp_path / "cache", make_chunk)
    yield made
    made.cache.close()


@pytest.fixture(scope="session")
def world_class() -> type[World]:
    """The class, for tests that make many."""
    return World
