"""What reading a question's wording wins and costs: typos, identifiers, acronyms.

Clean questions beside the same with one typo each; questions that name an identifier of
documentation, with and without terms for compounds; and questions in that form of an acronym
which the passage lacks.
"""

from __future__ import annotations

import random
import re
import string
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from eval.bench import forms
from eval.bench.corpora import SEED, Corpus, corpora
from eval.bench.identifiers import IdentifierRow, identifier_rows
from eval.bench.indexes import temporary_index
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.bench.vectors import cached
from eval.metrics.words import answer_recall
from eval.systems.indexed import chunked
from eval.systems.subjects import neural
from rag.bm25 import query_vector
from rag.build import build_analyzer, build_tokenizer
from rag.pack import Need, Packer, TokenAllowance
from rag.protocols import Embedder, IndexReader
from rag.results import Question
from rag.retrieve import Asked, Retrieval, retrieve
from rag.settings import Settings, load_settings
from rag.spelling import Speller
from rag.types import Filter, SearchQuery

_BUDGET = 128
_WORD = re.compile(r"(?<![\w'-])[A-Za-z]{4,}(?![\w'-])")


@dataclass(frozen=True, slots=True)
class Row:
    """Typos in the questions, for one tier on one corpus; recalls at 128 tokens.

    ``changed`` counts clean questions that came back different; ``milliseconds`` is the CPU time
    of mending one spoiled question.
    """

    corpus: str
    tier: str
    clean: float
    clean_mended: float
    spoiled: float
    spoiled_mended: float
    changed: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class _Spoiled:
    """Questions as they are and spoiled, each as it is and mended."""

    texts: tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[str]]
    milliseconds: float

    @property
    def changed(self) -> int:
        clean, mended, *_ = self.texts
        return sum(a != b for a, b in zip(clean, mended, strict=True))


def bench(data: Path, *, quick: bool) -> None:
    """Measure, print the table, and keep a record of a full run."""
    origin = provenance()
    questions = 100 if quick else 600
    names = ("squad_small",) if quick else ("squad_small", "nq_pooled", "hotpotqa_400")
    settings = load_settings(tier="neural", tokenizer="cl100k_base")
    embedder = cached(neural(settings))
    rows: list[Row] = []
    spelled: list[forms.FormsRow] = []
    for name in names:
        corpus = corpora(data, questions)[name]()
        chunks = chunked(corpus.documents, settings)
        with temporary_index(chunks, embedder, settings.tenant) as index:
            rows += _measured(corpus, index, embedder, settings)
            draw = random.Random(SEED)  # noqa: S311 -- not a secret
            askings = forms.questions(chunks, draw)
            tiers = [forms.Forms(index, model, settings) for model in (None, embedder)]
            spelled += [tier.row(corpus, askings) for tier in tiers]
        embedder.flush()
    identifiers = identifier_rows(data, settings, quick=quick)
    print(_rows_table(rows), _identifiers_table(identifiers), _forms_table(spelled), sep="\n\n")
    body = {"seed": SEED, "questions": questions, "budget_tokens": _BUDGET}
    kinds: dict[str, Sequence[Any]] = {
        "rows": rows,
        "identifiers": identifiers,
        "acronyms": spelled,
    }
    found = {kind: [asdict(row) for row in each] for kind, each in kinds.items()}
    write_record("wording", origin | body | found, CACHE if quick else RESULTS)


def mistyped(text: str, draw: random.Random) -> str:
    """Return the question with one random edit in one of its content words of four letters on."""
    analyzer = build_analyzer()
    words = [match for match in _WORD.finditer(text) if analyzer.terms(match.group())]
    if not words:
        return text
    match = draw.choice(words)
    word, at = match.group(), draw.randrange(len(match.group()))
    letter = draw.choice(string.ascii_lowercase)
    swapped = min(at, len(word) - 2)
    typo = draw.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + letter + word[at + 1 :],
            word[:at] + letter + word[at:],
            word[:swapped] + word[swapped + 1] + word[swapped] + word[swapped + 2 :],
        )
    )
    return text[: match.start()] + typo + text[match.end() :]


def _measured(
    corpus: Corpus, index: IndexReader, embedder: Embedder, settings: Settings
) -> list[Row]:
    typos = _with_typos(corpus, index, settings.tenant)
    rows = []
    for tier, model in (("lexical", None), ("neural", embedder)):
        shown = _Shown(index, model, settings)
        clean, mended, wrong, right = (_recall(corpus, texts, shown) for texts in typos.texts)
        kept = (clean, mended, wrong, right, typos.changed, typos.milliseconds)
        rows.append(Row(corpus.name, tier, *kept))
    return rows


def _with_typos(corpus: Corpus, index: IndexReader, tenant: str) -> _Spoiled:
    draw = random.Random(SEED)  # noqa: S311 -- not a secret
    clean = [case.text for case in corpus.cases]
    typo = [mistyped(text, draw) for text in clean]
    clean_mended, _ = _mended(clean, index, tenant)
    typo_mended, milliseconds = _mended(typo, index, tenant)
    return _Spoiled((clean, clean_mended, typo, typo_mended), milliseconds)


def _recall(corpus: Corpus, texts: Sequence[str], shown: _Shown) -> float:
    pairs = zip(texts, corpus.cases, strict=True)
    return fmean(answer_recall(shown.context(text), case.answers) for text, case in pairs)


def _mended(texts: Sequence[str], index: IndexReader, tenant: str) -> tuple[list[str], float]:
    """Return the texts mended, and the mean CPU time of those with an unknown word [ms]."""
    analyzer, where = build_analyzer(), Filter(tenant)
    speller = Speller(analyzer, index)
    mended, spent = [], []
    for text in texts:
        terms = analyzer.terms(text)
        held = index.search(SearchQuery(where, query_vector(terms), None, 1)).idf if terms else {}
        unknown = frozenset(terms) - held.keys()
        started = time.process_time()
        mended.append(speller.mended(text, unknown, where))
        if unknown:
            spent.append(1000 * (time.process_time() - started))
    return mended, fmean(spent) if spent else 0.0


class _Shown:
    """The context of a text exactly as given, without any mending."""

    def __init__(self, index: IndexReader, embedder: Embedder | None, settings: Settings) -> None:
        self._index, self._embedder = index, embedder
        self._tenant = settings.tenant
        self._analyzer = build_analyzer()
        self._packer = Packer(build_tokenizer(settings), self._analyzer)
        self._width = Retrieval(
            settings.candidates, settings.offered_passages, settings.dense_weight
        )

    def context(self, text: str) -> str:
        asked = Asked.prepare(text, self._analyzer, self._embedder)
        question = Question(text, Filter(self._tenant), _BUDGET, time.monotonic() + 60)
        found = retrieve(asked, question, self._index, self._width)
        return self._packer.pack(
            found.passages, Need(found.idf, text), TokenAllowance(_BUDGET)
        ).text


def _rows_table(rows: Sequence[Row]) -> str:
    header = ("corpus", "tier", "clean", "clean, mended", "with typos", "mended")
    cells = [
        (
            *(r.corpus, r.tier),
            *map(_share, (r.clean, r.clean_mended, r.spoiled, r.spoiled_mended)),
            *(r.changed, f"{r.milliseconds:.2f}"),
        )
        for r in rows
    ]
    return table((*header, "clean ones changed", "CPU ms"), cells)


def _identifiers_table(rows: Sequence[IdentifierRow]) -> str:
    header = ("terms", "questions", "P@1", "recall@5", "index entries")
    cells = [
        (r.terms, r.questions, _share(r.first), _share(r.recall), f"{r.entries:,}") for r in rows
    ]
    return table(header, cells)


def _forms_table(rows: Sequence[forms.FormsRow]) -> str:
    header = ("corpus", "tier", "acronyms asked for", "recall@5", "spelled out")
    cells = [
        (
            *(r.corpus, r.tier, r.questions, _share(r.plain), _share(r.spelled_out)),
            *(r.changed, f"{r.milliseconds:.2f}"),
        )
        for r in rows
    ]
    return table((*header, "clean ones searched again", "CPU ms"), cells)


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
