"""How near the words of a statement come to those of the evidence in meaning, read in context."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from rag.grounding_signals import Found, ReadEvidence, Statement
from rag.protocols import Embedder
from rag.types import Chunk, Vector

# Cosines of words in context from which on they are not the same, and are the same for sure.
# Source: docs/adr/0012-groundedness.md, of 0.1 to 0.3 and 0.7 to 0.9 on the halves fitted on.
_UNLIKE, _LIKE = 0.2, 0.8
_NONE: Vector = np.zeros((0, 1), dtype=np.float32)


class Meanings:
    """Vectors of all words of the evidence: made once, and only if a statement needs them."""

    def __init__(self, evidence: ReadEvidence, embedder: Embedder) -> None:
        self._evidence = evidence
        self._embedder = embedder

    @cached_property
    def _vectors(self) -> list[Vector]:
        return [
            _word_vectors(sentence, self._embedder) if sentence.words else _NONE
            for sentence in self._evidence.sentences
        ]

    @cached_property
    def _all(self) -> Vector:
        return _stacked(self._vectors)

    def found(self, said: Statement, near: range) -> list[Found]:
        """Return for each content word how near the evidence comes to it.

        ``max_j cos(s_i, e_j)``, from 0 at 0.2 to 1 at 0.8.

        Source: Khattab and Zaharia 2020, "ColBERT" (arXiv 2004.12832), equation 3; Zhang et al.
        2020, "BERTScore" (arXiv 1904.09675), section 3, for words of a generated text.
        """
        wanted = _word_vectors(said, self._embedder)[[bool(word.terms) for word in said.words]]
        places = _stacked([self._vectors[place] for place in near])
        return [
            Found(float(anywhere), float(there))
            for anywhere, there in zip(
                _nearest(wanted, self._all), _nearest(wanted, places), strict=True
            )
        ]


def _nearest(wanted: Vector, known: Vector) -> Vector:
    if not len(known):
        return np.zeros(len(wanted), dtype=np.float32)
    cosines: Vector = (wanted @ known.T).max(axis=1)
    scaled: Vector = np.clip((cosines - _UNLIKE) / (_LIKE - _UNLIKE), 0, 1)
    return scaled


def _stacked(rows: list[Vector]) -> Vector:
    filled = [row for row in rows if len(row)]
    return np.vstack(filled) if filled else _NONE


def _word_vectors(sentence: Statement, embedder: Embedder) -> Vector:
    """Return (words, dim), unit rows: one forward pass, as an embedder takes any spans."""
    chunk = Chunk(
        id="",
        doc_id="",
        title="",
        text=sentence.text,
        start=0,
        end=len(sentence.text),
        tokens=0,
        sentences=tuple(word.span for word in sentence.words),
    )
    return embedder.embed_passage(chunk).sentences
