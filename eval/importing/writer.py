"""Writes the common schema row by row, and notes what no layout may get wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TextIO

from eval.datasets import ABOUT, NOTHING, Case, Text
from eval.problems import Problems
from rag.filetree import copy_file


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made: sizes, what was left out in words, and what deserves a look."""

    target: str
    name: str
    documents: int
    questions: int
    answerable: int
    left_out: str
    warnings: tuple[str, ...]

    def to_json(self) -> str:
        """Return the result as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def to_text(self) -> str:
        """Return the result for a person."""
        asked = f"{counted(self.questions, 'questions')} ({self.answerable} answerable)"
        over = counted(self.documents, "documents")
        made = f"{self.target}: {asked} over {over}; left out: {self.left_out}"
        return "\n".join((made, *(f"warning: {warning}" for warning in self.warnings)))


@dataclass(slots=True)
class _Warning:
    """How often something deserves a look, and the first places."""

    count: int = 0
    places: tuple[str, ...] = ()

    def add(self, where: str) -> None:
        self.count += 1
        if len(self.places) < 3:
            self.places = (*self.places, where)

    def __str__(self) -> str:
        more = self.count - len(self.places)
        return ", ".join(self.places) + (f" and {more} more" if more else "")


class DatasetWriter:
    """Takes texts and questions in any order; ``finish`` checks that they fit together.

    Memory grows with the number of ids, not with the texts.
    """

    def __init__(self, folder: Path, problems: Problems) -> None:
        self._folder = folder
        self._problems = problems
        self._texts: set[str] = set()
        self._questions: set[str] = set()
        self._asked: dict[str, str] = {}
        self._gold: dict[str, str] = {}
        self._answerable = 0
        self._left_out: dict[str, int] = {}
        self._warnings: dict[str, _Warning] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._queries = self._created("queries.jsonl")
        self._qrels = self._created("qrels.tsv")
        self._qrels.write("query-id\tcorpus-id\tscore\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add_text(self, where: str, text: Text) -> None:
        """Add one text of the corpus."""
        if not self._takes(where, text.id, self._texts):
            return
        if len(self._texts) == 1:
            self._corpus = self._created("corpus.jsonl")
        row = {"_id": text.id, "title": text.title, "text": text.text}
        self._corpus.write(_line(row | ({"split": text.split} if text.split else {})))

    def add_document(self, document_id: str, path: Path) -> None:
        """Add one file of a corpus that is a folder of documents."""
        if self._takes(path.name, document_id, self._texts):
            copy = self._folder / "docs" / document_id
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, copy)

    def add_question(
        self, where: str, case: Case, gold_places: Mapping[str, str] | None = None
    ) -> None:
        """Add one question with its gold; an answerable one without gold is noted.

        ``gold_places`` says where the gold ids stand, if that is elsewhere.
        """
        if not case.text.strip():
            self._problems.add("blank question", where, case.id)
        if any(not answer.strip() for answer in case.answers):
            self._problems.add("empty answer", where, case.text)
        if case.answerable and not case.gold and not self._problems.said_of(where):
            self._problems.add("missing gold", where, case.text)
        if not self._takes(where, case.id, self._questions):
            return
        self._answerable += case.answerable
        folded = " ".join(case.text.casefold().split())
        if folded in self._asked:
            self.warn("questions asked twice", f"{self._asked[folded]} and {where}")
        self._asked.setdefault(folded, where)
        self._queries.write(_line(_query(case)))
        for text_id, score in case.gold:
            self._gold.setdefault(text_id, (gold_places or {}).get(text_id, where))
            self._qrels.write(f"{case.id}\t{text_id}\t{score}\n")

    def leave_out(self, what: str) -> None:
        """Count something that is not taken over."""
        self._left_out[what] = self._left_out.get(what, 0) + 1

    def warn(self, what: str, where: str) -> None:
        """Note something that is allowed and deserves a look."""
        self._warnings.setdefault(what, _Warning()).add(where)

    def finish(self, target: Path, layout: str, name: str | None = None) -> Imported:
        """Return what was made, once all is written and fits together.

        Raises:
            LoadError: Something is wrong with the source; all of it is said.
        """
        if not self._problems:  # else nothing may be left for what was already said
            if not self._questions:
                self._problems.add("no questions", layout)
            if not self._texts:
                self._problems.add("empty corpus", layout)
        if not self._problems.has("not JSON", "wrong encoding", "line too long"):
            for text_id, where in self._gold.items():
                if self._texts and text_id not in self._texts:
                    self._problems.add("dangling id", where, text_id)
        self._problems.raise_if_any()
        left_out = "; ".join(counted(n, what) for what, n in self._left_out.items()) or NOTHING
        about = {"name": name or target.resolve().name, "layout": layout, "left_out": left_out}
        with self._created(ABOUT) as file:
            file.write(_line(about))
        self._open.close()
        return Imported(
            target=str(target),
            name=about["name"],
            documents=len(self._texts),
            questions=len(self._questions),
            answerable=self._answerable,
            left_out=left_out,
            warnings=tuple(f"{counted(w.count, what)}: {w}" for what, w in self._warnings.items()),
        )

    def _takes(self, where: str, row_id: str, taken: set[str]) -> bool:
        if not row_id.strip() or any(mark in row_id for mark in "\t\r\n"):
            self._problems.add("unusable row", where, f"id {row_id!r}")
            return False
        if row_id in taken:
            self._problems.add("duplicate id", where, row_id)
            return False
        taken.add(row_id)
        return True

    def _created(self, name: str) -> TextIO:
        path = self._folder / name
        return self._open.enter_context(path.open("w", encoding="utf-8", newline="\n"))


def counted(count: int, what: str) -> str:
    """Return a count with what is counted, whose first word is a plural in s."""
    first, space, rest = what.partition(" ")
    return f"{count} {first.removesuffix('s') if count == 1 else first}{space}{rest}"


def _query(case: Case) -> Mapping[str, Any]:
    row: dict[str, Any] = {"_id": case.id, "text": case.text}
    if case.answers or not case.answerable:
        row["answers"] = list(case.answers)
    row["meta"] = dict(case.meta) | ({} if case.answerable else {"answerable": False})
    return row | ({"split": case.split} if case.split else {})


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
