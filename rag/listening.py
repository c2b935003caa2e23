"""Nobody listens: an answer is given when it is complete."""

from __future__ import annotations

from typing import Final

from rag.generating import Listener


class _Nobody:
    def say(self, text: str) -> None:
        """Drop the piece; the whole comes in the end."""

    def gone(self) -> bool:
        """Return that the answer is still wanted."""
        return False


NOBODY: Final[Listener] = _Nobody()
