"""frugal-rag on benchmark documents, by the path that a question really takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from eval.bench.shown import Shown
from eval.datasets import Case
from rag.build import build_pipeline
from rag.pipeline import Pipeline
from rag.protocols import Embedder, IndexReader
from rag.results import Question
from rag.settings import Settings
from rag.types import Filter

STOPPING = ", stopping early"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class FrugalSystem:
    """frugal-rag at one budget [tokens] and one value of the dial; 0 fills the budget."""

    name: str
    pipeline: Pipeline
    tenant: str
    budget_tokens: int
    frugality: float = 0.0

    @property
    def setting(self) -> str:
        """The budget, and the dial where it is not 0."""
        dial = f", frugality {self.frugality:g}" if self.frugality else ""
        return f"budget {self.budget_tokens}{dial}"

    def show(self, case: Case) -> Shown:
        """Return the context exactly as a generator would read it."""
        where = Filter(self.tenant)
        deadline = time.monotonic() + 60
        question = Question(case.text, where, self.budget_tokens, deadline, self.frugality)
        context = self.pipeline.retrieve(question).context
        documents = frozenset(
            doc_id
            for evidence in context.evidence
            for doc_id in (evidence.chunk.doc_id, *evidence.chunk.also_in)
        )
        return Shown(context.text, context.tokens, documents)


def systems(
    index: IndexReader, settings: Settings, embedder: Embedder | None, budgets: Sequence[int]
) -> list[FrugalSystem]:
    """Return frugal-rag over an index at each budget."""
    pipeline = build_pipeline(settings, index, lambda: None, embedder)
    name = f"frugal-rag {settings.tier}"
    return [FrugalSystem(name, pipeline, settings.tenant, budget) for budget in budgets]


def stopping(systems: Iterable[FrugalSystem], frugalities: Iterable[float]) -> list[FrugalSystem]:
    """Return each system at each value of the dial, named as stopping early."""
    values = tuple(frugalities)
    return [
        replace(system, name=f"{system.name}{STOPPING}", frugality=value)
        for system in systems
        for value in values
    ]
