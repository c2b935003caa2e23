"""Labels of documents: which ones may stand on a document, a folder or a key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from rag.errors import ValueRangeError

Labels: TypeAlias = tuple[str, ...]

LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)
_SHOWN = 80  # characters of one that is refused: it comes out of somebody's file


def checked_labels(labels: Iterable[str]) -> Labels:
    """Return labels as they are stored: each once, sorted.

    Raises:
        ValueRangeError: One is not 1 to 64 of the letters A to Z, digits and ``_.:-``, or does not
            begin with a letter or digit.
    """
    found = sorted(set(labels))
    for label in found:
        if LABEL.fullmatch(label) is None:
            remedy = "use 1 to 64 of A-Z, a-z, 0-9 and _.:-, beginning with a letter or digit"
            raise ValueRangeError("label", ascii(label)[:_SHOWN], remedy)
    return tuple(found)


def reads(labels: Labels | None, access: Sequence[str]) -> bool:
    """Return whether a holder of ``labels``, None for all, may read what has these labels."""
    return labels is None or not access or not set(access).isdisjoint(labels)
