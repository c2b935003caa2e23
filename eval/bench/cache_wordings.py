"""Other wordings of real questions, by rules that keep their meaning."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

_SETTING = re.compile(r"^(?P<rest>.*\S) (?P<setting>in \d{4})\?$")
_OF = re.compile(r"\bthe (?P<owned>[a-z]+) of (?P<owner>[A-Z][a-z]+)\?$")
_WHAT_IS = re.compile(r"^What (?:is|are) (?P<rest>the .*)\?$")


def _begun_small(question: str) -> str:
    return question[:1].lower() + question[1:]


def _greeted(question: str) -> str:
    return f"Hi, {_begun_small(question)}"


def _thanked(question: str) -> str:
    return f"{question} Thanks!"


def _told(question: str) -> str:
    return f"Could you tell me {_begun_small(question)}"


def _contracted(question: str) -> str:
    return re.sub(r"^(What|Who|Where) is ", r"\1's ", question)


def _keywords(question: str) -> str:
    return _WHAT_IS.sub(lambda match: match["rest"].removeprefix("the "), question)


def _setting_first(question: str) -> str:
    found = _SETTING.match(question)
    if found is None:
        return question
    return f"In {found['setting'][3:]}, {_begun_small(found['rest'])}?"


def _owner_first(question: str) -> str:
    return _OF.sub(lambda match: f"{match['owner']}'s {match['owned']}?", question)


def _without_articles(question: str) -> str:
    return re.sub(r" the (?=[a-z]{4})", " ", question)


_RULES: Final[tuple[Callable[[str], str], ...]] = (
    *(_greeted, _thanked, _told, _contracted, _keywords, _setting_first, _owner_first),
    _without_articles,
)


def reworded(question: str, draw: random.Random) -> str:
    """Return the question in other words, by one of the rules that change it."""
    others = {rule(question) for rule in _RULES} - {question}
    return draw.choice(sorted(others))
