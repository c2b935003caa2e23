"""What a system puts before the generator for one question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from eval.datasets import Case


@dataclass(frozen=True, slots=True)
class Shown:
    """A context exactly as it would be sent, its tokens, and the documents it quotes."""

    text: str
    tokens: int
    documents: frozenset[str]


class System(Protocol):
    """Something that finds a context for a question."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def setting(self) -> str:
        """Its one setting that moves along the curve, such as the budget or k."""

    def show(self, case: Case) -> Shown:
        """Return the context for a question."""
