"""Question sets: what is read, and what each kind of damage is answered with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.datasets import Sizes, load_dataset, sampled, sizes
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


Q3 = {"_id": "q3", "text": "Where?"}
BAD_QUERIES = [
    ('{"_id": "q1", ', r'not JSON \({"_id": "q1",\)'),
    ('["q1"]', r'not JSON \(no object: \["q1"\]\)'),
    ("[" * 100_000, r"not JSON \(\[{40}\)"),
    ({"text": "Which?"}, "_id is missing"),
    ({"_id": "q1"}, "text is missing"),
    ({"_id": "q1", "text": "  "}, "text is missing or blank"),
    ({"_id": "q1", "text": "Which?", "answers": "First"}, "not a list"),
    ({"_id": "q1", "text": "Which?", "answers": []}, "empty answer"),
    ({"_id": "q1", "text": "Which?", "answers": ["First", " "]}, "empty answer"),
    ({"_id": "q1", "text": "Which?", "meta": []}, "meta is not an object"),
    ({"_id": "q1", "text": "?", "meta": {"answerable": "no"}}, 'meta.answerable is "no"'),
    ({"_id": "q1", "text": "?", "meta": {"answerable": None}}, "meta.answerable is null"),
    ({"_id": "q1", "text": "?", "meta": {"evidence": "It is."}}, 'meta.evidence is "It is."'),
    ({"_id": "q1", "text": "?", "meta": {"evidence": [["It"], [1]]}}, "meta.evidence is a list"),
    ({"_id": "q1", "text": "?", "meta": {"key_points": {}}}, "meta.key_points is a dict"),
    ({"_id": "q3", "text": "Which?"}, r"duplicate id \(q3\)"),
    ('{"_id": "q1", "text": "\\ud800"}', "wrong encoding .lone surrogate"),
]


@pytest.mark.parametrize(("row", "message"), BAD_QUERIES)
def test_bad_questions(tmp_path: Path, row: object, message: str) -> None:
    folder = write(tmp_path, queries=[QUERIES[2], row])
    with pytest.raises(LoadError, match=message) as caught:
        load_dataset(folder)
    assert "queries.jsonl:2" in str(caught.value)


def test_all_faults_are_said_at_once_without_their_echoes(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        corpus=[*CORPUS, {"_id": "d1", "title": "", "text": "Again."}],
        queries=[*QUERIES, {"_id": "q4", "text": " "}],
        qrels=[*QRELS, "q9\td1\t1", "q1\td9\t1"],
    )
    with pytest.raises(LoadError) as caught:
        load_dataset(folder)
    lines = [line.strip(" ;.") for line in str(caught.value).splitlines()[1:]]
    assert lines[:4] == [
        "corpus.jsonl:3: duplicate id (d1)",
        "qrels.tsv:5: dangling id (question q9)",
        "qrels.tsv:6: dangling id (text d9)",
        lines[3],
    ]
    assert lines[3].startswith("queries.jsonl:4: unusable row (text is missing or blank)")
    assert len(lines) == 4  # q4 has no gold because its row is at fault


@pytest.mark.parametrize("meta", [{"evidence": [["a", "b"], ["c"]]}, {"key_points": ["a"]}, {}])
def test_notes_that_can_be_used(tmp_path: Path, meta: dict[str, object]) -> None:
    queries = [*QUERIES[:2], Q3 | {"meta": meta}]
    assert load_dataset(write(tmp_path, queries=queries)).cases[2].meta == meta


def test_a_long_question_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    long = {"_id": "q3", "text": "Where? " * 20_000}
    folder = write(tmp_path, queries=[*QUERIES[:2], long])
    before = load_dataset(folder)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"):
        path = folder / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    after = load_dataset(folder)
    assert (after.texts, after.cases) == (before.texts, before.cases)
    assert len(after.cases[2].text) == 140_000


@pytest.mark.parametrize("first", ["q1\td1\t2", "q1 d1 2", "q1\td1\t2.0", "q1\td1\t1" + "0" * 400])
def test_a_missing_header_is_a_fault_of_its_own(tmp_path: Path, first: str) -> None:
    with pytest.raises(LoadError, match=r"qrels\.tsv:1: no header") as caught:
        load_dataset(write(tmp_path, qrels=[first, *QRELS[2:]]))
    assert "add a first line query-id, corpus-id, score" in str(caught.value)


@pytest.mark.parametrize("grade", ["1" + "0" * 400, "-1" + "0" * 400, "9" * 5000])
def test_a_grade_that_no_scale_has_is_unusable(tmp_path: Path, grade: str) -> None:
    with pytest.raises(LoadError, match=r"qrels\.tsv:5: unusable row"):
        load_dataset(write(tmp_path, qrels=[*QRELS, f"q1\td2\t{grade}"]))


BAD_QRELS = [
    ("q1\td1", "unusable row"),
    ("q1 d1 1", "unusable row"),
    ("q1\td1\tyes", "unusable row"),
    ("q9\td1\t1", r"dangling id \(question q9\)"),
    ("q1\td9\t1", r"dangling id \(text d9\)"),
    ("q3\td2\t1", r"duplicate qrel \(q3 d2\)"),
]


@pytest.mark.parametrize(("line", "message"), BAD_QRELS)
def test_bad_qrels(tmp_path: Path, line: str, message: str) -> None:
    folder = write(tmp_path, qrels=[*QRELS, line])
    with pytest.raises(LoadError, match=message) as caught:
        load_dataset(folder)
    assert "qrels.tsv:5" in str(caught.value)


@pytest.mark.parametrize("qrels", [QRELS[:2], [*QRELS[:2], "q3\td2\t0"]])
def test_an_answerable_question_needs_gold(tmp_path: Path, qrels: list[str]) -> None:
    with pytest.raises(LoadError, match="missing gold"):
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
    with pytest.raises(LoadError, match=r"qrels\.tsv:2: wrong encoding"):
        load_dataset(folder)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"queries": [], "qrels": QRELS[:1]}, "no questions"),
        ({"corpus": []}, "empty corpus"),
        ({"corpus": None}, "without a corpus"),
    ],
)
def test_a_set_with_nothing_in_it(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    with pytest.raises(RagError, match=message):
        load_dataset(write(tmp_path, **changed))


def test_an_empty_folder_of_documents(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    with pytest.raises(LoadError, match="empty corpus"):
        load_dataset(write(tmp_path, corpus=None))


def test_an_answerability_that_is_no_word_is_not_taken_for_one(tmp_path: Path) -> None:
    query = {"_id": "q3", "text": "Where?", "meta": {"answerability": ["UNANSWERABLE"]}}
    assert (
        load_dataset(write(tmp_path, queries=[query], qrels=[QRELS[0], QRELS[3]]))
        .cases[0]
        .answerable
    )


def test_a_split_has_its_texts_and_what_can_be_asked_of_them(tmp_path: Path) -> None:
    dataset = load_dataset(write(tmp_path), "dev")
    assert [text.id for text in dataset.texts] == ["d1"]
    assert [case.id for case in dataset.cases] == ["q1", "q2"]
    assert dataset.left_out == "1 of 2 texts and 1 of 3 questions outside split dev"
    assert sizes(dataset) == Sizes(documents=1, questions=2, answerable=1)
    whole = load_dataset(tmp_path)
    assert whole.left_out == "nothing"
    assert dataset.hashes == whole.hashes
    assert dataset.sha256 != whole.sha256
    assert load_dataset(tmp_path, "dev").sha256 == dataset.sha256


def test_questions_alone_may_be_split(tmp_path: Path) -> None:
    corpus = [{k: v for k, v in row.items() if k != "split"} for row in CORPUS]
    queries = [QUERIES[0] | {"split": "dev"}, QUERIES[2] | {"meta": {"split": "test"}}]
    dataset = load_dataset(write(tmp_path, corpus=corpus, queries=queries), "test")
    assert [case.id for case in dataset.cases] == ["q3"]
    assert len(dataset.texts) == 2
    assert dataset.left_out == "1 of 2 questions outside split test"


@pytest.mark.parametrize(("split", "remedy"), [("test", "Use one of dev"), ("", "Use one of dev")])
def test_an_unknown_split_names_those_that_are_there(
    tmp_path: Path, split: str, remedy: str
) -> None:
    with pytest.raises(UsageError, match=remedy):
        load_dataset(write(tmp_path), split)


def test_a_set_without_splits_says_so(tmp_path: Path) -> None:
    corpus = [{k: v for k, v in row.items() if k != "split"} for row in CORPUS]
    with pytest.raises(UsageError, match="Leave the split out"):
        load_dataset(write(tmp_path, corpus=corpus), "dev")


def test_a_split_without_questions(tmp_path: Path) -> None:
    folder = write(tmp_path, queries=[QUERIES[2]], qrels=[QRELS[0], QRELS[3]])
    with pytest.raises(LoadError, match="no questions in the split: dev"):
        load_dataset(folder, "dev")


@settings(max_examples=50, deadline=None)
@given(total=st.integers(1, 40), count=st.integers(1, 50), seed=st.integers(0, 5))
def test_a_draw_is_repeatable_keeps_the_order_and_is_told(
    tmp_path_factory: pytest.TempPathFactory, total: int, count: int, seed: int
) -> None:
    queries = [{"_id": f"q{i}", "text": f"Which {i}?"} for i in range(total)]
    qrels = [QRELS[0], *(f"q{i}\td1\t1" for i in range(total))]
    folder = write(tmp_path_factory.mktemp("set"), queries=queries, qrels=qrels)
    whole = load_dataset(folder)
    drawn = sampled(whole, count, seed)
    assert drawn == sampled(whole, count, seed)
    assert len(drawn.cases) == min(count, total)
    assert [case for case in whole.cases if case in drawn.cases] == list(drawn.cases)
    told = f"{total - count} of {total} questions, {count} drawn with seed {seed}"
    assert drawn.left_out == (told if count < total else "nothing")


def test_other_seeds_draw_other_questions_and_a_draw_of_a_split_says_both(tmp_path: Path) -> None:
    queries = [{"_id": f"q{i}", "text": f"Which {i}?"} for i in range(30)]
    qrels = [QRELS[0], *(f"q{i}\td1\t1" for i in range(30))]
    part = load_dataset(write(tmp_path, queries=queries, qrels=qrels), "dev")
    assert sampled(part, 10, 0).cases != sampled(part, 10, 1).cases
    assert sampled(part, 10, 1).left_out == (
        "1 of 2 texts outside split dev; 20 of 30 questions, 10 drawn with seed 1"
    )
    with pytest.raises(UsageError, match="Draw 1 or more"):
        sampled(part, 0, 0)


def test_an_importer_may_have_named_the_set(tmp_path: Path) -> None:
    before = load_dataset(write(tmp_path)).sha256
    (tmp_path / "about.json").write_text('{"name": "pumps", "left_out": "2 files"}')
    dataset = load_dataset(tmp_path)
    assert (dataset.name, dataset.left_out, dataset.sha256) == ("pumps", "2 files", before)
    (tmp_path / "about.json").write_text("[]")
    with pytest.raises(LoadError, match=r"about\.json"):
        load_dataset(tmp_path)
