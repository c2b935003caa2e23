"""Where to cut a row of units into parts of near-equal size: an exact dynamic programme.

With unit sizes ``s``, the gap ``g`` before each unit and the cost ``c`` of cutting there, the
programme minimises over all cuts the sum of::

    ((size of part - target) / target)^2 + c[first unit of part]

where no part is over the limit and ``target = total / ceil(total / limit)``: the size all parts
would have if the fewest parts were equal. A full part and a small rest therefore lose against two
halves. Time grows with the number of units times the number of units that fit into one part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def balanced_cuts(
    sizes: Sequence[int], gaps: Sequence[int], costs: Sequence[float], limit: int
) -> list[tuple[int, int]]:
    """Return half-open index ranges, in order, that hold every unit once.

    Args:
        sizes: Tokens of each unit.
        gaps: Tokens of what lies before each unit; not counted at the start of a part.
        costs: Cost of starting a part with each unit, in squared relative deviations of size.
        limit: Largest part [tokens]; only a unit over it by itself makes a larger part.
    """
    count = len(sizes)
    ends, begins = _running_sums(sizes, gaps)
    total = ends[-1] - begins[0] if count else 0
    target = max(1.0, total / max(1, math.ceil(total / limit)))
    best = [0.0] + [math.inf] * count
    previous = [0] * (count + 1)
    for end in range(1, count + 1):
        for start in range(end - 1, -1, -1):
            size = ends[end] - begins[start]
            if size > limit and start < end - 1:
                break
            cost = best[start] + (size / target - 1) ** 2 + (costs[start] if start else 0.0)
            if cost < best[end]:
                best[end], previous[end] = cost, start
    return _walk_back(previous)


def _running_sums(sizes: Sequence[int], gaps: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the sums up to the end of each unit (from unit -1) and up to each unit's begin."""
    ends, begins = [0], []
    for size, gap in zip(sizes, gaps, strict=True):
        begins.append(ends[-1] + gap)
        ends.append(begins[-1] + size)
    return ends, begins


def _walk_back(previous: list[int]) -> list[tuple[int, int]]:
    ranges = []
    end = len(previous) - 1
    while end > 0:
        ranges.append((previous[end], end))
        end = previous[end]
    return ranges[::-1]
