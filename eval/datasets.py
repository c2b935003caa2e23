"""Question sets with gold answers and gold documents, checked on load and pinned by hash.

A folder holds ``queries.jsonl`` (``{_id, text, answers[], meta}``), ``qrels.tsv`` (``query-id
corpus-id score``, with a header line) and either ``corpus.jsonl`` (``{_id, title, text}``) or a
folder ``docs/`` whose relative file paths are the corpus ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import LoadError, UsageError

_UNANSWERABLE = {"UNANSWERABLE", "UNDERSPECIFIED"}  # classes of meta.answerability


@dataclass(frozen=True, slots=True)
class Text:
    """One text of the corpus; ``split`` names the part of the set it belongs to, if any."""

    id: str
    title: str
    text: str
    split: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One question with what is right: answers (any of them) and gold corpus ids by relevance.

    ``answers`` is empty for unanswerable questions and for sets that only judge retrieval.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    gold: tuple[tuple[str, int], ...]
    answerable: bool
    meta: Mapping[str, Any]

    @property
    def gold_ids(self) -> tuple[str, ...]:
        """The relevant corpus ids, without their grades."""
        return tuple(corpus_id for corpus_id, _ in self.gold)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A checked question set; ``texts`` is empty where the corpus is the folder ``documents``.

    ``hashes`` pairs each file read with its SHA-256, in order of name.
    """

    name: str
    texts: tuple[Text, ...]
    documents: Path | None
    cases: tuple[Case, ...]
    hashes: tuple[tuple[str, str], ...]

    @property
    def sha256(self) -> str:
        """One hash of all files read."""
        lines = "".join(f"{digest}  {name}\n" for name, digest in self.hashes)
        return hashlib.sha256(lines.encode()).hexdigest()


def load_dataset(folder: Path) -> Dataset:
    """Return the question set in ``folder``, checked.

    Raises:
        UsageError: The folder or one of its files is missing.
        LoadError: A row cannot be used: bad JSON, a missing field, an id that stands twice, a
            qrel to an unknown question or text, an answerable question without gold document or
            with a blank answer.
    """
    if not folder.is_dir():
        raise UsageError("no such data set folder", folder, "name a folder with queries.jsonl")
    corpus, documents = folder / "corpus.jsonl", folder / "docs"
    if not corpus.is_file() and not documents.is_dir():
        raise UsageError("data set without a corpus", folder, "add corpus.jsonl or a docs folder")
    texts = tuple(_texts(corpus)) if corpus.is_file() else ()
    files = [] if texts else sorted(p for p in documents.rglob("*") if p.is_file())
    known = {text.id for text in texts} or {p.relative_to(documents).as_posix() for p in files}
    read = [folder / "queries.jsonl", folder / "qrels.tsv", *([corpus] if texts else files)]
    return Dataset(
        name=folder.resolve().name,
        texts=texts,
        documents=None if texts else documents,
        cases=tuple(_cases(folder, known)),
        hashes=tuple((p.relative_to(folder).as_posix(), _sha256(p)) for p in sorted(read)),
    )


def _texts(path: Path) -> Iterator[Text]:
    for where, row in _unique_rows(path):
        split = row.get("split")
        title = _string(row, "title", where, blank=True)
        yield Text(row["_id"], title, _string(row, "text", where), str(split) if split else None)


def _cases(folder: Path, known: set[str]) -> Iterator[Case]:
    rows = list(_unique_rows(folder / "queries.jsonl"))
    gold = _gold(folder / "qrels.tsv", {row["_id"] for _, row in rows}, known)
    for where, row in rows:
        meta = row.get("meta", {})
        if not isinstance(meta, dict):
            raise LoadError("meta is not an object", where, "write a JSON object")
        answerable = meta.get("answerable") is not False
        answerable = answerable and meta.get("answerability") not in _UNANSWERABLE
        case = Case(
            id=row["_id"],
            text=_string(row, "text", where),
            answers=_answers(row, answerable, where),
            gold=tuple(gold.get(row["_id"], {}).items()),
            answerable=answerable,
            meta=meta,
        )
        if answerable and not case.gold:
            raise LoadError("question without a gold document", where, "add a row to qrels.tsv")
        yield case


def _answers(row: dict[str, Any], answerable: bool, where: str) -> tuple[str, ...]:
    answers = row.get("answers")
    if answers is None:
        return ()
    if not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
        raise LoadError("answers is not a list of strings", where, "write a list of strings")
    if any(not a.strip() for a in answers) or (answerable and not answers):
        raise LoadError("empty answer", where, "give the answer, or set meta.answerable to false")
    return tuple(answers)


def _gold(path: Path, questions: set[str], corpus: set[str]) -> dict[str, dict[str, int]]:
    gold: dict[str, dict[str, int]] = {}
    for number, line in enumerate(_lines(path), start=1):
        if number == 1 or not line.strip():
            continue
        where = f"{path}:{number}"
        question, text, score = _qrel(line, where)
        if question not in questions:
            raise LoadError("qrel of an unknown question", f"{question} ({where})", "mend the id")
        if text not in corpus:
            raise LoadError("qrel to an unknown text", f"{text} ({where})", "mend the id")
        if text in gold.setdefault(question, {}):
            raise LoadError("qrel stands twice", f"{question} {text} ({where})", "remove one")
        if score > 0:
            gold[question][text] = score
    return gold


def _qrel(line: str, where: str) -> tuple[str, str, int]:
    fields = line.split("\t")
    try:
        question, text, score = fields
        return question, text, int(score)
    except ValueError as exc:
        remedy = "write query-id, corpus-id and a whole score with tabs between"
        raise LoadError("unreadable qrel", where, remedy) from exc


def _unique_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (place, row) for every line, ids checked."""
    seen: set[str] = set()
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        row = _object(line, where)
        row_id = _string(row, "_id", where)
        if row_id in seen:
            raise LoadError("id stands twice", f"{row_id} ({where})", "give each row its own id")
        seen.add(row_id)
        yield where, row


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as exc:
        raise LoadError("line is not JSON", where, "write one JSON object a line") from exc
    if not isinstance(row, dict):
        raise LoadError("line is not a JSON object", where, "write one JSON object a line")
    return row


def _string(row: dict[str, Any], field: str, where: str, *, blank: bool = False) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not (blank or value.strip()):
        raise LoadError(f"{field} is missing or blank", where, f"give {field} as a string")
    return value


def _lines(path: Path) -> list[str]:
    # Not splitlines(): JSON strings may hold U+2028 and its like unescaped.
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as exc:
        raise UsageError("data set file is missing", path, "add it") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise LoadError("data set file cannot be read", path, f"mend it ({exc})") from exc


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
