"""The second hop: passages that the question's own words do not find.

"In which year was the director of Alien born?" leads to a passage on Alien, which names its
director; the year stands in the director's own document, which shares hardly a word with the
question. Where the first passage leaves part of the question open, one more search, by words only
and so without a model, asks for the names in it together with what is open. Of what that finds,
only passages whose document's title the first passage names are added; ``rag.links`` then weighs
them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rag.bm25 import query_vector
from rag.links import names, title_name
from rag.protocols import Analyzer, IndexReader
from rag.results import Passage
from rag.retrieve import Asked, Found, passage
from rag.terms import indexed_text
from rag.types import Filter, SearchQuery

# Source: a prototype on hotpotqa_400, 397 questions, budget 256: with 3, 5, 8 and 10 new passages
# looked at all gold documents are packed for .768, .771, .771, .771, at 0.44, 0.48, 0.56 and
# 0.62 ms.
_LOOKED_AT = 3
_SHORTEST_NAME = 4  # characters
_PARTICLES = "of|the|and|in|for|de|del|di|du|la|le|van|von"
_NAME = re.compile(rf"\b[A-Z][\w'’.-]*(?:\s+(?:(?:{_PARTICLES})\s+)*[A-Z0-9][\w'’-]*)*")


def second_hop(
    found: Found, asked: Asked, where: Filter, index: IndexReader, analyzer: Analyzer
) -> Found:
    """Return what was found with the passages added that the first one names; often unchanged.

    They get the score of the middle passage: the best would crowd out the rest where the question
    has one step only, and the last would leave them behind.
    """
    wanted = _wanted(found, analyzer)
    if not wanted:
        return found
    known = {p.chunk.id for p in found.passages}
    limit = len(known) + _LOOKED_AT
    hits = index.search(
        SearchQuery(where, query_vector(wanted), None, limit, weigh_terms=False)
    ).sparse
    new = [hit.chunk_id for hit in hits if hit.chunk_id not in known][:_LOOKED_AT]
    score = found.passages[len(found.passages) // 2].score
    stored = index.fetch(where.tenant, new) if new else ()
    fetched = (passage(one, score, asked.vector) for one in stored)
    added = [one for one in fetched if _is_named(one, found.passages[0], asked.text)]
    return replace(found, passages=(*found.passages, *added))


def _wanted(found: Found, analyzer: Analyzer) -> list[int]:
    """Return the terms of the first passage's names and of what it leaves open; none: no hop."""
    if not found.passages:
        return []
    first = found.passages[0].chunk
    held = set(analyzer.terms(indexed_text(first)))
    open_terms = [term for term in found.idf if term not in held]
    if not open_terms:
        return []
    titles = {title_name(p.chunk.title) for p in found.passages}
    named = [analyzer.terms(name) for name in _names(first.text) if name.casefold() not in titles]
    new = [term for terms in named if not found.idf.keys() >= set(terms) for term in terms]
    return new + open_terms if new else []


def _names(text: str) -> Sequence[str]:
    """Return each run of capitalised words once; the first word of a sentence may be among them."""
    found = (match[0].rstrip(".,'’-") for match in _NAME.finditer(text))
    return list(dict.fromkeys(name for name in found if len(name) >= _SHORTEST_NAME))


def _is_named(new: Passage, first: Passage, question: str) -> bool:
    """Return whether the first passage names another document, one that the question does not."""
    name = title_name(new.chunk.title)
    other = name != title_name(first.chunk.title) and name not in question.casefold()
    return other and names(first.chunk.text, name)
