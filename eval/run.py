"""One question set through the whole path: what is found, what is answered, what it costs."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eval.bench.corpora import single
from eval.bench.ours import built_index, chunked
from eval.datasets import Case, Dataset
from eval.metrics.words import answer_recall
from ingest.load.registry import load_document
from rag.build import build_embedder, build_pipeline
from rag.pipeline import Pipeline
from rag.results import Answer, Question
from rag.settings import Settings
from rag.types import Document, Filter

_PATIENCE_SECONDS = 60.0
_VERDICTS = {"yes", "no"}  # said of evidence, never found in it


@dataclass(frozen=True, slots=True)
class Report:
    """Shares over the questions of one set; None where there is no such question.

    ``answer_recall``: answerable questions whose context holds an answer string (those that are
    answered by yes or no left out); ``answered``: of the answerable ones; ``right_when_answered``:
    answers that hold an answer string; ``refused_rightly``: of the unanswerable ones.
    ``context_tokens`` and ``cpu_milliseconds`` are means per question.
    """

    dataset: str
    sha256: str
    fingerprint: str
    tier: str
    budget_tokens: int
    frugality: float
    questions: int
    answer_recall: float | None
    answered: float | None
    right_when_answered: float | None
    refused_rightly: float | None
    context_tokens: float
    cpu_milliseconds: float

    def to_json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self))

    def to_text(self) -> str:
        """Return the report for a person, one line a figure."""
        rows = asdict(self).items()
        return "\n".join(f"{name.replace('_', ' '):<20} {_shown(value)}" for name, value in rows)


def evaluate(dataset: Dataset, settings: Settings) -> Report:
    """Return how the configured pipeline does on a question set, indexed from nothing.

    Raises:
        LoadError: A document of the set cannot be read.
        AssetError: The model is missing.
    """
    embedder = build_embedder(settings)
    chunks = chunked(list(_documents(dataset)), settings)
    with tempfile.TemporaryDirectory(prefix="rag-eval-") as folder:
        path = Path(folder) / "index"
        with built_index(path, chunks, embedder, settings.tenant) as index:
            pipeline = build_pipeline(settings, index, lambda: None, embedder)
            started = time.process_time()
            answers = [_asked(pipeline, case, settings) for case in dataset.cases]
            seconds = time.process_time() - started
    return _report(dataset, settings, answers, seconds)


def _documents(dataset: Dataset) -> Iterator[Document]:
    if dataset.documents is None:
        yield from (single(text) for text in dataset.texts)
        return
    for path in sorted(p for p in dataset.documents.rglob("*") if p.is_file()):
        yield load_document(path, path.relative_to(dataset.documents).as_posix())


def _asked(pipeline: Pipeline, case: Case, settings: Settings) -> Answer:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    where = Filter(settings.tenant)
    budget, frugality = settings.budget_tokens, settings.frugality
    return pipeline.answer(Question(case.text, where, budget, deadline, frugality))


def _report(
    dataset: Dataset, settings: Settings, answers: Sequence[Answer], seconds: float
) -> Report:
    pairs = list(zip(dataset.cases, answers, strict=True))
    answerable = [(case, answer) for case, answer in pairs if case.answerable]
    strings = [(c, a) for c, a in answerable if set(c.answers) - _VERDICTS]
    answered = [(c, a) for c, a in strings if a.text is not None]
    refused = [answer.abstained for case, answer in pairs if not case.answerable]
    return Report(
        dataset=dataset.name,
        sha256=dataset.sha256,
        fingerprint=settings.fingerprint(),
        tier=settings.tier,
        budget_tokens=settings.budget_tokens,
        frugality=settings.frugality,
        questions=len(pairs),
        answer_recall=_mean([answer_recall(a.context.text, c.answers) for c, a in strings]),
        answered=_mean([not answer.abstained for _, answer in answerable]),
        right_when_answered=_mean([answer_recall(a.text or "", c.answers) for c, a in answered]),
        refused_rightly=_mean(refused),
        context_tokens=_mean([a.context.tokens for _, a in pairs]) or 0.0,
        cpu_milliseconds=1000 * seconds / max(1, len(pairs)),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
