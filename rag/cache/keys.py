"""Names of questions and scopes, equal only where the cache may take one for the other."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from rag.cache.values import Asked, Scope
from rag.cache.wording import is_ambiguous_acronym
from rag.results import Context
from rag.types import Chunk

_QUOTES: Final = str.maketrans({"’": "'", "‘": "'", "´": "'", "`": "'"})  # noqa: RUF001
_NAME: Final = 32  # hexadecimal digits of a chunk's name, as many as of its id
_END = re.compile(r"(?:[\s?.…]|(?<!\d)!)+$")  # "5!" is a number


def plain(text: str) -> str:
    """Return a text with composed letters and straight quotes; nothing that has a meaning goes.

    Not NFKC: it makes "102" of "10²". Not ``casefold``: it makes "Masse" of "Maße".
    """
    return unicodedata.normalize("NFC", text).translate(_QUOTES)


def normalised(question: str) -> str:
    """Return a question without what never matters: case, white space, its closing marks.

    "US" stays apart from "us", unless all of the question is in capitals.
    """
    text = _END.sub("", plain(question))
    shouted = text.upper() == text
    words = text.split()
    return " ".join(
        word if not shouted and is_ambiguous_acronym(word) else word.lower() for word in words
    )


def question_key(tenant: str, question: str) -> bytes:
    """Return the name of a tenant's question in whatever scope: what a purge looks for."""
    return _digest([tenant, normalised(question)])


def scope_key(scope: Scope) -> bytes:
    """Return the name of a scope; the order in which documents or tags are listed is no matter."""
    where = scope.where
    return _digest(
        [
            where.tenant,
            sorted(set(where.documents)),
            sorted(set(where.tags)),
            where.labels,
            where.since,
            where.until,
            scope.budget_tokens,
            scope.frugality,
            scope.language,
            scope.fingerprint,
        ]
    )


def exact_key(asked: Asked) -> bytes:
    """Return the name of a question in its scope."""
    return _digest([scope_key(asked.scope).hex(), normalised(asked.text)])


def context_digest(context: Context) -> str:
    """Return the name of a context: its text and the chunks that it comes from."""
    names = dict.fromkeys(chunk_name(evidence.chunk) for evidence in context.evidence)
    return _digest([context.text, *names]).hex()


def chunk_name(chunk: Chunk) -> str:
    """Return the name of a chunk, another one where anything that is shown of it is another.

    The id alone is a hash of its document, place and text.
    """
    shown = [chunk.id, chunk.title, chunk.headings, chunk.page, chunk.date, chunk.also_in]
    return _digest(shown).hex()[:_NAME]


def _digest(parts: Sequence[object]) -> bytes:
    # ensure_ascii escapes lone surrogates too, so that every string has a name.
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode("ascii")).digest()
