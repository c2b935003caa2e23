"""A packed context against what was asked for: where the answer is, and what else was paid for."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from eval.metrics.sentences import sentence_spans
from eval.metrics.words import answer_recall, answer_words
from rag.protocols import SentenceSplitter, Tokenizer

# Source: the 8-grams in which Chowdhery et al. 2022 (arXiv 2204.02311, section 8) measure how far
# two texts overlap.
_SHARED_RUN: Final = 8  # words


def tokens_to_first_hit(
    context: str, answers: Collection[str], tokenizer: Tokenizer, splitter: SentenceSplitter
) -> int | None:
    """Return how many tokens have to be read until an answer stands there; None if none does.

    It is the size of the smallest run of whole sentences from the beginning of the context on
    which ``answer_recall`` holds.
    """
    if not answer_recall(context, answers):
        return None
    ends = [span.end for span in sentence_spans(context, splitter)]
    # More context never loses an answer, so the first that has one can be bisected for.
    first = bisect_left(ends[:-1], True, key=lambda end: answer_recall(context[:end], answers))
    return tokenizer.count(context[: ends[first]])


def relevant_token_precision(
    context_sentences: Sequence[str],
    answers: Collection[str],
    evidence: Collection[str],
    tokenizer: Tokenizer,
) -> float:
    """Return the share of the context's tokens that stand in relevant sentences, in [0, 1].

    A sentence is relevant if an answer stands in it, or if it shares with a sentence of the gold
    evidence all of that one's words in a row, or eight of them. ``evidence`` is given in sentences.
    Tokens are counted sentence by sentence; an empty context holds nothing relevant: 0.
    """
    runs = [run for sentence in evidence for run in _runs(answer_words(sentence))]
    counts = [tokenizer.count(sentence) for sentence in context_sentences]
    relevant = sum(
        count
        for sentence, count in zip(context_sentences, counts, strict=True)
        if answer_recall(sentence, answers) or _holds(sentence, runs)
    )
    return relevant / sum(counts) if relevant else 0.0


def _runs(words: Sequence[str]) -> Iterator[str]:
    last = max(1, len(words) - _SHARED_RUN + 1) if words else 0
    return (f" {' '.join(words[i : i + _SHARED_RUN])} " for i in range(last))


def _holds(sentence: str, runs: Iterable[str]) -> bool:
    words = f" {' '.join(answer_words(sentence))} "
    return any(run in words for run in runs)


def unused_context(context: str, quotes: Iterable[str], tokenizer: Tokenizer) -> float | None:
    """Return the share of the context's tokens that no quote covers, in [0, 1].

    A quote covers every place where its words stand verbatim, whatever the white space between
    them. 1 without quotes; None for an empty context, of which there is nothing to use.
    """
    covered = _covered(context, quotes)
    edges = [0, *(edge for start, end in covered for edge in (start, end)), len(context)]
    pieces = [context[a:b].strip() for a, b in pairwise(edges)]
    counts = [tokenizer.count(piece) if piece else 0 for piece in pieces]
    return sum(counts[::2]) / sum(counts) if any(counts) else None


def _covered(context: str, quotes: Iterable[str]) -> list[tuple[int, int]]:
    """Return ordered, disjoint ranges of the characters that quotes cover."""
    found = sorted(place for quote in quotes for place in _places(context, quote))
    merged: list[tuple[int, int]] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _places(context: str, quote: str) -> Iterator[tuple[int, int]]:
    words = quote.split()
    if words:
        pattern = r"\s+".join(map(re.escape, words))
        yield from (match.span() for match in re.finditer(pattern, context))
