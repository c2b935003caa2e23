"""What is wrong with a source, all of it gathered before it is said."""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal, TypeAlias

from rag.errors import LoadError

Kind: TypeAlias = Literal[
    "no questions",
    "empty corpus",
    "wrong encoding",
    "not JSON",
    "line too long",
    "no header",
    "unusable row",
    "answerable in doubt",
    "unusable notes",
    "missing gold",
    "dangling id",
    "duplicate id",
    "duplicate qrel",
    "empty answer",
    "blank question",
    "blank text",
    "verdict in doubt",
]
SHOWN: Final = 10

_REMEDIES: Final[dict[Kind, str]] = {
    "no questions": "give at least one question",
    "empty corpus": "give the texts that the questions are asked about",
    "wrong encoding": "save the file as UTF-8",
    "not JSON": "write one JSON object a line",
    "line too long": "split the text",
    "no header": "add a first line query-id, corpus-id, score with tabs between",
    "unusable row": "mend the row",
    "answerable in doubt": "write true or false, without quotation marks",
    "unusable notes": "write evidence and key_points as lists of strings",
    "missing gold": "name the document that holds the answer, or mark the question unanswerable",
    "dangling id": "mend the id, or add what it names",
    "duplicate id": "give each row its own id",
    "duplicate qrel": "keep one of the two rows",
    "empty answer": "give the answer, or mark the question unanswerable",
    "blank question": "write the question, or remove the row",
    "blank text": "give the text, or remove it and its questions",
    "verdict in doubt": "write accept, correct, unanswerable or skip, and yes or no",
}


class Problems:
    """Gathers what is wrong; keeps the first few places and counts the rest by kind."""

    def __init__(self, source: object) -> None:
        self._source = source
        self._counts: Counter[Kind] = Counter()
        self._shown: list[str] = []
        self._places: set[str] = set()

    def add(self, kind: Kind, where: str, detail: str = "") -> None:
        """Note one problem: its kind, the place in the source, and what stands there."""
        self._counts[kind] += 1
        self._places.add(where)
        if len(self._shown) < SHOWN:
            told = f" ({_shortened(detail)})" if detail else ""
            self._shown.append(f"{where}: {kind}{told}")

    def __len__(self) -> int:
        return self._counts.total()

    def has(self, *kinds: Kind) -> bool:
        """Return whether there is a problem of one of these kinds."""
        return any(self._counts[kind] for kind in kinds)

    def said_of(self, where: str) -> bool:
        """Return whether something was noted at a place: what follows from it need not be."""
        return where in self._places

    def raise_if_any(self) -> None:
        """Say all that is wrong, if anything is.

        Raises:
            LoadError: Something is; the message names each kind, how often it occurs, the first
                places, and what to do about each kind.
        """
        if not self._counts:
            return
        ranked = [(kind, self._counts[kind]) for kind in _REMEDIES if self._counts[kind]]
        kinds = ", ".join(f"{count} {kind}" for kind, count in ranked)
        more = self._counts.total() - len(self._shown)
        lines = [*self._shown, *([f"and {more} more"] if more else [])]
        remedy = "; ".join(f"for {kind}: {_REMEDIES[kind]}" for kind, _ in ranked)
        what = f"{self._source} cannot be used, {kinds}"
        raise LoadError(what, ";".join(f"\n  {line}" for line in lines), remedy)


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else f"{flat[:77]}..."
