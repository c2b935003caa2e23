"""Near-duplicates among chunks: MinHash candidates, each confirmed exactly. Only importer of rensa.

Source: A. Broder, "On the resemblance and containment of documents" (1997), for MinHash over
shingles; Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", 3.4, for banding.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterator

from rensa import RMinHash, RMinHashLSH

from rag.errors import ValueRangeError

_SHINGLE_WORDS = 3
_PERMUTATIONS = 128
_SEED = 42
_WANTED_RECALL = 0.999
_MOST_CANDIDATES = 64  # checked exactly, newest first: bounds the time on boilerplate

_WORD = re.compile(r"\w+")
_NUMBER_OR_PRICE = re.compile(r"[\d$€£¥₹%]")
_CODE = re.compile(r"\b[A-Z]{2,}\b")
_NEGATION = re.compile(r"\b(?:no|not|never|none|nor|neither|without|cannot)\b|\Bn['\u2019]t\b")
_PUNCTUATION = ".,;:!?()[]{}\"'*_`|\u201c\u201d\u2018\u2019"


class NearDuplicates:
    """Finds chunks whose words say nearly the same as those of an earlier chunk.

    Texts are sets of 3-word shingles; near-duplicates have a Jaccard similarity of at least
    ``similarity``. MinHash only proposes pairs: each is confirmed on the shingles themselves
    (64-bit hashes), so that no pair below the threshold is reported. A pair right at the threshold
    is proposed with a probability of .999.

    Two texts that differ in a number, a date, a price, a currency sign, a code in capitals (EU,
    US) or a negation are never near-duplicates, however much of their wording they share: the one
    differing token is most often the answer to a question (the 2024 price, the US notice period),
    and dropping one of the two would answer for the other. The sequence of such tokens is part of
    every shingle, so these texts share none and do not even become candidates.

    Memory is bounded: beyond ``capacity`` texts (3 kB each) the oldest are forgotten.
    """

    def __init__(self, similarity: float, capacity: int = 200_000) -> None:
        if not 0 < similarity <= 1:
            raise ValueRangeError("near-duplicate similarity", similarity, "use 0 < value <= 1")
        if capacity < 1:
            raise ValueRangeError("near-duplicate capacity", capacity, "use 1 or more")
        self._similarity = similarity
        self._capacity = capacity
        self._lsh = RMinHashLSH(similarity, _PERMUTATIONS, _bands(similarity))
        self._known: dict[int, tuple[str, array[int]]] = {}
        self._next_key = 0

    def __len__(self) -> int:
        """Return how many texts are remembered."""
        return len(self._known)

    def add(self, chunk_id: str, text: str) -> str | None:
        """Return the id of the earlier near-duplicate, or None and remember this text.

        Of several earlier ones the most similar is returned, among equals the earliest. A text
        without any word has no near-duplicates.
        """
        shingles = _shingles(text)
        if not shingles:
            return None
        sketch = RMinHash(_PERMUTATIONS, _SEED)
        sketch.update(shingles)
        (hashes,) = RMinHash.hash_token_sets([shingles])
        earlier = self._most_similar(sketch, set(hashes))
        if earlier is None:
            self._remember(chunk_id, sketch, hashes)
        return earlier

    def _most_similar(self, sketch: RMinHash, hashes: set[int]) -> str | None:
        keys = sorted(self._lsh.query(sketch), reverse=True)[:_MOST_CANDIDATES]
        rated = [(_jaccard(hashes, self._known[key][1]), -key) for key in keys]
        best = max(rated, default=(0.0, 0))
        return self._known[-best[1]][0] if best[0] >= self._similarity else None

    def _remember(self, chunk_id: str, sketch: RMinHash, hashes: list[int]) -> None:
        if len(self._known) >= self._capacity:
            oldest = next(iter(self._known))
            self._lsh.remove(oldest)
            del self._known[oldest]
        self._lsh.insert(self._next_key, sketch)
        self._known[self._next_key] = (chunk_id, array("Q", hashes))
        self._next_key += 1


def _jaccard(hashes: set[int], others: array[int]) -> float:
    shared = len(hashes.intersection(others))
    return shared / (len(hashes) + len(others) - shared)


def _shingles(text: str) -> list[str]:
    """Return the distinct shingles, in order; a text of one or two words is a single one."""
    words = _WORD.findall(text.lower())
    if not words:
        return []
    decisive = "\x1f".join(_decisive_tokens(text))
    key = hashlib.blake2b(decisive.encode("utf-8", "replace"), digest_size=8).hexdigest()
    size = min(_SHINGLE_WORDS, len(words))
    rows = zip(*(words[i:] for i in range(size)), strict=False)
    return list(dict.fromkeys(f"{key} {' '.join(row)}" for row in rows))


def _decisive_tokens(text: str) -> Iterator[str]:
    """Yield the tokens in which near-duplicates must agree, kind by kind in text order."""
    if _NUMBER_OR_PRICE.search(text):
        for token in text.split():
            if _NUMBER_OR_PRICE.search(token):
                yield token.strip(_PUNCTUATION)
    yield from _CODE.findall(text)
    yield from _NEGATION.findall(text.lower())


def _bands(similarity: float) -> int:
    """Return the fewest bands that propose a pair at the threshold with the wanted recall.

    A pair of similarity s agrees in all r rows of one of b bands with probability
    1 - (1 - s^r)^b.
    """
    rows = _PERMUTATIONS
    while rows > 1:
        bands = _PERMUTATIONS // rows
        if 1 - (1 - similarity**rows) ** bands >= _WANTED_RECALL:
            return bands
        rows //= 2
    return _PERMUTATIONS
