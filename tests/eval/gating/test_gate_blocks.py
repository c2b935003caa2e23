"""The gate over real runs on the samples: planted faults close it, unchanged runs do not.

The faults are planted from outside into the parts that serve questions; the policy is the one that
is shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from eval.datasets import Case, load_dataset, sampled
from eval.gating.gate import CLOSED, Verdict, judged
from eval.gating.policy import load_policy
from eval.outcomes import Cost, Outcome, System
from eval.records import Record
from eval.run import Plan, evaluate
from eval.systems.frugal import FrugalRag
from eval.systems.subjects import FrugalSubject, Opened
from eval.vectors import VectorCache
from rag.pack import Need, Offered, Packer
from rag.pipeline import Pipeline
from rag.results import Passage
from rag.settings import load_settings
from rag.types import Document

ROOT = Path(__file__).parents[3]
QUESTIONS = 40
Run = Callable[..., Record]

pytestmark = pytest.mark.slow


class WorstFirst(Packer):
    """A packer that offers the sentences in the wrong order."""

    def ranked(self, passages: Sequence[Passage], need: Need) -> list[Offered]:
        return super().ranked(passages, need)[::-1]


class WithoutTheBest(Packer):
    """A packer that loses the best sentence."""

    def ranked(self, passages: Sequence[Passage], need: Need) -> list[Offered]:
        return super().ranked(passages, need)[1:]


@dataclass(frozen=True)
class Misquoting:
    """A system whose citations name a place one character further on."""

    inside: System

    @property
    def name(self) -> str:
        return self.inside.name

    def ask(self, case: Case) -> tuple[Outcome, Cost]:
        outcome, cost = self.inside.ask(case)
        moved = [replace(q, start=q.start + 1, end=q.end + 1) for q in outcome.citations]
        return replace(outcome, citations=tuple(moved)), cost


def packing_with(packer: type[Packer]) -> Callable[[System], System]:
    def planted(system: System) -> System:
        assert isinstance(system, FrugalRag)
        pipeline = system.pipeline
        assert isinstance(pipeline, Pipeline)
        parts = pipeline._parts
        worse = packer(parts.packer.tokenizer, parts.packer.analyzer)
        return FrugalRag(Pipeline(replace(parts, packer=worse), pipeline._policy), system.settings)

    return planted


@dataclass(frozen=True)
class Planted(FrugalSubject):
    """The real subject, but for what ``fault`` does to the system once it is open."""

    fault: Callable[[System], System]

    @contextmanager
    def opened(self, documents: Sequence[Document], vectors: VectorCache) -> Iterator[Opened]:
        with super().opened(documents, vectors) as opened:
            yield replace(opened, system=self.fault(opened.system))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a maker of records: a third of the samples in the lexical tier, from nothing."""
    dataset = sampled(load_dataset(ROOT / "samples"), QUESTIONS, seed=0)
    cache = tmp_path_factory.mktemp("cache")

    def made(
        fault: Callable[[System], System] = lambda system: system,
        repeats: int = 1,
        **settings: object,
    ) -> Record:
        configured = load_settings(tier="lexical", **settings)
        results = tmp_path_factory.mktemp("results")
        subject = Planted(configured, fault)
        plan = Plan(dataset, subject, configured, repeats=repeats, results=results, cache=cache)
        return evaluate(plan)

    return made


@pytest.fixture(scope="module")
def baseline(run: Run) -> Record:
    return run(repeats=3)


def verdict(candidate: Record, baseline: Record) -> Verdict:
    return judged(candidate, baseline, load_policy(ROOT / "eval.toml"))


def blamed(found: Verdict, measure: str) -> set[str]:
    held = next(held for held in found.measures if held.measure == measure)
    assert held.status == "block"
    assert held.questions
    return {change.id for change in held.questions}


@pytest.mark.parametrize("packer", [WorstFirst, WithoutTheBest])
def test_a_worse_packer_blocks(run: Run, baseline: Record, packer: type[Packer]) -> None:
    found = verdict(run(packing_with(packer)), baseline)
    assert found.exit_code == CLOSED
    before = {row.id: row.scores["answer_recall"] for row in baseline.rows}
    assert {before[question] for question in blamed(found, "answer_recall")} == {1.0}
    assert "cap_tokens" not in found.blocked_by


def test_a_doubled_budget_blocks(run: Run, baseline: Record) -> None:
    found = verdict(run(budget_tokens=512), baseline)
    assert found.exit_code == CLOSED
    assert {*found.blocked_by} >= {"cap_tokens", "context_tokens"}
    assert len(blamed(found, "cap_tokens")) == len(baseline.rows)
    assert not {"answer_recall", "citation_precision", "safe"} & {*found.blocked_by}


def test_a_broken_citation_blocks(run: Run, baseline: Record) -> None:
    found = verdict(run(Misquoting), baseline)
    assert found.exit_code == CLOSED
    assert found.blocked_by == ("citation_precision",)
    cited = {row.id for row in baseline.rows if row.outcome.citations}
    assert blamed(found, "citation_precision") == cited


def test_a_disabled_abstention_blocks(run: Run, baseline: Record) -> None:
    found = verdict(run(answer_threshold=0.0), baseline)
    assert found.exit_code == CLOSED
    unanswerable = {row.id for row in baseline.rows if not row.answerable}
    assert blamed(found, "refusal_recall") <= unanswerable
    assert not {"cap_tokens", "context_tokens", "answer_recall"} & {*found.blocked_by}


def test_ten_unchanged_runs_do_not_block(run: Run, baseline: Record) -> None:
    for _ in range(10):
        again = run()
        found = verdict(again, baseline)
        assert not found.blocked_by
        assert again.rows == baseline.rows
        compared = {held.measure for held in found.measures if held.status == "pass"}
        assert compared >= {"context_tokens", "groundedness", "answer_recall"}
