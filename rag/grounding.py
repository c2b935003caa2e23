"""How likely the evidence supports a statement, without a judge model: a calibrated logistic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from rag.grounding_signals import ReadEvidence, Signals, Statement, covered, read_statement
from rag.meaning import Meanings
from rag.opposites import opposites
from rag.protocols import Analyzer, Embedder, SentenceSplitter


@dataclass(frozen=True, slots=True)
class Weights:
    """Log odds of a statement without any signal, and what each signal adds to them."""

    intercept: float
    signals: Signals


# Source: largest likelihood with signs as expected, on one half of BEGIN, the FaithDial audit,
# SciFact claims, MTRAG ratings and planted errors, as many supported as not in each, by
# eval/bench/groundedness.py; figures on the other halves in docs/adr/0012-groundedness.md.
LEXICAL = Weights(-3.11, Signals(5.13, 2.27, -3.66, -2.65, -3.13, -3.19))
NEURAL = Weights(-4.20, Signals(5.88, 2.58, -3.73, -2.37, -2.91, -3.16))


class StatementScorer:
    """A ``GroundednessScorer``; with an embedder it compares words in context by their meaning."""

    def __init__(
        self, analyzer: Analyzer, splitter: SentenceSplitter, embedder: Embedder | None = None
    ) -> None:
        self._analyzer = analyzer
        self._splitter = splitter
        self._embedder = embedder
        self._weights = LEXICAL if embedder is None else NEURAL
        self._contraries = opposites(analyzer)

    def score(self, statements: Sequence[str], evidence: Sequence[str]) -> tuple[float, ...]:
        """Return for each statement the probability that the evidence supports it.

        It is 0 for a statement without words, and without evidence.
        """
        found = self.signals(statements, evidence)
        return tuple(0.0 if s is None else probability(s, self._weights) for s in found)

    def signals(
        self, statements: Sequence[str], evidence: Sequence[str]
    ) -> tuple[Signals | None, ...]:
        """Return what the probabilities are made of; None where there is nothing to compare."""
        known = ReadEvidence(evidence, self._analyzer, self._splitter)
        meanings = Meanings(known, self._embedder) if self._embedder else None
        read = (read_statement(text, self._analyzer) for text in statements)
        return tuple(
            self._signals(said, known, meanings) if said.words and known.sentences else None
            for said in read
        )

    def _signals(self, said: Statement, known: ReadEvidence, meanings: Meanings | None) -> Signals:
        near = known.nearest(said)
        signals = known.signals(said, near, self._contraries)
        # Whose words all stand there needs no meaning: quoting costs no forward pass.
        if meanings is None or not said.content or signals.quoted:
            return signals
        return signals._replace(coverage=covered(meanings.found(said, near)))


def probability(signals: Signals, weights: Weights) -> float:
    """Return ``1 / (1 + exp(-(w0 + w.s)))``."""
    return 1 / (1 + math.exp(-weights.intercept - sum(map(mul, weights.signals, signals))))
