"""What index terms for compounds win: questions that name an identifier of documentation."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from eval.bench.corpora import SEED
from eval.bench.wholes import ranked
from eval.systems.indexed import chunked
from ingest.load.registry import load_document
from rag.build import build_analyzer, build_tokenizer
from rag.errors import EmptyDocumentError
from rag.protocols import Analyzer
from rag.settings import Settings
from rag.terms import indexed_text
from rag.types import Chunk, Document

_JOIN = re.compile(r"(?<=\w)[-_.](?=\w)")
_COMPOUND = re.compile(r"(?<![\w./:@-])\w+(?:[-_.]\w+)+(?![\w/:@-])", re.ASCII)
_PLAIN = re.compile(r"\b[A-Za-z]{4,}\b")
_MOST_PLACES = 8  # chunks that hold it: one that is everywhere is not what is asked for
_LONGEST = 40  # characters
_AT = 5


@dataclass(frozen=True, slots=True)
class Asking:
    """A question, and the numbers of the chunks that hold what it names."""

    text: str
    gold: frozenset[int]


@dataclass(frozen=True, slots=True)
class IdentifierRow:
    """One way to make terms, on all questions.

    ``first`` is the share of questions whose first passage holds the identifier, ``recall`` the
    mean share of such passages among the first 5; ``entries`` are terms stored in the index.
    """

    terms: str
    questions: int
    first: float
    recall: float
    entries: int


class Apart:
    """The analyzer with every compound written as separate words."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer

    def terms(self, text: str) -> list[int]:
        """Return the terms of the words apart."""
        return self._analyzer.terms(_JOIN.sub(" ", text))


def identifier_rows(data: Path, settings: Settings, *, quick: bool) -> list[IdentifierRow]:
    """Return the row without compounds and the row with them."""
    chunks = chunked(_documents(data / "docs_markup", 10 if quick else 100), settings)
    askings = questions(chunks, 100 if quick else 500, random.Random(SEED))  # noqa: S311 -- not a secret
    ways: tuple[tuple[str, Analyzer], ...] = (
        ("words", Apart(build_analyzer())),
        ("words and compounds", build_analyzer()),
    )
    return [_row(name, way, chunks, askings, settings) for name, way in ways]


def questions(chunks: Sequence[Chunk], count: int, draw: random.Random) -> list[Asking]:
    """Return up to ``count`` pairs of questions: one names an identifier, one words beside it."""
    places: dict[str, set[int]] = defaultdict(set)
    for number, chunk in enumerate(chunks):
        for name in _COMPOUND.findall(chunk.text):
            places[name].add(number)
    rare = sorted(n for n, at in places.items() if len(at) <= _MOST_PLACES and len(n) <= _LONGEST)
    return [
        Asking(text, frozenset(places[name]))
        for name in draw.sample(rare, min(count, len(rare)))
        for text in _worded(name, chunks[draw.choice(sorted(places[name]))], draw)
    ]


def _documents(root: Path, of_each: int) -> Iterator[Document]:
    """Yield so many files of each documentation project, without those that are empty."""
    for project in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(path for path in project.rglob("*") if path.suffix in {".md", ".rst"})
        for file in random.Random(SEED).sample(files, of_each):  # noqa: S311 -- not a secret
            with suppress(EmptyDocumentError):
                yield load_document(file, file.relative_to(root).as_posix())


def _worded(name: str, chunk: Chunk, draw: random.Random) -> Iterator[str]:
    yield f"What is {name}?"
    beside = " ".join(s for s in map(chunk.sentence, range(len(chunk.sentences))) if name in s)
    words = sorted(set(_PLAIN.findall(beside.replace(name, " "))))
    if len(words) > 1:
        yield f"What about {name} and {' '.join(draw.sample(words, 2))}?"


def _row(
    name: str,
    analyzer: Analyzer,
    chunks: Sequence[Chunk],
    askings: Sequence[Asking],
    settings: Settings,
) -> IdentifierRow:
    terms = [analyzer.terms(indexed_text(chunk)) for chunk in chunks]
    bm25 = ranked(chunks, analyzer, build_tokenizer(settings))
    number = {chunk.id: i for i, chunk in enumerate(chunks)}
    found = [
        (asking.gold, [number[chunk.id] for chunk in bm25.best(asking.text)[:_AT]])
        for asking in askings
    ]
    return IdentifierRow(
        terms=name,
        questions=len(askings),
        first=fmean(best[0] in gold for gold, best in found),
        recall=fmean(len(gold.intersection(best)) / min(_AT, len(gold)) for gold, best in found),
        entries=sum(len(set(each)) for each in terms),
    )
