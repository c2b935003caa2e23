"""Pairs of questions that may or must not share an answer, and what a cache makes of them.

Sets without a corpus: the evidence condition cannot run here, so this is the verifier alone,
behind its candidate floor, beside caches that hit by cosine only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from rag.cache.keys import normalised
from rag.cache.reading import read
from rag.cache.rewriting import RULES, Words
from rag.cache.shadow import bounds
from rag.protocols import Embedder
from rag.types import Vector

COSINES: Final = (0.8, 0.9, 0.95)
VERIFIER: Final = "verifier"
_HALVES: Final = ("developed on", "reported")
# Whoever made the labels calls "Is A hurting B?" and "Is B hurting A?" duplicates; by the test's
# own name they are not, so that a hit counts as false.
_MISLABELLED: Final = "Order does matter for asymmetric relations"


@dataclass(frozen=True, slots=True)
class Pair:
    """A question in the cache and one that is asked; ``same``: one answer may serve both."""

    source: str
    kind: str
    cached: str
    asked: str
    same: bool

    @property
    def half(self) -> str:
        """Which half it is in, by a hash of its words."""
        digest = hashlib.sha256(f"0\n{self.cached}\n{self.asked}".encode()).digest()
        return _HALVES[digest[0] % 2]


@dataclass(frozen=True, slots=True)
class Share:
    """``found`` of ``of`` with the exact 95 % bounds of the share."""

    found: int
    of: int
    low: float | None
    high: float | None

    @classmethod
    def count(cls, found: int, of: int) -> Share:
        """Return the share with its bounds, which are None of nothing."""
        return cls(found, of, *(bounds(found, of) if of else (None, None)))


@dataclass(frozen=True, slots=True)
class PairRow:
    """One cache on one half of one set.

    ``false``: hits among pairs that must not share an answer; ``false_of_hits``: the same hits
    among all hits on the set; ``paraphrases``: hits among the others, identical ones left out;
    ``exact``: pairs that may share an answer and are identical, which any cache hits.
    """

    source: str
    half: str
    cache: str
    false: Share
    false_of_hits: Share
    paraphrases: Share
    exact: int


@dataclass(frozen=True, slots=True)
class RuleRow:
    """What a rule earns: hits on paraphrases, and false hits, that are lost without it."""

    rule: str
    paraphrases: int
    false: int


class Reader:
    """Readings and vectors of questions, each made once."""

    def __init__(self, embedder: Embedder, left_out: str | None = None) -> None:
        self._embedder = embedder
        self._left_out = frozenset({left_out} if left_out else ())
        self._known: dict[str, frozenset[Words]] = {}

    def same(self, pair: Pair) -> bool:
        """Return whether the verifier takes both questions for the same."""
        return bool(self._read(pair.cached) & self._read(pair.asked))

    def cosine(self, pair: Pair) -> float:
        """Return the cosine of both questions."""
        one, other = (self._embedder.embed_question(text) for text in (pair.cached, pair.asked))
        return float(one @ other)

    def near(self, least: float, pair: Pair) -> bool:
        """Return whether the cosine of both questions is at least so much."""
        return self.cosine(pair) >= least

    def _read(self, text: str) -> frozenset[Words]:
        if text not in self._known:
            self._known[text] = read(text, self._left_out)
        return self._known[text]


def pairs(data: Path, embedder: Embedder, *, quick: bool) -> tuple[Pair, ...]:
    """Return all pairs, each once; those of the same words in another case are exact hits."""
    every = (*_checklist(data), *_entailed(data), *_neighbours(data, embedder, quick=quick))
    return tuple(dict.fromkeys(p for p in every if p.cached.strip() and p.asked.strip()))


def identical(pair: Pair) -> bool:
    """Return whether the exact level already takes them for one."""
    return normalised(pair.cached) == normalised(pair.asked)


def pair_rows(every: Sequence[Pair], embedder: Embedder) -> Iterator[PairRow]:
    """Yield each cache on each half of each set."""
    reader = Reader(embedder)
    caches: dict[str, Callable[[Pair], bool]] = {VERIFIER: reader.same}
    for least in COSINES:
        caches[f"cosine {least}"] = partial(reader.near, least)
    for source in dict.fromkeys(pair.source for pair in every):
        for half in _HALVES:
            whole = [pair for pair in every if (pair.source, pair.half) == (source, half)]
            exact = sum(identical(pair) and pair.same for pair in whole)
            held = [pair for pair in whole if not identical(pair)]
            for name, hits in caches.items():
                yield replace(_row((source, half, name), held, hits), exact=exact)


def rule_rows(every: Sequence[Pair], embedder: Embedder) -> Iterator[RuleRow]:
    """Yield what each rule of the verifier earns on the half developed on, best first."""
    held = [p for p in every if p.half == _HALVES[0] and not identical(p)]
    whole = _hits(held, Reader(embedder))
    rows = []
    for rule in RULES:
        without = _hits(held, Reader(embedder, rule))
        rows.append(RuleRow(rule, whole[True] - without[True], whole[False] - without[False]))
    yield from sorted(rows, key=lambda row: -row.paraphrases)


def floors(every: Sequence[Pair], embedder: Embedder) -> dict[str, float | int]:
    """Return how near the pairs stand that the verifier takes for the same, on the first half."""
    reader = Reader(embedder)
    held = [p for p in every if p.half == _HALVES[0] and not identical(p) and reader.same(p)]
    cosines = np.array([reader.cosine(pair) for pair in held])
    return {
        "pairs": len(held),
        "least_cosine": float(cosines.min(initial=1.0)),
        "below_0.7": int((cosines < 0.7).sum()),
        "below_0.8": int((cosines < 0.8).sum()),
        "below_0.9": int((cosines < 0.9).sum()),
    }


def _row(
    names: tuple[str, str, str], held: Sequence[Pair], hits: Callable[[Pair], bool]
) -> PairRow:
    right = [hits(pair) for pair in held if pair.same]
    wrong = [hits(pair) for pair in held if not pair.same]
    return PairRow(
        *names,
        false=Share.count(sum(wrong), len(wrong)),
        false_of_hits=Share.count(sum(wrong), sum(wrong) + sum(right)),
        paraphrases=Share.count(sum(right), len(right)),
        exact=0,
    )


def _hits(held: Sequence[Pair], reader: Reader) -> dict[bool, int]:
    found = [pair.same for pair in held if reader.same(pair)]
    return {True: sum(found), False: len(found) - sum(found)}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _checklist(data: Path) -> Iterator[Pair]:
    for row in _rows(data / "checklist_qqp" / "pairs.jsonl"):
        same = bool(row["same"]) and row["test"] != _MISLABELLED
        yield Pair("checklist_qqp", row["test"], row["q1"], row["q2"], same)


def _entailed(data: Path) -> Iterator[Pair]:
    for row in _rows(data / "rqe" / "pairs_train.jsonl"):
        yield Pair("rqe", row["type"], row["q2"], row["q1"], bool(row["same"]))


def _neighbours(data: Path, embedder: Embedder, *, quick: bool) -> Iterator[Pair]:
    """Yield each question with the nearest of its intent, and with the nearest of another."""
    rows = list(_rows(data / "banking77" / "train.jsonl"))[:: 10 if quick else 1]
    texts = [row["text"] for row in rows]
    intents = np.array([row["intent"] for row in rows])
    vectors = matrix(texts, embedder)
    for at, text in enumerate(texts):
        cosines = vectors @ vectors[at]
        cosines[at] = -1
        for same, allowed in ((True, intents == intents[at]), (False, intents != intents[at])):
            nearest = int(np.argmax(np.where(allowed, cosines, -1)))
            yield Pair("banking77", "neighbour", texts[nearest], text, same)


def matrix(texts: Iterable[str], embedder: Embedder) -> Vector:
    """Return (texts, dim) unit rows."""
    return np.stack([embedder.embed_question(text) for text in texts])
