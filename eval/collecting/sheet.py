"""The table that a person judges: one row a question, as a CSV that opens well in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from eval.importing.table import parts, truth
from eval.importing.tabular import TableRow, read_table
from eval.problems import Problems
from rag.errors import LoadError
from rag.filetree import replace_text

Verdict: TypeAlias = Literal["accept", "correct", "unanswerable", "skip"]
VERDICTS: Final = get_args(Verdict)
COLUMNS: Final = (
    *("id", "question", "draft_answer", "source", "quote", "confidence", "grounded_automatic"),
    *("verdict", "corrected_answer", "answerable", "grounded", "helpful", "note"),
)
# Source: OWASP, CSV Injection: what a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_BOM = "\ufeff"  # without it some spreadsheets take UTF-8 for the local code page


@dataclass(frozen=True, slots=True)
class Draft:
    """One question with its drafted answer and what a person said of it; None is not judged yet.

    ``draft_answer`` is "" where the pipeline abstained; ``source`` are document ids, of the
    citations or, after an abstention, of the nearest; ``quote`` is what was cited of them, a line
    each, with the number of its source. ``grounded_automatic`` is None where there is no answer.
    """

    id: str
    question: str
    draft_answer: str = ""
    source: tuple[str, ...] = ()
    quote: str = ""
    confidence: float | None = None
    grounded_automatic: float | None = None
    verdict: Verdict | None = None
    corrected_answer: str = ""
    answerable: bool | None = None
    grounded: bool | None = None
    helpful: bool | None = None
    note: str = ""

    @property
    def judged(self) -> bool:
        """Whether a person has decided what becomes of the question."""
        return self.verdict is not None

    @property
    def answers(self) -> tuple[str, ...]:
        """What the person holds to be right; none for an unanswerable question."""
        if self.verdict == "correct":
            return parts(self.corrected_answer)
        return (self.draft_answer,) if self.verdict == "accept" and self.draft_answer else ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A draft with its place in the file."""

    where: str
    draft: Draft


def write_drafts(drafts: Sequence[Draft], path: Path) -> None:
    """Write all drafts; what stood there is replaced at once or not at all.

    Raises:
        LoadError: The file cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    table.writerows([guarded(cell) for cell in _cells(draft)] for draft in drafts)
    try:
        replace_text(path, _BOM + text.getvalue())
    except OSError as exc:
        raise LoadError("drafts cannot be written", path, f"choose another place ({exc})") from exc


def read_drafts(path: Path) -> tuple[Placed, ...]:
    """Return the drafts of a file, as this program or a spreadsheet wrote it.

    Raises:
        UsageError: There is no such file.
        LoadError: Something in it cannot be used; all of it is said.
    """
    problems = Problems(path)
    table = read_table(path, problems)
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise LoadError("column is missing", f"{', '.join(missing)} ({path})", "draft it again")
    placed, seen = [], set[str]()
    for row in table.rows:
        draft = _draft(row, problems)
        if not draft.id or draft.id in seen:
            problems.add("duplicate id" if draft.id else "unusable row", row.where, draft.id)
        if not draft.question:
            problems.add("blank question", row.where, draft.id)
        seen.add(draft.id)
        placed.append(Placed(row.where, draft))
    if not placed and not problems:
        problems.add("no questions", path.name)
    problems.raise_if_any()
    return tuple(placed)


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; ``unguarded`` gives it back."""
    return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA) else cell


def unguarded(cell: str) -> str:
    """Return what ``guarded`` was given."""
    bare = cell.lstrip("'")
    return cell[1:] if bare != cell and bare.startswith(_FORMULA) else cell


def merged(placed: Sequence[Placed], draft: Draft) -> tuple[Placed, ...]:
    """Return the drafts with the one of this id replaced."""
    return tuple(replace(p, draft=draft) if p.draft.id == draft.id else p for p in placed)


def _cells(draft: Draft) -> tuple[str, ...]:
    return (
        draft.id,
        draft.question,
        draft.draft_answer,
        " | ".join(source.replace("|", "\\|") for source in draft.source),
        draft.quote,
        _number(draft.confidence),
        _number(draft.grounded_automatic),
        draft.verdict or "",
        draft.corrected_answer,
        *(_word(value) for value in (draft.answerable, draft.grounded, draft.helpful)),
        draft.note,
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _word(value: bool | None) -> str:
    return "" if value is None else ("yes" if value else "no")


def _draft(row: TableRow, problems: Problems) -> Draft:
    cell = {column: unguarded(row[column]) for column in COLUMNS}
    verdict = cell["verdict"].lower()
    if verdict and verdict not in VERDICTS:
        problems.add("verdict in doubt", row.where, f"verdict {verdict}")

    def said(column: str) -> bool | None:
        value = truth(cell[column])
        if value is None and cell[column]:
            problems.add("verdict in doubt", row.where, f"{column} {cell[column]}")
        return value

    def number(column: str) -> float | None:
        try:
            # A spreadsheet of another country writes a decimal comma.
            return float(cell[column].replace(",", ".")) if cell[column] else None
        except ValueError:
            problems.add("unusable row", row.where, f"{column} {cell[column]}")
            return None

    return Draft(
        id=cell["id"],
        question=cell["question"],
        draft_answer=cell["draft_answer"],
        source=parts(cell["source"]),
        quote=cell["quote"],
        confidence=number("confidence"),
        grounded_automatic=number("grounded_automatic"),
        verdict=next((known for known in VERDICTS if known == verdict), None),
        corrected_answer=cell["corrected_answer"],
        answerable=said("answerable"),
        grounded=said("grounded"),
        helpful=said("helpful"),
        note=cell["note"],
    )
