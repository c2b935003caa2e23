"""How two texts are compared: as words after normalisation."""

from __future__ import annotations

import re
import string
from collections.abc import Collection

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_EDGE_PUNCTUATION = string.punctuation + "“”‘’«»–—…"  # noqa: RUF001 -- quotation marks and dashes


def normalised(text: str) -> str:
    """Return text in lower case, without ASCII punctuation and articles, white space collapsed.

    Source: ``normalize_answer`` of the SQuAD v1.1 evaluation script (Rajpurkar et al. 2016).
    """
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", bare).split())


def answer_words(text: str) -> list[str]:
    """Return the words that containment is decided on.

    Normalised as in SQuAD, except that typographic quotation marks and dashes at the edges of a
    word go too.
    """
    words = (word.strip(_EDGE_PUNCTUATION) for word in normalised(text).split())
    return [word for word in words if word]


def answer_recall(context: str, answers: Collection[str]) -> bool:
    """Return whether any answer stands in the context.

    An answer does if its ``answer_words`` are a contiguous run of those of the context: whole
    words only, so "art" is not found in "party". An answer that has none, such as "A" or "%", does
    if it is one of the context's words as they stand, but for case.
    """
    words = f" {' '.join(answer_words(context))} "
    return any(
        f" {' '.join(wanted)} " in words
        if (wanted := answer_words(answer))
        else _bare(context, answer)
        for answer in answers
    )


def _bare(context: str, answer: str) -> bool:
    wanted = " ".join(answer.lower().split())
    return bool(wanted) and f" {wanted} " in f" {' '.join(context.lower().split())} "
