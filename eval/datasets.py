"""Question sets with gold answers and gold documents, checked on load and pinned by hash.

A folder holds ``queries.jsonl`` (``{_id, text, answers[], meta, split}``), ``qrels.tsv``
(``query-id corpus-id score``, with a header line) and either ``corpus.jsonl`` (``{_id, title, text,
split}``) or a folder ``docs/`` whose relative file paths are the corpus ids. ``answers``, ``meta``
and ``split`` may be left out. ``about.json`` may give the set a name and say what its importer left
out; it is not part of the data.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

from eval.problems import Problems
from eval.qrels import read_qrels
from eval.rows import json_object, json_rows, lines
from rag.errors import LoadError, UsageError

ABOUT: Final = "about.json"
NOTHING: Final = "nothing"
UNANSWERABLE: Final = ("UNANSWERABLE", "UNDERSPECIFIED")  # classes of meta.answerability

_At: TypeAlias = tuple[str, Problems]  # a place in a file, and where its faults are noted


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
    split: str | None = None

    @property
    def gold_ids(self) -> tuple[str, ...]:
        """The relevant corpus ids, without their grades."""
        return tuple(corpus_id for corpus_id, _ in self.gold)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A checked question set; ``texts`` is empty where the corpus is the folder ``documents``.

    ``hashes`` pairs each file read with its SHA-256, in order of name: whole files, whatever was
    left out of them. ``left_out`` says what was, in words with counts; ``texts_read`` is how many
    texts the file holds, None where the set was not read from one.
    """

    name: str
    texts: tuple[Text, ...]
    documents: Path | None
    cases: tuple[Case, ...]
    hashes: tuple[tuple[str, str], ...]
    left_out: str = NOTHING
    texts_read: int | None = None

    @property
    def sha256(self) -> str:
        """One hash of all files read and, where texts were left out, of those that were not."""
        of_files = [f"{digest}  {name}\n" for name, digest in self.hashes]
        whole = self.texts_read is None or self.texts_read == len(self.texts)
        used = [] if whole else [f"{json.dumps(text.id)}\n" for text in self.texts]
        return hashlib.sha256("".join([*of_files, *used]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many texts or files, questions, and answerable questions a set has."""

    documents: int
    questions: int
    answerable: int


def sizes(dataset: Dataset) -> Sizes:
    """Return how large a set is, without what was left out."""
    answerable = sum(case.answerable for case in dataset.cases)
    files = len(document_paths(dataset.documents)) if dataset.documents else 0
    return Sizes(len(dataset.texts) or files, len(dataset.cases), answerable)


def document_paths(folder: Path) -> tuple[Path, ...]:
    """Return the files below a folder of documents, in order of path."""
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def load_dataset(folder: Path, split: str | None = None) -> Dataset:
    """Return the question set in ``folder``, checked, or one split of it.

    A split has the texts that are marked with it, or all where none is marked, and the questions
    that are not marked otherwise and whose gold documents are all among those texts.

    Raises:
        UsageError: The folder or one of its files is missing, or nothing is of that split.
        LoadError: A file cannot be read, or rows of it cannot be used: all of them are said.
    """
    if not folder.is_dir():
        raise UsageError("no such data set folder", folder, "name a folder with queries.jsonl")
    corpus, documents = folder / "corpus.jsonl", folder / "docs"
    if not corpus.is_file() and not documents.is_dir():
        raise UsageError("data set without a corpus", folder, "add corpus.jsonl or a docs folder")
    problems = Problems(folder)
    known: set[str] = set()
    texts = tuple(_texts(corpus, known, problems)) if corpus.is_file() else ()
    files = () if corpus.is_file() else document_paths(documents)
    known |= {path.relative_to(documents).as_posix() for path in files}
    if not known and not problems:
        problems.add("empty corpus", (corpus if corpus.is_file() else documents).name)
    cases = tuple(_cases(folder, known, problems))
    name, left_out = _about(folder, problems)
    problems.raise_if_any()
    read = [folder / "queries.jsonl", folder / "qrels.tsv", *([corpus] if texts else files)]
    whole = Dataset(
        name=name,
        texts=texts,
        documents=None if texts else documents,
        cases=cases,
        hashes=tuple((p.relative_to(folder).as_posix(), _sha256(p)) for p in sorted(read)),
        left_out=left_out,
        texts_read=len(texts),
    )
    return whole if split is None else _of_split(whole, split)


def sampled(dataset: Dataset, count: int, seed: int) -> Dataset:
    """Return the set with ``count`` of its questions, in file order; or with all if it has fewer.

    The same for the same set, count and seed.

    Raises:
        UsageError: ``count`` is not positive.
    """
    if count < 1:
        raise UsageError("questions to draw", count, "draw 1 or more")
    total = len(dataset.cases)
    if count >= total:
        return dataset
    drawn = random.Random(seed).sample(range(total), count)  # noqa: S311 -- not a secret
    kept = tuple(dataset.cases[i] for i in sorted(drawn))
    words = f"{total - count} of {total} questions, {count} drawn with seed {seed}"
    return replace(dataset, cases=kept, left_out=_and(dataset.left_out, words))


def _of_split(whole: Dataset, split: str) -> Dataset:
    marked = any(text.split for text in whole.texts)
    texts = tuple(t for t in whole.texts if t.split == split) if marked else whole.texts
    inside = {text.id for text in texts} if marked else None
    cases = tuple(c for c in whole.cases if _is_of(c, split, inside))
    named = {t.split for t in whole.texts if t.split} | {c.split for c in whole.cases if c.split}
    if split not in named:
        choice = f"use one of {', '.join(sorted(named))}" if named else "leave the split out"
        raise UsageError("no such split", split, choice)
    if not cases:
        raise LoadError("no questions in the split", split, "use another, or leave it out")
    texts_out, cases_out = len(whole.texts) - len(texts), len(whole.cases) - len(cases)
    counts = [
        f"{out} of {total} {what}"
        for out, total, what in (
            (texts_out, len(whole.texts), "texts"),
            (cases_out, len(whole.cases), "questions"),
        )
        if out
    ]
    words = f"{' and '.join(counts)} outside split {split}" if counts else NOTHING
    return replace(whole, texts=texts, cases=cases, left_out=_and(whole.left_out, words))


def _is_of(case: Case, split: str, inside: set[str] | None) -> bool:
    if case.split is not None and case.split != split:
        return False
    return inside is None or inside.issuperset(case.gold_ids)


def _and(before: str, more: str) -> str:
    return "; ".join(words for words in (before, more) if words != NOTHING) or NOTHING


def _about(folder: Path, problems: Problems) -> tuple[str, str]:
    """Return the set's name and what was left out when it was imported."""
    path, name = folder / ABOUT, folder.resolve().name
    if not path.is_file():
        return name, NOTHING
    about = json_object("".join(text for _, text in lines(path, problems)), ABOUT, problems) or {}
    return _string({"name": name} | about, "name", (ABOUT, problems)), str(
        about.get("left_out", NOTHING)
    )


def _texts(path: Path, seen: set[str], problems: Problems) -> Iterator[Text]:
    for where, row in _unique_rows(path, seen, problems):
        at = (where, problems)
        title = _string(row, "title", at, blank=True)
        yield Text(row["_id"], title, _string(row, "text", at), _split(row))


def _split(row: Mapping[str, Any]) -> str | None:
    split = row.get("split")
    return str(split) if split else None


def _cases(folder: Path, known: set[str], problems: Problems) -> Iterator[Case]:
    asked: set[str] = set()
    rows = list(_unique_rows(folder / "queries.jsonl", asked, problems))
    if not rows and not problems:
        problems.add("no questions", "queries.jsonl")
    before = len(problems)
    gold = _gold(folder / "qrels.tsv", asked, known, problems)
    certain = len(problems) == before  # else gold may be missing for what was already said
    for where, row in rows:
        case = _case(row, gold.get(row["_id"], {}), (where, problems))
        if case.answerable and not case.gold and certain:
            problems.add("missing gold", where, case.text)
        yield case


def _case(row: dict[str, Any], gold: Mapping[str, int], at: _At) -> Case:
    meta = _meta(row, at)
    answerable = meta.get("answerable") is not False
    answerable = answerable and meta.get("answerability") not in UNANSWERABLE
    return Case(
        id=row["_id"],
        text=_string(row, "text", at),
        answers=_answers(row, at, answerable=answerable),
        gold=tuple(gold.items()),
        answerable=answerable,
        meta=meta,
        split=_split(row) or _split(meta),
    )


def _meta(row: dict[str, Any], at: _At) -> dict[str, Any]:
    where, problems = at
    meta = row.get("meta", {})
    if not isinstance(meta, dict):
        problems.add("unusable row", where, "meta is not an object")
        return {}
    check_meta(meta, where, problems)
    return meta


def check_meta(meta: Mapping[str, Any], where: str, problems: Problems) -> None:
    """Note what scoring would misread in a question's notes."""
    answerable = meta.get("answerable", True)
    if not isinstance(answerable, bool):
        problems.add("answerable in doubt", where, f"meta.answerable is {_told(answerable)}")
    for key in ("evidence", "key_points"):
        if key in meta and not _are_notes(meta[key]):
            problems.add("unusable notes", where, f"meta.{key} is {_told(meta[key])}")


def _told(value: object) -> str:
    # Not a whole list: it may be as deep as recursion goes.
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else json.dumps(value)


def _are_notes(value: object) -> bool:
    """Return whether a value is a list of strings, or of lists of them."""
    if not isinstance(value, list):
        return False
    return all(isinstance(each, str) or are_strings(each) for each in value)


def are_strings(value: object) -> bool:
    """Return whether a value is a list of strings."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _answers(row: dict[str, Any], at: _At, *, answerable: bool) -> tuple[str, ...]:
    where, problems = at
    answers = row.get("answers")
    if answers is None:
        return ()
    if not are_strings(answers):
        problems.add("unusable row", where, "answers is not a list of strings")
        return ()
    if any(not answer.strip() for answer in answers) or (answerable and not answers):
        problems.add("empty answer", where, str(row.get("text", "")))
    return tuple(answers)


def _gold(
    path: Path, questions: set[str], corpus: set[str], problems: Problems
) -> dict[str, dict[str, int]]:
    gold: dict[str, dict[str, int]] = {}
    complete = not problems.has("not JSON", "wrong encoding", "line too long")
    for qrel in read_qrels(path, problems, header=True):
        if complete and qrel.question not in questions:
            problems.add("dangling id", qrel.where, f"question {qrel.question}")
        if complete and qrel.text not in corpus:
            problems.add("dangling id", qrel.where, f"text {qrel.text}")
        if qrel.grade > 0:
            gold.setdefault(qrel.question, {})[qrel.text] = qrel.grade
    return gold


def _unique_rows(
    path: Path, seen: set[str], problems: Problems
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (place, row) for every line with an id of its own, which is added to ``seen``."""
    for where, row in json_rows(path, problems):
        row_id = row.get("_id")
        if not isinstance(row_id, str) or not row_id.strip():
            problems.add("unusable row", where, "_id is missing or blank")
        elif row_id in seen:
            problems.add("duplicate id", where, row_id)
        else:
            seen.add(row_id)
            yield where, row


def _string(row: dict[str, Any], field: str, at: _At, *, blank: bool = False) -> str:
    value = row.get(field)
    if isinstance(value, str) and (blank or value.strip()):
        return value
    where, problems = at
    problems.add("unusable row", where, f"{field} is missing or blank")
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
