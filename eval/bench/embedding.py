"""What a vector costs: the forms of MiniLM side by side, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import random
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from eval.bench import arithmetic
from eval.bench.corpora import SEED, corpora, sampled
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.systems.indexed import chunked
from rag.adapters.minilm import MiniLmEmbedder
from rag.protocols import Embedder
from rag.settings import load_settings
from rag.types import Chunk, Vector

_T = TypeVar("_T")
_CORPUS = "squad_small"
_TEXTS = 100
_QUICK_TEXTS = 20
_REPEATS = 3
_QUESTIONS = 400
_QUICK_QUESTIONS = 40


@dataclass(frozen=True, slots=True)
class Form:
    """A way to compute the model."""

    name: str
    threads: int
    integer: bool


FORMS = (
    Form("float32 (reference), 1 thread", threads=1, integer=False),
    Form("float32 (reference), 2 threads", threads=2, integer=False),
    Form("integer (default), 1 thread", threads=1, integer=True),
    Form("integer (default), 2 threads", threads=2, integer=True),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one form takes: CPU [ms] a text, CPU [s] to load, memory it adds once in use [MiB].

    ``independent`` says whether every vector came out the same, bit by bit, in another order and
    from a second embedder.
    """

    passage_ms: float
    question_ms: float
    load_seconds: float
    added_mib: float
    independent: bool


@dataclass(frozen=True, slots=True)
class Likeness:
    """Cosines of a form's vectors to those of the first form."""

    mean: float
    lowest: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The texts to embed."""

    chunks: tuple[Chunk, ...]
    questions: tuple[str, ...]


def bench(data: Path, *, quick: bool) -> None:
    """Measure all forms and compare recall, print two tables, and leave ``embedding.json``."""
    origin = provenance()
    texts = _QUICK_TEXTS if quick else _TEXTS
    sample = drawn(data, texts)
    costs = [_apart(form, sample) for form in FORMS]
    likeness = likenesses([_embedder(form) for form in FORMS], sample)
    print(_table(costs, likeness), flush=True)
    recalls = arithmetic.comparisons(data, _QUICK_QUESTIONS if quick else _QUESTIONS)
    print(f"\n{arithmetic.comparisons_table(recalls)}")
    rows = [
        {"form": form.name, **asdict(cost), "cosine": asdict(alike)}
        for form, cost, alike in zip(FORMS, costs, likeness, strict=True)
    ]
    drawing = {"seed": SEED, "corpus": _CORPUS, "texts": texts, "repeats": _REPEATS}
    body = {**drawing, "forms": rows, "recall": arithmetic.rows_of(recalls)}
    write_record("embedding", origin | body, CACHE if quick else RESULTS)


def drawn(data: Path, texts: int) -> Sample:
    """Return so many chunks and questions of the corpus, the same for the same data."""
    corpus = corpora(data, texts)[_CORPUS]()
    chunks = chunked(corpus.documents, load_settings())
    chosen = random.Random(SEED).sample(chunks, min(texts, len(chunks)))  # noqa: S311 -- no secret
    questions = tuple(case.text for case in sampled(corpus.cases, texts))
    return Sample(tuple(chosen), questions)


def cost(form: Form, sample: Sample) -> Cost:
    """Return what a form takes in this process; its memory is right in a fresh one only."""
    before, started = _resident_mib(), time.process_time()
    embedder = _embedder(form)
    loaded = time.process_time() - started
    rows = _vectors(embedder, sample)
    passage = _least_ms(embedder.embed_passage, sample.chunks)
    question = _least_ms(embedder.embed_question, sample.questions)
    added = _resident_mib() - before
    other = _embedder(form)
    again = _vectors(other, Sample(sample.chunks[::-1], sample.questions[::-1]))
    chunks = len(sample.chunks)
    again = again[:chunks][::-1] + again[chunks:][::-1]
    same = all(np.array_equal(a, b) for a, b in zip(rows, again, strict=True))
    return Cost(passage, question, loaded, added, same)


def likenesses(embedders: Sequence[Embedder], sample: Sample) -> list[Likeness]:
    """Return for each embedder how near its unit vectors are to those of the first."""
    matrices = [np.vstack(_vectors(embedder, sample)) for embedder in embedders]
    cosines = [(matrix * matrices[0]).sum(axis=1) for matrix in matrices]
    return [Likeness(float(c.mean()), float(c.min())) for c in cosines]


def _embedder(form: Form) -> MiniLmEmbedder:
    return MiniLmEmbedder(form.threads, integer=form.integer)


def _apart(form: Form, sample: Sample) -> Cost:
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as process:
        return process.submit(cost, form, sample).result()


def _vectors(embedder: Embedder, sample: Sample) -> list[Vector]:
    """Return the vectors of each chunk and its sentences, then that of each question."""
    rows = []
    for chunk in sample.chunks:
        vectors = embedder.embed_passage(chunk)
        rows.append(np.vstack([vectors.passage, vectors.sentences]))
    return rows + [embedder.embed_question(text)[np.newaxis] for text in sample.questions]


def _least_ms(embed: Callable[[_T], object], texts: Sequence[_T]) -> float:
    """Return the mean CPU time of a text [ms], the least of some rounds: others add noise."""
    rounds = []
    for _ in range(_REPEATS):
        started = time.process_time()
        for text in texts:
            embed(text)
        rounds.append(time.process_time() - started)
    return 1000 * min(rounds) / len(texts)


def _resident_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"^VmRSS:\s*(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _table(costs: Sequence[Cost], likeness: Sequence[Likeness]) -> str:
    header = ("form", "passage [CPU ms]", "question [CPU ms]", "load [CPU s]", "memory [MiB]")
    more = ("cosine", "lowest", "same in any order")
    rows = [
        (
            form.name,
            f"{cost.passage_ms:.1f}",
            f"{cost.question_ms:.2f}",
            f"{cost.load_seconds:.2f}",
            f"{cost.added_mib:.0f}",
            f"{alike.mean:.4f}",
            f"{alike.lowest:.4f}",
            "yes" if cost.independent else "no",
        )
        for form, cost, alike in zip(FORMS, costs, likeness, strict=True)
    ]
    return table((*header, *more), rows)
