"""A counter that says what it was given: the deterministic stand-in for the machine's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class RecordedCounter:
    """Returns recorded readings one after the other [J], and None when they are used up."""

    def __init__(self, readings: Iterable[float | None], name: str = "recorded") -> None:
        self._readings: Iterator[float | None] = iter(tuple(readings))
        self._name = name

    @property
    def name(self) -> str:
        """What it stands for."""
        return self._name

    def read(self) -> float | None:
        """Return the next reading."""
        return next(self._readings, None)
