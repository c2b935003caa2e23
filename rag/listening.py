"""Listeners for those who take an answer when it is complete."""

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


class Waiting:
    """Waits for the whole answer: hears no piece of it, but may leave before."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def say(self, text: str) -> None:
        """Drop the piece; the whole comes in the end."""

    def gone(self) -> bool:
        """Return whether nobody waits any more."""
        return self._listener.gone()
