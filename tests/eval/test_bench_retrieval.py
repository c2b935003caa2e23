"""The retrieval benchmark: judged sets from files, rankings of texts, and what its rows say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bench import retrieval
from eval.bench.retrieval_sets import JudgedSet, Place, judged_sets
from eval.systems.indexed import chunked
from eval.vectors import CachedEmbedder, VectorCache
from rag.adapters.hash_embedder import HashEmbedder
from rag.settings import load_settings
from rag.types import Chunk, Hit

PASSAGES = (
    ("A#0", "Apples are red and pears are green. Both grow on trees in the old orchard."),
    ("A#1", "The largest apple weighed 1.849 kg and was grown in Hirosaki in the year 2005."),
    ("B#0", "Boats float. The Vasa sank in 1628 after sailing only 1300 metres from port."),
)
QUESTIONS = {"q1": ("Where was the largest apple grown?", "A#1"), "q2": ("When?", "B#0")}


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_set(folder: Path, more: Mapping[str, object]) -> None:
    corpus = [{"_id": i, "title": i[0], "text": t, **more} for i, t in PASSAGES]
    write_rows(folder / "corpus.jsonl", corpus)
    asked = [{"_id": i, "text": text, "meta": {}} for i, (text, _) in QUESTIONS.items()]
    asked.append({"_id": "q3", "text": "Why?", "meta": {"answerable": False}})
    write_rows(folder / "queries.jsonl", asked)
    lines = [f"{i}\t{gold}\t1\n" for i, (_, gold) in QUESTIONS.items()]
    (folder / "qrels.tsv").write_text("query\tcorpus\tscore\n" + "".join(lines), encoding="utf-8")


@pytest.fixture
def squad(tmp_path: Path) -> JudgedSet:
    write_set(tmp_path / "squad_v1_dev", {"split": "dev"})
    return judged_sets(tmp_path, 10)["squad_small"]()


def test_a_question_without_a_relevant_text_is_left_out_and_said_so(squad: JudgedSet) -> None:
    assert sorted(case.id for case in squad.cases) == ["q1", "q2"]
    assert "2 of 2" in squad.exclusions
    assert "1 without one left out" in squad.exclusions


def test_passages_of_one_article_are_judged_one_by_one(squad: JudgedSet) -> None:
    assert [document.id for document in squad.documents] == ["A", "B"]
    for chunk in chunked(squad.documents, load_settings(chunk_tokens=32)):
        (text_id,) = squad.texts_of(chunk)
        assert chunk.text in dict(PASSAGES)[text_id]
    (joined, _) = chunked(squad.documents, load_settings())
    assert squad.texts_of(joined) == ("A#1", "A#0")  # the longer of the two first


@given(st.integers(0, 90), st.integers(1, 60))
def test_a_chunk_shows_a_text_if_half_of_either_lies_in_the_other(start: int, length: int) -> None:
    places = {"A": (Place(0, 40, "first"), Place(40, 100, "second"))}
    judged = JudgedSet("s", (), (), places, "", "")
    end = start + length
    chunk = Chunk("c", "A", "", "x" * length, start, end, 1, ())
    inside = {
        place.text_id: max(0, min(end, place.end) - max(start, place.start))
        for place in places["A"]
    }
    shown = judged.texts_of(chunk)
    assert [*shown] == sorted(shown, key=lambda name: -inside[name])
    assert ("first" in shown) == (2 * inside["first"] >= min(40, length))
    assert ("second" in shown) == (2 * inside["second"] >= min(60, length))
    assert judged.texts_of(replace(chunk, doc_id="alone")) == ("alone",)


def test_scifact_claims_join_the_abstracts_they_cite(tmp_path: Path) -> None:
    corpus = [{"_id": i, "title": "", "text": t} for i, t in PASSAGES]
    write_rows(tmp_path / "scifact" / "corpus.jsonl", corpus)
    claims = [
        {"claim": "Apples are red.", "doc_id": "A#0", "label": "SUPPORT"},
        {"claim": "Apples are red.", "doc_id": "A#1", "label": "NOT_ENOUGH_INFO"},
        {"claim": "The Vasa floats.", "doc_id": "B#0", "label": "CONTRADICT"},
        {"claim": "Nothing known.", "doc_id": "gone", "label": "SUPPORT"},
    ]
    write_rows(tmp_path / "scifact" / "claims_evidence.jsonl", claims)
    judged = judged_sets(tmp_path, 10)["scifact"]()
    gold = {case.text: set(case.gold_ids) for case in judged.cases}
    assert gold == {"Apples are red.": {"A#0", "A#1"}, "The Vasa floats.": {"B#0"}}


def test_xquad_paragraphs_become_texts(tmp_path: Path) -> None:
    article = {
        "title": "Der_Hafen",
        "paragraphs": [
            {"context": "Die Vasa sank 1628.", "qas": [{"id": "x", "question": "Wann sank sie?"}]}
        ],
    }
    path = tmp_path / "xquad" / "xquad.de.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"data": [article]}), encoding="utf-8")
    judged = judged_sets(tmp_path, 10)["xquad_de"]()
    assert [case.gold_ids for case in judged.cases] == [("Der_Hafen#0",)]
    assert [document.title for document in judged.documents] == ["Der Hafen"]


def test_every_system_is_measured_on_the_same_questions(squad: JudgedSet, tmp_path: Path) -> None:
    embedder = CachedEmbedder(HashEmbedder(), VectorCache(tmp_path / "vectors.sqlite"))
    rows = retrieval.measured(squad, load_settings(chunk_tokens=32), embedder)
    assert [row.system for row in rows] == ["BM25", "dense", "RRF", retrieval.SHIPPED]
    for row in rows:
        assert row.scores.keys() == set(retrieval.METRICS)
        assert all(len(values) == len(squad.cases) for values in row.scores.values())
    by_system = {row.system: row.scores for row in rows}
    first = [case.id for case in squad.cases].index("q1")
    assert by_system["BM25"]["nDCG@10"][first] == 1.0
    assert by_system[retrieval.SHIPPED]["nDCG@10"][first] == 1.0
    assert by_system["dense"]["recall@20"] == (1.0, 1.0)  # a vector finds everything there is
    assert by_system["BM25"]["recall@20"][1 - first] == 0.0  # "When?" has no index term


def test_rrf_worked_by_hand() -> None:
    dense = [Hit("a", 0.9), Hit("b", 0.5)]
    sparse = [Hit("b", 7.0), Hit("c", 1.0)]
    fused = retrieval.reciprocal_rank_fusion(dense, sparse)
    assert [hit.chunk_id for hit in fused] == ["b", "a", "c"]
    assert [hit.score for hit in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_a_text_stands_where_its_best_chunk_does() -> None:
    texts = {"1": ("x",), "2": ("y", "x"), "3": ("z",), "4": ()}
    ranking = retrieval.ranked_texts([Hit(c, 0.0) for c in "4213"], texts)
    assert ranking == ["y", "x", "z"]
