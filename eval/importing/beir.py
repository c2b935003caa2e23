"""The BEIR layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/{train,dev,test}.tsv``.

Source: Thakur et al. 2021, BEIR, and the folders of its data sets as published. A folder in the
common schema, with one ``qrels.tsv``, is read too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.datasets import UNANSWERABLE, Case, Text, are_strings, check_meta
from eval.importing.target import new_folder
from eval.importing.writer import DatasetWriter, Imported
from eval.problems import Problems
from eval.qrels import read_qrels
from eval.rows import json_rows, text_of
from rag.errors import UsageError


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgements of one file: grades and places by question and text.

    ``whole`` says that they are of all questions, not of one split of them.
    """

    grades: Mapping[str, Mapping[str, int]]
    places: Mapping[str, Mapping[str, str]]
    whole: bool


def import_beir(
    source: Path,
    target: Path,
    split: str | None = None,
    name: str | None = None,
    *,
    replace: bool = False,
) -> Imported:
    """Write a BEIR folder in the common schema and return what was made.

    Questions without a judgement in the split are of another split, and left out. A text without
    words gets its title as text; one without either is left out unless it is gold.

    Raises:
        UsageError: A file is missing, there is no such split, or the target may not be used.
        LoadError: Something in the folder cannot be used; all of it is said.
    """
    judgements = _judgements(source, split)
    problems = Problems(source)
    with (
        new_folder(target, (source,), replace=replace) as folder,
        DatasetWriter(folder, problems) as writer,
    ):
        judged = _judged(judgements, problems, whole=judgements.parent == source)
        asked = _add_questions(source / "queries.jsonl", judged, problems, writer)
        if not problems.has("not JSON", "wrong encoding", "line too long"):
            for question, places in judged.places.items():
                if question not in asked:
                    problems.add("dangling id", next(iter(places.values())), f"question {question}")
        _add_texts(source / "corpus.jsonl", judged, problems, writer)
        return writer.finish(target, "beir", name or source.resolve().name)


def _judgements(source: Path, split: str | None) -> Path:
    """Return the file of the split's judgements."""
    if not source.is_dir():
        raise UsageError("no such BEIR folder", source, "name a folder with corpus.jsonl")
    there = {path.stem: path for path in sorted((source / "qrels").glob("*.tsv"))}
    if not there and split is None:
        return source / "qrels.tsv"
    wanted = split or ("test" if "test" in there or len(there) > 1 else next(iter(there)))
    if wanted not in there:
        choice = f"use one of {', '.join(there)}" if there else "leave --split out: there is none"
        raise UsageError("no such split", wanted, choice)
    return there[wanted]


def _judged(path: Path, problems: Problems, *, whole: bool) -> Judged:
    grades: dict[str, dict[str, int]] = {}
    places: dict[str, dict[str, str]] = {}
    for qrel in read_qrels(path, problems, header=False):
        grades.setdefault(qrel.question, {})[qrel.text] = qrel.grade
        places.setdefault(qrel.question, {}).setdefault(qrel.text, qrel.where)
    return Judged(grades, places, whole)


def _add_questions(
    path: Path, judged: Judged, problems: Problems, writer: DatasetWriter
) -> set[str]:
    """Add the questions of the split and return the ids of all."""
    asked = set()
    for where, row in json_rows(path, problems):
        case = _case(row, where, judged, problems)
        if not case.id.strip():
            problems.add("unusable row", where, "no _id")
        elif not judged.whole and case.id not in judged.grades:
            writer.leave_out("questions of other splits")
        else:
            writer.add_question(where, case, judged.places.get(case.id, {}))
        asked.add(case.id)
    return asked


def _case(row: dict[str, Any], where: str, judged: Judged, problems: Problems) -> Case:
    question_id = text_of(row, "_id", "id")
    meta = row.get("meta", row.get("metadata"))
    meta = meta if isinstance(meta, dict) else {}
    check_meta(meta, where, problems)
    grades = judged.grades.get(question_id, {})
    unanswerable = meta.get("answerable") is False or meta.get("answerability") in UNANSWERABLE
    answers = row.get("answers")
    if answers is not None and not are_strings(answers):
        problems.add("unusable row", where, "answers is no list of strings")
        answers = None
    if answers == [] and not unanswerable:
        problems.add("empty answer", where, text_of(row, "text"))
    return Case(
        id=question_id,
        text=text_of(row, "text"),
        answers=tuple(answers or ()),
        gold=tuple((text, grade) for text, grade in grades.items() if grade > 0),
        answerable=not unanswerable,
        meta=meta,
        split=text_of(row, "split") or None,
    )


def _add_texts(path: Path, judged: Judged, problems: Problems, writer: DatasetWriter) -> None:
    gold = {
        text for grades in judged.grades.values() for text, grade in grades.items() if grade > 0
    }
    for where, row in json_rows(path, problems):
        text_id, title, text = (
            text_of(row, *names) for names in (("_id", "id"), ("title",), ("text",))
        )
        if not text.strip() and title.strip():
            text = title
            writer.warn("texts without words, which got their title", where)
        if text.strip():
            writer.add_text(where, Text(text_id, title, text, text_of(row, "split") or None))
        elif text_id in gold:
            problems.add("blank text", where, text_id)
        else:
            writer.leave_out("texts without words")
