"""Windows of time in which a use is counted, such as a minute of a tenant's questions."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Window(NamedTuple):
    """A tenant's window: what is left in it, and in how many seconds it ends [s]."""

    left: int
    ends_in: float


class Windows(Protocol):
    """Counts what is used in windows of time; safe to use from several threads.

    ``amount`` of a rate is multiplied by ``unit`` before it is compared.
    """

    def used(self, name: str, rate: str, unit: int, cost: int) -> bool:
        """Count a use and return whether it was within the amount."""

    def window(self, name: str, rate: str, unit: int) -> Window:
        """Return the window as it stands."""
