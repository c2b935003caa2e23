"""Which passages the best sentences point to: the second step of a question of two steps.

"Who directed the film that won in 1994?" finds a sentence that names the film; the director stands
in a document about it, which shares few words with the question. A passage counts as pointed to if
one of the best sentences, from another document, names its document's title.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.results import Passage

POINTING = 4  # sentences: how many of the best are looked at
_SHORTEST_NAME = 4  # characters: shorter titles stand in any text
_QUALIFIER = re.compile(r"\s*\([^()]*\)")  # "Mercury (planet)"


def pointed_to(
    best: Sequence[tuple[str, str]], passages: Sequence[Passage], question: str
) -> set[str]:
    """Return the ids of the documents whose titles the best sentences, (title, text), name.

    A title that the question names itself is no second step, nor one in its own document.
    """
    asked = question.casefold()
    found = set()
    for title, doc_id in {(p.chunk.title, p.chunk.doc_id) for p in passages}:
        name = title_name(title)
        if name in asked:
            continue
        if any(title != own and names(text, name) for own, text in best):
            found.add(doc_id)
    return found


def title_name(title: str) -> str:
    """Return a title as texts name it: without its qualifier, letter case folded."""
    return _QUALIFIER.sub("", title).strip().casefold()


def names(text: str, name: str) -> bool:
    """Return whether a text names what ``title_name`` returned, in whole words."""
    if len(name) < _SHORTEST_NAME:
        return False
    folded = text.casefold()
    return name in folded and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", folded) is not None
