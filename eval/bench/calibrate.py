"""Fits the confidence of extractive answers: how likely the chosen sentence holds the answer.

Logistic regression on the signals of ``rag.answer``, fitted on every second question and reported
on the others, and on Natural Questions, which the fit never sees. Questions are made unanswerable
by hiding the article that answers them.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bench import ours
from eval.bench.corpora import SEED, articles, sampled, single
from eval.bench.records import CACHE, table, write_record
from eval.bench.vectors import CachedEmbedder, VectorCache
from eval.datasets import Case, load_dataset
from eval.metrics import answer_recall
from ingest.load.registry import load_document
from rag.answer import LEXICAL, NEURAL, Calibration, Choice, Signals, choose
from rag.build import build_analyzer, build_embedder, build_tokenizer
from rag.pack import Need, Packer
from rag.protocols import IndexReader
from rag.results import Question
from rag.retrieve import Asked, Retrieval, retrieve
from rag.settings import Settings, load_settings
from rag.types import Document, Filter

_BUDGET = 256
_THRESHOLD = 0.5
_RIDGE = 1.0
_NEWTON_STEPS = 30
_BINS = 10
_VERDICTS = {"yes", "no"}  # said by evidence, never found in it
_SAMPLES = Path(__file__).parents[2] / "samples"


@dataclass(frozen=True, slots=True)
class Judged:
    """Signals of the chosen sentences (questions, signals) and whether each holds the answer.

    Sets with a ``weight`` lend every second question to the fit; the others none.
    """

    name: str
    signals: NDArray[np.float64]
    right: NDArray[np.float64]
    weight: float

    def half(self, which: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the signals and labels of the even (0) or odd (1) questions."""
        return self.signals[which::2], self.right[which::2]

    def unseen(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the fit has not seen."""
        return self.half(1) if self.weight > 0 else (self.signals, self.right)


@dataclass(frozen=True, slots=True)
class Asking:
    """A way to ask one index in one tier."""

    index: IndexReader
    settings: Settings
    packer: Packer
    embedder: CachedEmbedder | None

    def choice(self, case: Case, where: Filter) -> Choice | None:
        """Return the sentence that would answer, with its signals."""
        analyzer = self.packer.analyzer
        asked = Asked.prepare(case.text, analyzer, self.embedder)
        chosen = self.settings
        wide = Retrieval(chosen.candidates, chosen.offered_passages, chosen.dense_weight)
        question = Question(case.text, where, _BUDGET, deadline=math.inf)
        found = retrieve(asked, question, self.index, wide)
        context = self.packer.pack(found.passages, Need(found.idf), _BUDGET)
        return choose(case.text, found, context, analyzer)


def run(data: Path, questions: int) -> None:
    """Fit both tiers, print weights and reliability, leave ``calibration.json``."""
    embedder = build_embedder(load_settings(tier="neural"))
    if embedder is None:
        raise AssertionError("the neural tier has an embedder")
    cached = CachedEmbedder(embedder, VectorCache(CACHE / "vectors.sqlite"))
    record: dict[str, Any] = {"seed": SEED, "questions_at_most": questions, "tiers": {}}
    rows: list[tuple[str, ...]] = []
    for tier, shipped in (("neural", NEURAL), ("lexical", LEXICAL)):
        settings = load_settings(tier=tier)
        with tempfile.TemporaryDirectory(prefix="rag-calibrate-") as scratch:
            sets = _judged(data, questions, settings, cached if tier == "neural" else None, scratch)
        fitted = _fit(sets)
        rows += [_row(tier, judged, shipped) for judged in sets]
        print(f"{tier}: fitted {_written(fitted)}, shipped {_written(shipped)}\n")
        record["tiers"][tier] = {"fitted": astuple(fitted), "shipped": astuple(shipped)}
    cached.flush()
    header = ("tier", "unseen questions of", "n", "right", "mean confidence", "AUROC")
    print(table((*header, "ECE", "answered", "right when answered"), rows))
    write_record("calibration", {**record, "rows": [list(row) for row in rows]})


def _judged(
    data: Path, questions: int, settings: Settings, embedder: CachedEmbedder | None, scratch: str
) -> list[Judged]:
    squad, clapnq, nq = (load_dataset(data / n) for n in ("squad_v1_dev", "clapnq_dev", "nq_gold"))
    documents = {
        "squad": articles([text for text in squad.texts if text.split == "dev"]),
        "clapnq": tuple(single(text) for text in clapnq.texts),
        "nq": tuple(single(text) for text in nq.texts),
        "samples": tuple(_sample_documents(_SAMPLES / "docs")),
    }
    packer = Packer(build_tokenizer(settings), build_analyzer())
    asking = {}
    for name, texts in documents.items():
        chunks = ours.chunked(texts, settings)
        index = ours.built_index(Path(scratch) / name, chunks, embedder, settings.tenant)
        asking[name] = Asking(index, settings, packer, embedder)
    on_squad, every = sampled(squad.cases, questions), tuple(d.id for d in documents["squad"])
    own = load_dataset(_SAMPLES).cases
    hidden = [_Ask(case, _all_but(case, every), right=False) for case in on_squad]
    return [
        _signals("squad", asking["squad"], [_Ask(case) for case in on_squad], 1.0),
        _signals("squad, answer hidden", asking["squad"], hidden, 0.5),
        _signals("clapnq", asking["clapnq"], [_Ask(case) for case in clapnq.cases], 1.5),
        _signals("samples", asking["samples"], [_Ask(case) for case in own], 3.0),
        _signals("nq", asking["nq"], [_Ask(case) for case in sampled(nq.cases, questions)], 0.0),
    ]


def _sample_documents(folder: Path) -> Iterator[Document]:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield load_document(path, path.relative_to(folder).as_posix())


@dataclass(frozen=True, slots=True)
class _Ask:
    """One question, where to look (everywhere if empty), and the label if it is known before."""

    case: Case
    documents: tuple[str, ...] = ()
    right: bool | None = None


def _signals(name: str, asking: Asking, asks: Sequence[_Ask], weight: float) -> Judged:
    signals, right = [], []
    for ask in asks:
        where = Filter(asking.settings.tenant, documents=ask.documents)
        choice = asking.choice(ask.case, where)
        if choice is not None:
            signals.append(astuple(choice.signals))
            known = ask.right if ask.right is not None else _holds(choice, ask.case)
            right.append(float(known))
    return Judged(name, np.array(signals), np.array(right), weight)


def _all_but(case: Case, documents: Sequence[str]) -> tuple[str, ...]:
    gold = {gold_id.rpartition("#")[0] for gold_id in case.gold_ids}
    return tuple(doc_id for doc_id in documents if doc_id not in gold)


def _holds(choice: Choice, case: Case) -> bool:
    """Return whether the sentence holds an answer or, for long answers, is a gold sentence."""
    if not case.answerable:
        return False
    evidence = case.meta.get("evidence", ())
    gold = [_words(s) for part in evidence for s in ([part] if isinstance(part, str) else part)]
    said = _words(choice.evidence.text)
    if any(g in said or said in g for g in gold if g):
        return True
    return answer_recall(choice.evidence.text, [a for a in case.answers if a not in _VERDICTS])


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _fit(sets: Sequence[Judged]) -> Calibration:
    """Return the weights of largest penalised likelihood, by Newton's method."""
    halves = [(*judged.half(0), judged.weight) for judged in sets if judged.weight > 0]
    x = np.vstack([np.c_[np.ones(len(y)), s] for s, y, _ in halves])
    y = np.concatenate([y for _, y, _ in halves])
    weight = np.concatenate([np.full(len(y), w) for _, y, w in halves])
    penalty = np.r_[0.0, np.full(x.shape[1] - 1, _RIDGE)]
    beta = np.zeros(x.shape[1])
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-x @ beta))
        slope = x.T @ (weight * (y - p)) - penalty * beta
        bend = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        beta += np.linalg.solve(bend, slope)
    return Calibration(float(beta[0]), tuple(float(b) for b in beta[1:]))


def _row(tier: str, judged: Judged, calibration: Calibration) -> tuple[str, ...]:
    signals, right = judged.unseen()
    p = np.array([calibration.probability(Signals(*row)) for row in signals])
    answered = p >= _THRESHOLD
    precision = f"{right[answered].mean():.2f}" if answered.any() else "-"
    ranked = f"{_auroc(p, right):.3f}" if 0 < right.mean() < 1 else "-"
    means = (f"{right.mean():.2f}", f"{p.mean():.2f}", ranked, f"{_ece(p, right):.3f}")
    return (tier, judged.name, str(len(p)), *means, f"{answered.mean():.2f}", precision)


def _auroc(p: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return the share of (right, wrong) pairs in the right order; ties count half."""
    above = p[right == 1][:, None] - p[right == 0][None, :]
    return float((above > 0).mean() + (above == 0).mean() / 2)


def _ece(p: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Return the expected calibration error over ten equal bins.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning".
    """
    bins = np.minimum((p * _BINS).astype(int), _BINS - 1)
    gaps = [abs(p[bins == b].sum() - right[bins == b].sum()) for b in range(_BINS)]
    return float(sum(gaps) / len(p))


def _written(calibration: Calibration) -> str:
    weights = ", ".join(f"{w:.2f}" for w in calibration.weights)
    return f"({calibration.intercept:.2f}; {weights})"
