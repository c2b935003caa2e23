"""A question in the one wording that all its harmless variants share.

Two questions may share an answer only if they read the same word for word, in order, after the
rewritings of ``rag.cache.rewriting``. Each keeps the meaning by grammar alone, so nothing that is
left different (a name, a number, a negation, who does what to whom) can be taken for a variant.
"""

from __future__ import annotations

from rag.cache import rewriting
from rag.cache.rewriting import Words
from rag.cache.wording import is_english
from rag.quantities import in_digits


def read(question: str, left_out: frozenset[str] = frozenset()) -> frozenset[Words]:
    """Return the wordings of a question that it shares with its variants.

    Nearly always one: several where a participle may come from several verbs. What is not in
    English is read as it stands.

    Args:
        question: As it was asked.
        left_out: Names of rules that are not followed, to see what they earn.
    """
    words = rewriting.tokens(question)
    if not is_english(rewriting.spelled_out(words)):
        return frozenset({words})
    text = question if "without_glosses" in left_out else rewriting.without_glosses(question)
    words = rewriting.tokens(text if "in_digits" in left_out else in_digits(text))
    for rule in rewriting.IN_ORDER:
        if rule.__name__ not in left_out:
            words = rule(words)
    if "in_active_voice" in left_out:
        return frozenset({words})
    return frozenset(rewriting.in_active_voice(words))
