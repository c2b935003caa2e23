"""SQuAD files: passages, unanswerable questions, and damage."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.datasets import load_dataset
from eval.importing.squad import import_squad
from rag.errors import LoadError, UsageError

PUMP = "The pump is covered for 24 months from delivery."
TAX = "Invoices are paid within 30 days."


def asked(number: int, question: str, *answers: str, **more: object) -> dict[str, Any]:
    given = [{"text": a, "answer_start": PUMP.find(a)} for a in answers]
    return {"id": f"s{number}", "question": question, "answers": given, **more}


def article(title: str, *paragraphs: tuple[str, list[object]]) -> dict[str, Any]:
    return {"title": title, "paragraphs": [{"context": c, "qas": q} for c, q in paragraphs]}


def file(folder: Path, *articles: object) -> Path:
    path = folder / "dev-v2.0.json"
    path.write_text(json.dumps({"version": "v2.0", "data": articles}), encoding="utf-8")
    return path


def test_version_two_with_unanswerable_questions(tmp_path: Path) -> None:
    plausible = {"plausible_answers": [{"text": "12 kg", "answer_start": 0}]}
    source = file(
        tmp_path,
        article(
            "Pump_care",
            (
                PUMP,
                [asked(1, "How long?", "24 months", "24 months", "months", is_impossible=False)],
            ),
            (TAX, [asked(2, "How heavy?", is_impossible=True, **plausible)]),
        ),
    )
    made = import_squad(source, tmp_path / "out")
    dataset = load_dataset(tmp_path / "out")
    assert [(t.id, t.title, t.text) for t in dataset.texts] == [
        ("Pump_care#0", "Pump care", PUMP),
        ("Pump_care#1", "Pump care", TAX),
    ]
    first, second = dataset.cases
    assert (first.answers, first.gold, first.answerable) == (
        ("24 months", "months"),
        (("Pump_care#0", 1),),
        True,
    )
    assert (second.answers, second.gold, second.answerable) == ((), (), False)
    assert (made.name, made.answerable, made.warnings) == ("dev-v2.0", 1, ())


def test_equal_passages_are_one_and_titles_may_repeat(tmp_path: Path) -> None:
    source = file(
        tmp_path,
        article("A", (PUMP, [asked(1, "How long?", "24 months")])),
        article("B", (PUMP, [asked(2, "For how long?", "24 months")]), (TAX, [])),
        article("A", ("Other words.", [asked(3, "Which words?", "Other")])),
    )
    made = import_squad(source, tmp_path / "out")
    dataset = load_dataset(tmp_path / "out")
    assert [t.id for t in dataset.texts] == ["A#0", "B#0", "A#1"]
    assert [c.gold_ids for c in dataset.cases] == [("A#0",), ("A#0",), ("A#1",)]
    assert made.warnings == ("1 passage that repeat another, kept once: data[1].paragraphs[0]",)


def test_an_answer_that_is_not_in_its_passage_is_a_warning(tmp_path: Path) -> None:
    source = file(tmp_path, article("A", (PUMP, [asked(1, "How long?", "two years")])))
    assert import_squad(source, tmp_path / "out").warnings == (
        "1 answer that do not stand in their passage: data[0].paragraphs[0].qas[0]",
    )


GOOD = asked(1, "How long?", "24 months")
DAMAGE = [
    ([GOOD, asked(1, "Again?", "24 months")], "1 duplicate id", "qas[1]"),
    ([asked(1, "", "24 months")], "1 blank question", "qas[0]"),
    ([asked(1, "How long?")], "1 empty answer", "qas[0]"),
    ([asked(1, "How long?", " ")], "1 empty answer", "qas[0]"),
    ([GOOD | {"id": None}], "1 unusable row", "qas[0]"),
    ([GOOD | {"answers": "24 months"}], "1 unusable row", "qas[0].answers"),
    ([GOOD, "x"], "1 unusable row", "qas[1]"),
    ([], "1 no questions", "squad"),
]


@pytest.mark.parametrize(("questions", "kind", "place"), DAMAGE)
def test_each_kind_of_damage_has_its_own_error(
    tmp_path: Path, questions: list[object], kind: str, place: str
) -> None:
    with pytest.raises(LoadError) as caught:
        import_squad(file(tmp_path, article("A", (PUMP, questions))), tmp_path / "out")
    assert kind in str(caught.value)
    assert f"{place}: {kind[2:]}" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not the SQuAD layout"),
        (b'{"data": {}}', "not the SQuAD layout"),
        (b'{"data": "caf\xe9"}', "wrong encoding"),
        (b'{"data": ["\\ud800"]}', "wrong encoding"),
        (b'{"data": []}', "empty corpus"),
        (b'{"data": [{"title": "A"}]}', r"data\[0\]\.paragraphs: unusable row"),
        (b'{"data": [{"paragraphs": [{"context": " "}]}]}', "1 blank text"),
    ],
)
def test_files_that_are_no_squad(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(LoadError, match=message):
        import_squad(tmp_path / "x.json", tmp_path / "out")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        import_squad(tmp_path / "x.json", tmp_path / "out")


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(TEXTS, TEXTS, st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=3)))), min_size=1
    ).filter(lambda articles: any(questions for _, _, questions in articles))
)
def test_what_is_imported_is_what_is_loaded(
    articles: list[tuple[str, str, list[tuple[str, list[str]]]]],
) -> None:
    ids = iter(range(10_000))
    data, expected = [], []
    for title, context, questions in articles:
        rows = [
            {
                "id": str(next(ids)),
                "question": question,
                "answers": [{"text": a} for a in answers],
                "is_impossible": not answers,
            }
            for question, answers in questions
        ]
        data.append(article(title, (context, list(rows))))
        expected += [(q, tuple(dict.fromkeys(a)), context if a else None) for q, a in questions]
    with tempfile.TemporaryDirectory() as name:
        import_squad(file(Path(name), *data), Path(name) / "out")
        dataset = load_dataset(Path(name) / "out")
    texts = {text.id: text.text for text in dataset.texts}
    assert [
        (c.text, c.answers, texts[c.gold_ids[0]] if c.gold else None) for c in dataset.cases
    ] == expected
    assert sorted(texts.values()) == sorted({context for _, context, _ in articles})
