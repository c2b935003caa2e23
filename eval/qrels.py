"""Relevance judgements: ``query-id corpus-id score``, tabs between, a row each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from eval.problems import Problems
from eval.rows import lines

# Any scale in use has a handful of grades (trec_eval: a few); a larger number is a slip.
HIGHEST: Final = 1_000_000
_REMEDY = "no question id, text id and whole score with tabs"


class Qrel(NamedTuple):
    """One judgement: how relevant a text is to a question, and where that stands."""

    where: str
    question: str
    text: str
    grade: int


def read_qrels(path: Path, problems: Problems, *, header: bool) -> Iterator[Qrel]:
    """Yield the judgements of a file; a pair that stands twice is noted.

    The first line is a header unless it ends in a number. With ``header`` it must be one: else it
    is noted, and read as the judgement that it is.

    Raises:
        UsageError: There is no such file.
        LoadError: It cannot be read.
    """
    seen: set[tuple[str, str]] = set()
    for number, line in lines(path, problems):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        if number == 1:
            if not _is_number(line.split()[-1]):
                continue
            if header:
                problems.add("no header", where, line)
        fields = line.rstrip("\r\n").split("\t")
        grade = grade_of(fields[-1])
        if len(fields) != 3 or grade is None:
            problems.add("unusable row", where, f"{_REMEDY}: {line}")
            continue
        question, text, _ = fields
        if (question, text) in seen:
            problems.add("duplicate qrel", where, f"{question} {text}")
        seen.add((question, text))
        yield Qrel(where, question, text, grade)


def grade_of(field: str) -> int | None:
    """Return a field as a grade, None where it is no whole number or beyond ``HIGHEST``."""
    try:
        grade = int(field)
    except ValueError:
        return None
    return grade if abs(grade) <= HIGHEST else None


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
