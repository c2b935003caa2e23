r"""A CSV of questions and expected answers, over a folder of documents.

Columns: ``question``; ``answer`` (or ``expected_answer``, ``expected``), several separated by
``|`` (``\|`` is a bar in the text) or in ``answer_2`` and on; and, where they are there,
``document`` (gold ids, separated in the same way), ``answerable``, ``kind``, ``id``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from eval.datasets import Case
from eval.importing.documents import Folder, document_files, read_folder
from eval.importing.tabular import TableRow, read_table
from eval.importing.target import new_folder
from eval.importing.writer import DatasetWriter, Imported
from eval.problems import Problems
from rag.errors import UsageError

_ANSWERS = ("answer", "expected_answer", "expected")
_NUMBERED = re.compile(r"answer_?\d+")
_BAR = re.compile(r"(?<!\\)\|")
_WORDS = {
    **dict.fromkeys(("yes", "y", "true", "1"), True),
    **dict.fromkeys(("no", "n", "false", "0"), False),
}
# An answer that so many documents hold does not tell where the question is answered.
_MANY = 3


def import_table(
    source: Path,
    target: Path,
    documents: Path | None,
    name: str | None = None,
    *,
    replace: bool = False,
) -> Imported:
    """Write a CSV and a copy of its documents in the common schema and return what was made.

    A question's gold is the ``document`` it names; where it names none, every document that holds
    one of its answers. Files that no loader reads are left out.

    Raises:
        UsageError: A file is missing, no documents are given, or the target may not be used.
        LoadError: Something in the table cannot be used; all of it is said.
    """
    if documents is None:
        raise UsageError("no documents given", source, "name their folder with --documents")
    if target.resolve().is_relative_to(documents.resolve()):
        raise UsageError("target lies in the documents", target, "name a folder outside of them")
    problems = Problems(source)
    with (
        new_folder(target, (source, documents), replace=replace) as folder,
        DatasetWriter(folder, problems) as writer,
    ):
        rows = [(row, case) for row, case in _cases(source, problems)]
        sought = {a for row, case in rows if not row["document"] for a in case.answers}
        # The table itself may lie among them: as a document it would give all answers away.
        paths = (p for p in document_files(documents) if p.resolve() != source.resolve())
        corpus = read_folder(documents, paths, sought, writer)
        for row, case in rows:
            writer.add_question(row.where, _with_gold(row, case, corpus, writer))
        return writer.finish(target, "csv", name or source.stem)


def parts(cell: str) -> tuple[str, ...]:
    """Return what bars separate in a cell, without white space around it; "" gives nothing."""
    if not cell.strip():
        return ()
    return tuple(part.strip().replace("\\|", "|") for part in _BAR.split(cell))


def truth(cell: str) -> bool | None:
    """Return what a cell says: yes or no, or None where it is neither."""
    return _WORDS.get(cell.strip().lower())


def _cases(source: Path, problems: Problems) -> Iterator[tuple[TableRow, Case]]:
    table = read_table(source, problems)
    answers = [c for c in table.columns if c in _ANSWERS or _NUMBERED.fullmatch(c)]
    if not answers and "document" not in table.columns:
        raise UsageError("no column of answers", source, "add a column answer, or document")
    for number, row in enumerate(table.rows, start=1):
        answerable = truth(row["answerable"])
        if answerable is None and row["answerable"]:
            problems.add("unusable row", row.where, f"answerable is {row['answerable']}")
        given = tuple(dict.fromkeys(part for column in answers for part in parts(row[column])))
        if answers and not given and answerable is not False:
            problems.add("empty answer", row.where, row["question"])
        meta = {"kind": row["kind"]} if row["kind"] else {}
        case_id = row["id"] or f"q{number:03}"
        yield row, Case(case_id, row["question"], given, (), answerable is not False, meta)


def _with_gold(row: TableRow, case: Case, corpus: Folder, writer: DatasetWriter) -> Case:
    named = parts(row["document"])
    if not named and not case.answerable:
        return case
    found = tuple(corpus.id_of(each) for each in named) if named else corpus.holding(case.answers)
    if not named and len(found) > _MANY:
        writer.warn(f"answers that more than {_MANY} documents hold; name the document", row.where)
    return replace(case, gold=tuple((doc_id, 1) for doc_id in dict.fromkeys(found)))
