"""The cache's benchmark: its pairs, its rewordings, and a small day."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from eval.bench.cache_day import run_day
from eval.bench.cache_edits import EditedCorpus
from eval.bench.cache_pairs import Pair, Reader, Share, pair_rows, pairs, rule_rows
from eval.bench.cache_wordings import reworded
from eval.bench.corpora import Corpus
from eval.datasets import Case
from rag.adapters.hash_embedder import HashEmbedder
from rag.cache.verifier import doubt
from rag.settings import load_settings
from rag.types import Block, Document

QUESTIONS = (
    "What is the length of the harbour wall of Oslo?",
    "Who painted the ferry in 1950?",
    "How many boats does the town keep?",
    "Where is the old mill?",
)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_reworded_is_other_words_and_mostly_the_same(question: str) -> None:
    draw = random.Random(0)  # noqa: S311 -- not a secret
    others = {reworded(question, draw) for _ in range(40)}
    assert question not in others
    assert len(others) >= 3
    assert sum(doubt(question, other) is None for other in others) >= len(others) - 1


def test_shares_have_exact_bounds() -> None:
    share = Share.count(1, 10)
    assert (share.low, share.high) == pytest.approx((0.002528579, 0.4450161), abs=1e-6)
    assert Share.count(0, 0).low is None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three tiny sets in the form of the real ones."""
    rows = {
        "checklist_qqp/pairs.jsonl": [
            {"q1": "Is Ann near Bob?", "q2": "Is Bob near Ann?", "same": 1, "test": "near"},
            {"q1": "Is Ann fond of Bob?", "q2": "Is Bob fond of Ann?", "same": 0, "test": "fond"},
            {"q1": "Is A x?", "q2": "is a x", "same": 1, "test": "near"},
            {
                "q1": "Is Ann hurting Bob?",
                "q2": "Is Bob hurting Ann?",
                "same": 1,
                "test": "Order does matter for asymmetric relations",
            },
        ],
        "rqe/pairs_train.jsonl": [
            {"q1": "What is flu?", "q2": "Where is Oslo?", "same": 0, "type": "t"}
        ],
        "banking77/train.jsonl": [
            {"text": text, "intent": intent}
            for text, intent in (("my card", "a"), ("a card", "a"), ("my cash", "b"), ("c", "b"))
        ],
    }
    for name, each in rows.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text("".join(json.dumps(row) + "\n" for row in each))
    return tmp_path


def test_every_pair_is_judged_once(data: Path) -> None:
    embedder = HashEmbedder()
    every = pairs(data, embedder, quick=False)
    assert len(every) == 4 + 1 + 2 * 4
    wrong = next(pair for pair in every if pair.kind.startswith("Order"))
    assert not wrong.same
    rows = list(pair_rows(every, embedder))
    verified = [row for row in rows if row.cache == "verifier" and row.source == "checklist_qqp"]
    assert sum(row.exact for row in verified) == 1
    assert sum(row.paraphrases.found for row in verified) == 1
    assert sum(row.false.of for row in verified) == 2
    assert sum(row.false.found for row in verified) == 0
    always = [row for row in rows if row.cache == "cosine 0.8" and row.source == "checklist_qqp"]
    assert sum(row.false.found for row in always) == 2  # the same words in another order
    assert {row.rule for row in rule_rows(every, embedder)} >= {"symmetric", "in_active_voice"}


def test_halves_are_drawn_by_words_alone() -> None:
    halves = [Pair("s", "k", f"question {n}", "other", same=True).half for n in range(400)]
    assert 150 < halves.count("reported") < 250
    same = Pair("other", "kind", "question 7", "other", same=False)
    assert same.half == halves[7]


def test_a_reader_without_a_rule_misses_what_it_earns() -> None:
    pair = Pair("s", "k", "Is Ann near Bob?", "Is Bob near Ann?", same=True)
    assert Reader(HashEmbedder()).same(pair)
    assert not Reader(HashEmbedder(), "symmetric").same(pair)


def test_a_small_day_has_hits_and_nothing_stale(tmp_path: Path) -> None:
    names = ("Oslo", "Bergen", "Narva", "Turku", "Riga", "Tartu")
    documents = tuple(
        Document(name, name, text, (Block(0, len(text), "paragraph"),), "text/plain")
        for name in names
        for text in (f"The harbour of {name} was built by {name[::-1].title()} long ago.",)
    )
    cases = tuple(
        Case(
            name, f"Who built the harbour of {name}?", (name[::-1].title(),), ((name, 1),), True, {}
        )
        for name in names
    )
    settings = load_settings(tier="lexical", answer_threshold=0.0)
    corpus = Corpus("small", documents, cases, "", "")
    edited = EditedCorpus(corpus, tmp_path / "index", HashEmbedder(), settings)
    row = run_day(edited, settings, None, tmp_path / "cache", (120, 10))
    assert row.edits > 5
    assert row.exact > 20
    assert row.revalidated + row.dropped > 5
    assert row.semantic > 5
    assert row.different == row.gone == 0
    assert row.naive_different > 0
    assert np.isfinite(row.joules_saved)
