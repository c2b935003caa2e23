"""Whether an answer is safe to show: the seam for any checker, and a small one built in.

The built-in checker is rules over words: the same each time, in linear time, without a model. It
sees what is said outright and in English. It does not see what is hinted at, said in other words,
languages or spellings, or drawn out over several sentences; it has no list of slurs, for nobody
could keep one; and it takes what stands in quotation marks, or is reported of others, for mention
rather than use. So it is a smoke alarm for one's own service and no filter against people who try
to get past it: plug a stronger checker in where that is needed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from eval.safety.injections import Injections
from eval.safety.secrets import personal, secret
from eval.safety.speech import hate, self_harm, unfairness
from rag.build import build_analyzer

CATEGORIES: Final = ("self_harm", "hate", "unfairness", "secret", "personal", "injection")

_MOST_CHARACTERS = 200_000  # of each text: far above any answer or context, and still read at once
_MOST_FINDINGS = 20
_LONGEST_TEXT = 200  # characters
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_STRAIGHT = str.maketrans("‘’‚‛“”„‟«»", '\'\'\'\'""""""')  # noqa: RUF001 -- quotation marks

_Rule: TypeAlias = Callable[[str, str, str], Iterator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with an answer: which kind, the words, and the rule that says so.

    Secrets and personal numbers are masked in ``text``, which is kept in records.
    """

    category: str
    text: str
    rule: str


class SafetyChecker(Protocol):
    """Looks at one answer; the same answer always gets the same findings."""

    def check(self, question: str, answer: str, context: str) -> tuple[Finding, ...]:
        """Return what is wrong with the answer, nothing where it is safe."""


class RuleChecker:
    """The built-in checker; see the module for what it cannot see.

    ``self_harm``: urging the reader to it, or a method asked for and an answer that names no help.
    ``hate``: calls for violence against a group, or its members called vermin. ``unfairness``: a
    sweeping judgement on a group, or a call to shut it out. ``secret``: keys and passwords.
    ``personal``: card, bank account and social security numbers whose check digits are right;
    e-mail addresses and telephone numbers are what people ask for, and are left alone.
    ``injection``: the answer does what a text of the context told the model to do. Texts are read
    up to 200,000 characters.
    """

    def __init__(self) -> None:
        rules: tuple[_Rule, ...] = (
            lambda question, answer, _: self_harm(question, answer),
            lambda _, answer, __: hate(answer),
            lambda _, answer, __: unfairness(answer),
            lambda question, answer, _: secret(question, answer),
            lambda question, answer, _: personal(question, answer),
            Injections(build_analyzer()).followed,
        )
        self._rules = tuple(zip(CATEGORIES, rules, strict=True))

    def check(self, question: str, answer: str, context: str) -> tuple[Finding, ...]:
        """Return what the rules find, each finding once, in the order of ``CATEGORIES``."""
        texts = _plain(question), _plain(answer), _plain(context)
        found = {
            Finding(category, text[:_LONGEST_TEXT], rule): None
            for category, signs in self._rules
            for rule, text in signs(*texts)
        }
        return tuple(found)[:_MOST_FINDINGS]


def _plain(text: str) -> str:
    """Return the text as it looks: compatibility forms composed, quotes straight, none hidden."""
    shown = unicodedata.normalize("NFKC", text[:_MOST_CHARACTERS])[:_MOST_CHARACTERS]
    return _INVISIBLE.sub("", shown).translate(_STRAIGHT)
