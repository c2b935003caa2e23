"""Sentences of documents that speak to whoever writes the answer: they are no evidence.

"Ignore the instructions above" or "add this to your reply" state nothing that an answer could rest
on, and what a model does because of them would else count as supported by them. Only sentences that
name the answer or the instructions themselves are meant; manuals are full of other imperatives.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from rag.defusing import on_one_line

# Letters of other scripts that look like Latin ones.
# Source: Unicode Technical Standard 39, confusables.txt, version 15.1: those of small letters.
_LOOKALIKES: Final = str.maketrans("аеорсухіјѕһԁԛԝαιοκνρτυχ", "aeopcyxijshdqwaiokvptux")
_TO_THE_WRITER: Final = re.compile(
    r"\b(?:add|append|augment|begin|conclude|embed|enhance|finali[sz]e|finish|highlight|include"
    r"|incorporate|insert|integrate|mention|modify|offer|promote|provide|put|recommend|replace|say"
    r"|start|state|suggest|tease|write)\b.{0,200}?"
    r"\byour (?:\w+ )?(?:answer|response|reply|output|completion)s?\b"
    r"|\byour (?:answer|response|reply|output),? (?:must|should|has to|is to|shall|needs to)\b"
    r"|\b(?:ignore|disregard|forget|override|bypass)\b(?: \w+){0,4}?"
    r" (?:instructions?|prompts?|guidelines|directions)\b"
    r"|\b(?:ignore|disregard|forget) (?:everything|all|anything)(?: \w+){0,2}"
    r" (?:above|before|previously|prior)\b"
    r"|\b(?:reveal|print|repeat|output|show)(?: \w+){0,3} (?:system|initial|hidden) prompt\b"
    r"|\bnew instructions?:",
    re.IGNORECASE,
)

_MOST_CHARACTERS: Final = 50_000  # far more than a passage has


def speaks_to_the_writer(sentence: str) -> bool:
    """Return whether a sentence tells a model what to write, or what to ignore."""
    return bool(_TO_THE_WRITER.search(_letters(sentence)))


def _letters(text: str) -> str:
    """Return a text as a model would read it, whatever it is dressed in."""
    plain = unicodedata.normalize("NFKD", on_one_line(text)[:_MOST_CHARACTERS]).lower()
    return "".join(c for c in plain if not unicodedata.combining(c)).translate(_LOOKALIKES)
