"""Which sentence another one leans on: without it, it could not be understood alone."""

from __future__ import annotations

import re

from rag.types import Chunk

# A first word that stands for something said before.
_STANDS_FOR = re.compile(
    r"(?:this|that|these|those|it|they|he|she|its|their|his|her|such|both)\b", re.IGNORECASE
)


def leans_on(chunk: Chunk, sentence: int) -> int | None:
    """Return the index of the sentence that this one needs, or None if it stands alone.

    An item of a list needs the line that ends in a colon above the list. A sentence that begins
    with "this", "it" or the like needs the one before. Rows of tables name their columns
    themselves.
    """
    lead_in = _lead_in(chunk, sentence)
    if lead_in is not None:
        return lead_in
    before = sentence - 1
    if before < 0 or before in chunk.headlines:
        return None
    return before if _STANDS_FOR.match(chunk.sentence(sentence)) else None


def _lead_in(chunk: Chunk, sentence: int) -> int | None:
    """Return the line above the list that a sentence is an item of.

    Items follow each other line by line; only below the lead-in there may be a blank line.
    """
    for above in range(sentence - 1, -1, -1):
        gap = chunk.text[chunk.sentences[above].end : chunk.sentences[above + 1].start]
        if chunk.sentence(above).endswith(":"):
            return above if "\n" in gap else None
        if gap.count("\n") != 1:
            return None
    return None
