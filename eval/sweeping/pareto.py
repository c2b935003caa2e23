"""What is not beaten on any side: quality against what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """A quality (more is better) and its costs (less is better)."""

    quality: float
    costs: tuple[float, ...]

    def dominates(self, other: Point) -> bool:
        """Return whether this is nowhere worse than the other, and somewhere better."""
        if self.quality < other.quality:
            return False
        if any(mine > theirs for mine, theirs in zip(self.costs, other.costs, strict=True)):
            return False
        return self != other


def front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points that no other dominates, in their order."""
    return [
        i for i, point in enumerate(points) if not any(other.dominates(point) for other in points)
    ]


def layers(points: Sequence[Point]) -> list[int]:
    """Return each point's layer: 0 on the front, 1 on the front once that is taken away, and so on.

    Source: Deb et al. 2002, NSGA-II, non-dominated sorting.
    """
    layer = [0] * len(points)
    left = list(range(len(points)))
    depth = 0
    while left:
        on_front = {left[i] for i in front([points[i] for i in left])}
        for i in on_front:
            layer[i] = depth
        left = [i for i in left if i not in on_front]
        depth += 1
    return layer
