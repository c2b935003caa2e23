"""BEIR folders: what becomes of them, and what each kind of damage is answered with."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import rows
from eval.datasets import load_dataset
from eval.importing.beir import import_beir
from rag.errors import LoadError, UsageError

BeirFolder = Callable[..., Path]
Q1 = {"_id": "q1", "text": "Which first?"}
Q2 = {"_id": "q2", "text": "Which second?"}
D1 = {"_id": "d1", "title": "One", "text": "First text."}
D2 = {"_id": "d2", "title": "", "text": "Second text."}


def test_the_test_split_is_taken_unless_another_is_asked_for(
    beir_folder: BeirFolder, tmp_path: Path
) -> None:
    made = import_beir(beir_folder(), tmp_path / "a")
    dataset = load_dataset(tmp_path / "a")
    assert [(c.id, c.text, c.gold, c.answers) for c in dataset.cases] == [
        ("q1", "Which first?", (("d1", 1),), ())
    ]
    assert dataset.cases[0].meta == {"url": "x"}
    assert [(t.id, t.title, t.text) for t in dataset.texts] == [
        ("d1", "One", "First text."),
        ("d2", "", "Second text."),
    ]
    assert (dataset.name, dataset.left_out) == ("source", "1 question of other splits")
    assert (made.documents, made.questions, made.answerable, made.warnings) == (2, 1, 1, ())
    import_beir(tmp_path / "source", tmp_path / "b", "train", "mine")
    train = load_dataset(tmp_path / "b")
    assert [(c.id, c.gold) for c in train.cases] == [("q2", (("d2", 2),))]
    assert train.name == "mine"


def test_an_unknown_split_names_those_that_are_there(
    beir_folder: BeirFolder, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"no such split: dev\. Use one of test, train"):
        import_beir(beir_folder(), tmp_path / "a", "dev")


def test_what_is_not_there_is_named(tmp_path: Path, beir_folder: BeirFolder) -> None:
    with pytest.raises(UsageError, match="no such BEIR folder"):
        import_beir(tmp_path / "absent", tmp_path / "a")
    source = beir_folder()
    (source / "corpus.jsonl").unlink()
    with pytest.raises(UsageError, match=r"no such file: .*corpus\.jsonl"):
        import_beir(source, tmp_path / "a")
    assert not (tmp_path / "a").exists()


DAMAGE = [
    ({"queries": [Q1, {"_id": "q1", "text": "Again?"}]}, "1 duplicate id", "queries.jsonl:2"),
    ({"corpus": [D1, D2, D1]}, "1 duplicate id", "corpus.jsonl:3"),
    ({"queries": [{"_id": "q1", "text": " "}]}, "1 blank question", "queries.jsonl:1"),
    ({"queries": [Q1 | {"answers": []}]}, "1 empty answer", "queries.jsonl:1"),
    ({"queries": [Q1 | {"answers": ["a", ""]}]}, "1 empty answer", "queries.jsonl:1"),
    ({"queries": [Q1 | {"answers": "a"}]}, "1 unusable row", "queries.jsonl:1"),
    ({"queries": [Q1, "{"]}, "1 not JSON", "queries.jsonl:2"),
    ({"queries": [Q1, "[]"]}, "1 not JSON", "queries.jsonl:2"),
    ({"queries": [Q1, "[" * 100_000]}, "1 not JSON", "queries.jsonl:2"),
    ({"queries": [Q1, '{"_id": "x", "text": "\\ud800"}']}, "1 wrong encoding", "queries.jsonl:2"),
    ({"queries": [Q1, {"text": "No id?"}]}, "1 unusable row", "queries.jsonl:2"),
    ({"corpus": [D1, D2 | {"_id": "a\tb"}]}, "1 unusable row", "corpus.jsonl:2"),
    ({"queries": [Q2]}, "1 dangling id", "test.tsv:2"),
    ({"qrels": {"test": ["q1\td1\t1", "q1\td9\t1"]}}, "1 dangling id", "test.tsv:3"),
    ({"qrels": {"test": ["q1\td1\t1", f"q1\td2\t1{'0' * 400}"]}}, "1 unusable row", "test.tsv:3"),
    (
        {"queries": [Q1 | {"meta": {"answerable": "no"}}]},
        "1 answerable in doubt",
        "queries.jsonl:1",
    ),
    ({"queries": [Q1 | {"meta": {"evidence": "x"}}]}, "1 unusable notes", "queries.jsonl:1"),
    ({"qrels": {"test": ["q1\td1\t0"]}}, "1 missing gold", "queries.jsonl:1"),
    ({"qrels": {"test": ["q1\td1\t1", "q1\td1\t1"]}}, "1 duplicate qrel", "test.tsv:3"),
    ({"qrels": {"test": ["q1\td1\t1", "q1 d2 1"]}}, "1 unusable row", "test.tsv:3"),
    ({"qrels": {"test": ["q1\td1\t1", "q1\td2\tyes"]}}, "1 unusable row", "test.tsv:3"),
    ({"corpus": [D2, D1 | {"title": "", "text": ""}]}, "1 blank text", "corpus.jsonl:2"),
    ({"corpus": []}, "1 empty corpus", "beir"),
    ({"queries": [], "qrels": {"test": []}}, "1 no questions", "beir"),
]


@pytest.mark.parametrize(("parts", "kind", "place"), DAMAGE)
def test_each_kind_of_damage_has_its_own_error(
    beir_folder: BeirFolder, tmp_path: Path, parts: dict[str, object], kind: str, place: str
) -> None:
    source = beir_folder(**parts)
    with pytest.raises(LoadError) as caught:
        import_beir(source, tmp_path / "a")
    message = str(caught.value)
    assert kind in message
    assert f"{place}: {kind[2:]}" in message
    assert f"or {kind[2:]}: " in message  # the remedy
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_bytes_that_are_no_utf8_are_one_error_not_its_echoes(
    beir_folder: BeirFolder, tmp_path: Path
) -> None:
    source = beir_folder()
    (source / "corpus.jsonl").write_bytes(b'{"_id": "d1", "title": "", "text": "caf\xe9"}\n')
    with pytest.raises(LoadError, match=r"corpus\.jsonl:1: wrong encoding") as caught:
        import_beir(source, tmp_path / "a")
    assert "dangling" not in str(caught.value)


def test_all_problems_are_counted_and_the_first_ten_shown(
    beir_folder: BeirFolder, tmp_path: Path
) -> None:
    queries = [Q1, *({"_id": "q1", "text": f"{i}?"} for i in range(20)), Q2 | {"text": ""}]
    source = beir_folder(queries=queries, qrels={"all": ["q1\td1\t1", "q2\td9\t1", "q3\td1\t1"]})
    with pytest.raises(LoadError) as caught:
        import_beir(source, tmp_path / "a")
    message = str(caught.value)
    assert "2 dangling id, 20 duplicate id, 1 blank question" in message
    assert message.count("\n") == 11
    assert "and 13 more" in message


def test_a_line_over_the_limit_is_passed_over_and_said(
    beir_folder: BeirFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "LINE_BYTES", 1000)
    source = beir_folder(corpus=[D1, {"_id": "d3", "title": "", "text": "x" * 5000}, D2])
    with pytest.raises(LoadError, match=r"1 line too long.*\n *corpus\.jsonl:2"):
        import_beir(source, tmp_path / "a")


def test_texts_without_words(beir_folder: BeirFolder, tmp_path: Path) -> None:
    corpus = [D1, {"_id": "d2", "title": "Only a title", "text": ""}, {"_id": "d3", "text": " "}]
    made = import_beir(beir_folder(corpus=corpus), tmp_path / "a")
    assert [t.text for t in load_dataset(tmp_path / "a").texts] == ["First text.", "Only a title"]
    assert made.left_out == "1 question of other splits; 1 text without words"
    assert made.warnings == ("1 text without words, which got their title: corpus.jsonl:2",)


def test_a_question_asked_twice_is_a_warning(beir_folder: BeirFolder, tmp_path: Path) -> None:
    queries = [Q1, {"_id": "q2", "text": "which  FIRST?"}]
    qrels = {"test": ["q1\td1\t1", "q2\td2\t1"]}
    made = import_beir(beir_folder(queries=queries, qrels=qrels), tmp_path / "a")
    assert made.warnings == ("1 question asked twice: queries.jsonl:1 and queries.jsonl:2",)
    assert made.questions == 2


IDS = st.text(st.characters(exclude_characters="\t\r\n", codec="utf-8"), min_size=1).filter(
    str.strip
)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@settings(max_examples=40, deadline=None)
@given(
    texts=st.dictionaries(IDS, TEXTS, min_size=1, max_size=5),
    questions=st.dictionaries(IDS, st.tuples(TEXTS, st.lists(TEXTS, max_size=3)), min_size=1),
    data=st.data(),
)
def test_what_is_imported_is_what_is_loaded(
    texts: dict[str, str], questions: dict[str, tuple[str, list[str]]], data: st.DataObject
) -> None:
    gold = {q: data.draw(st.sampled_from(sorted(texts))) for q in questions}
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        source.mkdir()
        lines = [json.dumps({"_id": i, "title": "", "text": t}) for i, t in texts.items()]
        (source / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
        lines = [
            json.dumps({"_id": i, "text": t} | ({"answers": a} if a else {}), ensure_ascii=False)
            for i, (t, a) in questions.items()
        ]
        (source / "queries.jsonl").write_text("\n".join(lines), encoding="utf-8", newline="")
        lines = ["query-id\tcorpus-id\tscore", *(f"{q}\t{t}\t1" for q, t in gold.items())]
        (source / "qrels.tsv").write_text("\n".join(lines), encoding="utf-8", newline="")
        import_beir(source, Path(name) / "target")
        dataset = load_dataset(Path(name) / "target")
    assert {t.id: t.text for t in dataset.texts} == texts
    assert {c.id: (c.text, list(c.answers)) for c in dataset.cases} == questions
    assert {c.id: c.gold_ids[0] for c in dataset.cases} == gold
