"""Citations against the documents they name and the answer they stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eval.outcomes import Quote
from rag.protocols import GroundednessScorer

SUPPORTED: Final = 0.5  # Source: more likely supported than not


@dataclass(frozen=True, slots=True)
class CitationQuality:
    """Shares in [0, 1]: ``recall`` of the answer's sentences, ``precision`` of its citations.

    ``precision`` is None where nothing is cited, ``recall`` where nothing is said.
    """

    recall: float | None
    precision: float | None


def is_true(quote: Quote, texts: Mapping[str, str]) -> bool:
    """Return whether the quote stands verbatim where it says: ``text[start:end]`` of its document.

    A blank quote, a span outside the document and a document that is not there are not true.
    """
    text = texts.get(quote.doc_id)
    if text is None or not quote.text.strip() or not 0 <= quote.start <= quote.end <= len(text):
        return False
    return text[quote.start : quote.end] == quote.text


def citation_quality(
    sentences: Sequence[str],
    quotes: Sequence[Quote],
    texts: Mapping[str, str],
    scorer: GroundednessScorer,
) -> CitationQuality:
    """Return citation recall and precision of an answer, given in sentences.

    ``recall``: the share of sentences that the true citations together support. ``precision``: the
    share of citations that are true and needed. One is not needed if it alone supports none of the
    sentences that all together do, and these are supported without it too. What is supported is
    said by ``scorer`` with a probability of ``SUPPORTED`` or more.

    Source: Gao et al. 2023 (ALCE, arXiv 2305.14627, section 4.3), whose citations stand behind
    single sentences and whose judge is a T5-11B entailment model; here all citations of an answer
    stand for all its sentences, and a citation has to be true first.
    """
    true = [quote.text for quote in quotes if is_true(quote, texts)]
    together = _supported(sentences, true, scorer)
    carried = [s for s, supported in zip(sentences, together, strict=True) if supported]
    needed = [carried and _is_needed(i, carried, true, scorer) for i in range(len(true))]
    return CitationQuality(
        recall=len(carried) / len(sentences) if sentences else None,
        precision=sum(map(bool, needed)) / len(quotes) if quotes else None,
    )


def _is_needed(
    i: int, sentences: Sequence[str], quotes: Sequence[str], scorer: GroundednessScorer
) -> bool:
    """Return whether quote ``i`` matters to sentences that all quotes together support."""
    if len(quotes) == 1 or any(_supported(sentences, [quotes[i]], scorer)):
        return True
    others = [*quotes[:i], *quotes[i + 1 :]]
    return not all(_supported(sentences, others, scorer))


def _supported(
    sentences: Sequence[str], evidence: Sequence[str], scorer: GroundednessScorer
) -> list[bool]:
    if not sentences or not evidence:
        return [False] * len(sentences)
    return [probability >= SUPPORTED for probability in scorer.score(sentences, evidence)]
