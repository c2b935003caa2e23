"""Judged drafts become a question set; the person and the program are compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.collecting.labelled import Corpus, finish
from eval.collecting.sheet import Draft, write_drafts
from eval.datasets import Text, load_dataset
from eval.metrics.agreement import Agreement
from rag.errors import LoadError

TEXTS = (Text("a.txt", "A", "Covered for 24 months."), Text("b.txt", "B", "It weighs 12 kg."))
ACCEPTED = Draft(
    *("q1", "How long?", "24 months", ("a.txt",), "[1] ...", 0.9, 0.9),
    verdict="accept",
    grounded=True,
    helpful=True,
    note="clear",
)
CORRECTED = Draft(
    *("q2", "How heavy?", "24 months", ("b.txt",), "", 0.5, 0.2),
    verdict="correct",
    corrected_answer="12 kg | 12 kilos",
    grounded=True,
    helpful=False,
)
UNANSWERABLE = Draft(
    "q3", "Who is the queen?", source=("a.txt",), verdict="unanswerable", helpful=True
)
SKIPPED = Draft("q4", "Eh?", "x", ("a.txt",), verdict="skip", grounded=True, grounded_automatic=1)
OPEN = Draft("q5", "What?", "x", ("a.txt",))


def drafts(folder: Path, *rows: Draft) -> Path:
    path = folder / "drafts.csv"
    write_drafts(rows, path)
    return path


def test_what_was_confirmed_is_the_gold(tmp_path: Path) -> None:
    source = drafts(tmp_path, ACCEPTED, CORRECTED, UNANSWERABLE, SKIPPED, OPEN)
    made = finish(source, tmp_path / "out", Corpus(TEXTS))
    dataset = load_dataset(tmp_path / "out")
    assert dataset.texts == TEXTS
    assert [(c.id, c.text, c.answers, c.gold_ids, c.answerable) for c in dataset.cases] == [
        ("q1", "How long?", ("24 months",), ("a.txt",), True),
        ("q2", "How heavy?", ("12 kg", "12 kilos"), ("b.txt",), True),
        ("q3", "Who is the queen?", (), (), False),
    ]
    assert dataset.cases[0].meta == {"kind": "collected", "note": "clear"}
    assert dataset.left_out == "1 question skipped; 1 question not judged"
    lines = (tmp_path / "out" / "judgements.jsonl").read_text().splitlines()
    said = [json.loads(line) for line in lines]
    names = ("grounded", "grounded_automatic", "helpful", "helpful_automatic")
    assert [tuple(row[name] for name in names) for row in said] == [
        (True, 0.9, True, True),
        (True, 0.2, False, False),
        (None, None, True, True),
    ]
    assert made.grounded == Agreement(1, 1, 0, 0)
    assert made.helpful == Agreement(2, 0, 0, 1)
    assert (made.helpful.raw, made.helpful.kappa) == (1, 1)
    assert json.loads(made.to_json())["agreement"]["grounded"]["raw"] == 0.5
    assert "grounded: 2 judged, agreement 0.50" in made.to_text()


def test_documents_may_come_from_their_folder(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Covered for 24 months.")
    made = finish(drafts(tmp_path, ACCEPTED), tmp_path / "out", Corpus((), tmp_path / "docs"))
    dataset = load_dataset(tmp_path / "out")
    assert dataset.documents == tmp_path / "out" / "docs"
    assert dataset.cases[0].gold_ids == ("a.txt",)
    assert made.made.documents == 1


@pytest.mark.parametrize(
    ("draft", "kind"),
    [
        (Draft("q", "How?", "x", (), verdict="accept"), "missing gold"),
        (Draft("q", "How?", "x", ("gone.txt",), verdict="accept"), "dangling id"),
        (Draft("q", "How?", "", ("a.txt",), verdict="accept"), "empty answer"),
        (Draft("q", "How?", "x", ("a.txt",), verdict="correct"), "empty answer"),
        (
            Draft("q", "How?", "x", ("a.txt",), verdict="accept", answerable=False),
            "verdict in doubt",
        ),
        (OPEN, "no questions"),
    ],
)
def test_each_kind_of_bad_judgement_has_its_own_error(
    tmp_path: Path, draft: Draft, kind: str
) -> None:
    with pytest.raises(LoadError, match=f"1 {kind}"):
        finish(drafts(tmp_path, draft), tmp_path / "out", Corpus(TEXTS))
    assert not (tmp_path / "out").exists()
