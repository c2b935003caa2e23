"""One evaluation: every question of a set put to one system, scored, and kept as a record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias

from eval import journal, provenance, records
from eval.datasets import Case, Dataset, sizes
from eval.journal import Entry, Journal
from eval.places import CACHE, RESULTS
from eval.records import Data, Identity, Indexing, Measured, Record, Row, Work
from eval.safety.checker import RuleChecker, SafetyChecker
from eval.score import Scorer, noted
from eval.systems.indexed import documents
from eval.systems.subjects import Subject, neural
from eval.vectors import CachedEmbedder, VectorCache
from rag.build import (
    build_analyzer,
    build_groundedness,
    build_splitter,
    build_tokenizer,
)
from rag.impact import cpu_energy
from rag.settings import Settings
from rag.types import Document, Interval

_WARM_UP: Final = Case("", "What is the first thing to know?", (), (), answerable=False, meta={})

Advance: TypeAlias = Callable[[int], object]


@dataclass(frozen=True)  # not slotted: the identity is read once, whatever changes on disk
class Plan:
    """What is to be run, and where its record and its caches go.

    ``settings`` say what scores and how energy is counted. ``repeats``: how often each question is
    asked, to see how much times and energy vary. ``safety`` makes what looks for unsafe answers,
    called ``checker``.
    """

    dataset: Dataset
    subject: Subject
    settings: Settings
    seed: int = 0
    repeats: int = 1
    results: Path = RESULTS
    cache: Path = CACHE
    safety: Callable[[], SafetyChecker] = RuleChecker
    checker: str = "built in"

    @cached_property
    def identity(self) -> Identity:
        """What names the record."""
        return Identity(
            system=self.subject.name,
            fingerprint=self.subject.fingerprint,
            data_sha256=self.dataset.sha256,
            questions=len(self.dataset.cases),
            asked=provenance.hashed({case.id: case.text for case in self.dataset.cases}),
            code=provenance.code_version(),
            seed=self.seed,
            machine=provenance.hashed(provenance.machine()),
            safety=self.checker,
            repeats=self.repeats,
        )

    @property
    def steps(self) -> int:
        """How often something is asked or scored."""
        return (self.repeats + 1) * len(self.dataset.cases)

    @property
    def path(self) -> Path:
        """Where the record goes."""
        return self.results / f"{self.identity.key}.json"

    @property
    def journal(self) -> Path:
        """Where the questions go that are done, until all are."""
        return self.results / f"{self.identity.key}.partial"


def evaluate(plan: Plan, advance: Advance = int, *, anew: bool = False) -> Record:
    """Return the record of a plan, written to ``plan.path``.

    A run that was cut short goes on where it was; ``anew`` begins at the first question instead.
    ``advance`` is called with the number of ``plan.steps`` done.

    Raises:
        UsageError: The same run is under way in another process.
        LoadError: A document of the set cannot be read.
        AssetError: The model is missing.
    """
    with journal.opened(plan.journal, anew=anew) as kept:
        run = _Run(plan, kept, tuple(documents(plan.dataset)), advance)
        run.ask()
        rows, scoring = run.scored()
        record = _record(plan, rows, run.measured(scoring))
        records.write(record, plan.path)
        plan.journal.unlink(missing_ok=True)
    return record


@dataclass(slots=True)
class _Run:
    """The questions of one plan, asked and to be asked."""

    plan: Plan
    kept: Journal
    documents: tuple[Document, ...]
    advance: Advance
    entries: dict[tuple[int, str], Entry] = field(default_factory=dict)
    vectors: VectorCache = field(init=False)

    def __post_init__(self) -> None:
        self.vectors = VectorCache(self.plan.cache / "vectors.sqlite")
        for entry in self.kept.entries:
            if entry.repeat < self.plan.repeats:
                self.entries[entry.repeat, entry.question] = entry
        self.advance(len(self.entries))

    def ask(self) -> None:
        """Ask what has not been asked yet; nothing else runs meanwhile that would cost time."""
        cases = self.plan.dataset.cases
        todo = [(r, case) for r in range(self.plan.repeats) for case in cases]
        todo = [(r, case) for r, case in todo if (r, case.id) not in self.entries]
        if not todo:
            return
        with self.plan.subject.opened(self.documents, self.vectors) as opened:
            opened.system.ask(_WARM_UP)  # what is loaded on first use is no question's cost
            indexing: Indexing | None = opened.indexing
            for repeat, case in todo:
                outcome, cost = opened.system.ask(case)
                self._add(Entry(repeat, case.id, cost, outcome, indexing=indexing))
                indexing = None

    def _add(self, entry: Entry) -> None:
        first = self.entries.get((0, entry.question))
        if first is not None:
            entry = replace(entry, outcome=None, same=entry.outcome == first.outcome)
        self.kept.add(entry)
        self.entries[entry.repeat, entry.question] = entry
        self.advance(1)

    def scored(self) -> tuple[tuple[Row, ...], Work]:
        """Return a row for each question, and what scoring them took."""
        scorer = _scorer(self.plan, self.documents, self.vectors)
        started = time.process_time()
        rows = tuple(self._row(scorer, case) for case in self.plan.dataset.cases)
        self.vectors.commit()
        seconds = time.process_time() - started
        joules = cpu_energy(Interval(seconds, seconds), pue=self.plan.settings.pue)
        return rows, Work(seconds, joules)

    def _row(self, scorer: Scorer, case: Case) -> Row:
        outcome = self.entries[0, case.id].outcome
        assert outcome is not None  # noqa: S101 -- the first time it is always kept
        scores, findings = scorer.score(case, outcome)
        self.advance(1)
        return Row(
            id=case.id,
            question=case.text,
            kind=str(case.meta["kind"]) if "kind" in case.meta else None,
            answerable=case.answerable,
            answers=case.answers,
            gold=case.gold_ids,
            outcome=outcome,
            scores=scores,
            findings=findings,
            evidence=noted(case, "evidence"),
        )

    def measured(self, scoring: Work) -> Measured:
        """Return what was spent on asking and on scoring."""
        ids = [case.id for case in self.plan.dataset.cases]
        entries = self.entries.values()
        built = [entry.indexing for entry in entries if entry.indexing is not None]
        return Measured(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=provenance.commit(),
            load_average=provenance.load_average(),
            indexing=built[0] if built else None,
            evaluation=scoring,
            repeats=tuple(
                tuple(self.entries[repeat, i].cost for i in ids)
                for repeat in range(self.plan.repeats)
            ),
            unstable=tuple(sorted({entry.question for entry in entries if not entry.same})),
        )


def _record(plan: Plan, rows: tuple[Row, ...], measured: Measured) -> Record:
    size = sizes(plan.dataset)
    return Record(
        version=records.VERSION,
        identity=plan.identity,
        system=plan.subject.name,
        settings=plan.subject.settings,
        data=Data(
            name=plan.dataset.name,
            documents=size.documents,
            questions=size.questions,
            answerable=size.answerable,
            left_out=plan.dataset.left_out,
        ),
        environment={"machine": provenance.machine(), "packages": provenance.packages()},
        rows=rows,
        measured=measured,
    )


def _scorer(plan: Plan, given: Sequence[Document], vectors: VectorCache) -> Scorer:
    embedder = CachedEmbedder(neural(plan.settings), vectors)
    return Scorer(
        tokenizer=build_tokenizer(plan.settings),
        splitter=build_splitter(),
        analyzer=build_analyzer(),
        embedder=embedder,
        groundedness=build_groundedness(embedder),
        safety=plan.safety(),
        texts={document.id: document.text for document in given},
    )
