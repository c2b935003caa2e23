"""Question sets: what is read, and what each kind of damage is answered with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.datasets import load_dataset
from rag.errors import LoadError, RagError, UsageError

CORPUS = [
    {"_id": "d1", "title": "One", "text": "First text.", "split": "dev"},
    {"_id": "d2", "title": "", "text": "Second\u2028text."},
]
QUERIES = [
    {"_id": "q1", "text": "Which?", "answers": ["First", "1st"], "meta": {"kind": "x"}},
    {"_id": "q2", "text": "None?", "answers": [], "meta": {"answerable": False}},
    {"_id": "q3", "text": "Where?"},
]
QRELS = ["query-id\tcorpus-id\tscore", "q1\td1\t2", "q1\td2\t0", "q3\td2\t1"]


def write(folder: Path, **changed: object) -> Path:
    parts = {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS, **changed}
    for name in ("corpus", "queries"):
        rows = parts[name]
        if rows is not None:
            assert isinstance(rows, list)
            lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in rows]
            (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if parts["qrels"] is not None:
        assert isinstance(parts["qrels"], list)
        (folder / "qrels.tsv").write_text("\n".join(parts["qrels"]) + "\n", encoding="utf-8")
    return folder


def test_what_is_read(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path))
    assert [(t.id, t.title, t.split) for t in dataset.texts] == [
        ("d1", "One", "dev"),
        ("d2", "", None),
    ]
    assert dataset.texts[1].text == "Second\u2028text."
    first, second, third = dataset.cases
    assert first.answers == ("First", "1st")
    assert first.gold == (("d1", 2),)
    assert first.gold_ids == ("d1",)
    assert first.answerable
    assert not second.answerable
    assert second.gold == ()
    assert third.answers == ()
    assert dataset.documents is None


def test_hashes_pin_every_file(tmp_path: Path) -> None:
    before = load_dataset(write(tmp_path))
    assert [name for name, _ in before.hashes] == ["corpus.jsonl", "qrels.tsv", "queries.jsonl"]
    assert load_dataset(tmp_path).sha256 == before.sha256
    write(tmp_path, qrels=[*QRELS, ""])
    assert load_dataset(tmp_path).sha256 != before.sha256


def test_a_folder_of_documents_as_corpus(tmp_path: Path) -> None:
    (tmp_path / "docs" / "a").mkdir(parents=True)
    (tmp_path / "docs" / "a" / "one.md").write_text("First text.", encoding="utf-8")
    write(tmp_path, corpus=None, queries=QUERIES[:2], qrels=[QRELS[0], "q1\ta/one.md\t1"])
    dataset = load_dataset(tmp_path)
    assert dataset.documents == tmp_path / "docs"
    assert dataset.cases[0].gold_ids == ("a/one.md",)
    assert "docs/a/one.md" in dict(dataset.hashes)


@pytest.mark.parametrize("meta", [{"answerability": "UNANSWERABLE"}, {"answerable": False}])
def test_unanswerable_questions_need_no_gold(tmp_path: Path, meta: dict[str, object]) -> None:
    query = {"_id": "q", "text": "What?", "answers": ["I do not know."], "meta": meta}
    dataset = load_dataset(write(tmp_path, queries=[query], qrels=QRELS[:1]))
    assert not dataset.cases[0].answerable


BAD_QUERIES = [
    ('{"_id": "q1", ', "not JSON"),
    ('["q1"]', "not a JSON object"),
    ({"text": "Which?"}, "_id is missing"),
    ({"_id": "q1"}, "text is missing"),
    ({"_id": "q1", "text": "  "}, "text is missing or blank"),
    ({"_id": "q1", "text": "Which?", "answers": "First"}, "not a list"),
    ({"_id": "q1", "text": "Which?", "answers": []}, "empty answer"),
    ({"_id": "q1", "text": "Which?", "answers": ["First", " "]}, "empty answer"),
    ({"_id": "q1", "text": "Which?", "meta": []}, "meta is not an object"),
    ({"_id": "q3", "text": "Which?"}, "id stands twice"),
]


@pytest.mark.parametrize(("row", "message"), BAD_QUERIES)
def test_bad_questions(tmp_path: Path, row: object, message: str) -> None:
    folder = write(tmp_path, queries=[QUERIES[2], row])
    with pytest.raises(LoadError, match=message) as caught:
        load_dataset(folder)
    assert "queries.jsonl:2" in str(caught.value)


BAD_QRELS = [
    ("q1\td1", "unreadable qrel"),
    ("q1 d1 1", "unreadable qrel"),
    ("q1\td1\tyes", "unreadable qrel"),
    ("q9\td1\t1", "unknown question: q9"),
    ("q1\td9\t1", "unknown text: d9"),
    ("q3\td2\t1", "qrel stands twice: q3 d2"),
]


@pytest.mark.parametrize(("line", "message"), BAD_QRELS)
def test_bad_qrels(tmp_path: Path, line: str, message: str) -> None:
    folder = write(tmp_path, qrels=[*QRELS, line])
    with pytest.raises(LoadError, match=message) as caught:
        load_dataset(folder)
    assert "qrels.tsv:5" in str(caught.value)


@pytest.mark.parametrize("qrels", [QRELS[:2], [*QRELS[:2], "q3\td2\t0"]])
def test_an_answerable_question_needs_gold(tmp_path: Path, qrels: list[str]) -> None:
    with pytest.raises(LoadError, match="without a gold document"):
        load_dataset(write(tmp_path, qrels=qrels))


def test_texts_must_have_text(tmp_path: Path) -> None:
    folder = write(tmp_path, corpus=[*CORPUS, {"_id": "d3", "title": "T", "text": "\n"}])
    with pytest.raises(LoadError, match="text is missing or blank"):
        load_dataset(folder)


@pytest.mark.parametrize("missing", ["corpus", "queries", "qrels"])
def test_missing_files_name_the_file(tmp_path: Path, missing: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_dataset(write(tmp_path, **{missing: None}))
    assert missing in str(caught.value)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such data set"):
        load_dataset(tmp_path / "absent")


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "qrels.tsv").write_bytes(b"query-id\tcorpus-id\tscore\nq1\td1\xff\t1\n")
    with pytest.raises(RagError, match="cannot be read"):
        load_dataset(folder)
