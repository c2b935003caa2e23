"""What the packer is offered on a question's real way, for trying other rules on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias
from unittest.mock import patch

from rag.pack import Need, Packer, TokenAllowance
from rag.results import Context, Passage

Packing: TypeAlias = tuple[Packer, Sequence[Passage], Need]


@contextmanager
def recorded() -> Iterator[list[Packing]]:
    """Hold a list to which every packing adds what was offered to it."""
    packings: list[Packing] = []
    original = Packer.pack

    def pack(
        packer: Packer, passages: Sequence[Passage], need: Need, allowance: TokenAllowance
    ) -> Context:
        packings.append((packer, passages, need))
        return original(packer, passages, need, allowance)

    with patch.object(Packer, "pack", pack):
        yield packings
