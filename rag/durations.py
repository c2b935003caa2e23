"""Lengths of time as people write them: 90m, 6h, 1h30m, 2d."""

from __future__ import annotations

import re

from rag.errors import ValueRangeError

_REMEDY = "write it as 90m, 6h or 1h30m, or 2d"
_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WRITTEN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)


def seconds_of(text: str) -> float:
    """Return a length of time such as ``90m``, ``6h`` or ``1h30m`` [s].

    Raises:
        ValueRangeError: It is written in another way, or is 0.
    """
    found = _WRITTEN.fullmatch(text.strip().lower())
    numbers = found.groups() if found else ()
    # Twelve digits are beyond any plan, and their sum is still exact.
    if any(number and len(number) > 12 for number in numbers):
        numbers = ()
    pairs = zip(numbers, _UNITS.values(), strict=bool(numbers))
    seconds = sum(int(number) * unit for number, unit in pairs if number)
    if not seconds:
        raise ValueRangeError("not a length of time", repr(text[:40]), _REMEDY)
    return float(seconds)


def worded(seconds: float) -> str:
    """Return a length of time as ``2 d 3 h``, ``1 h 5 min`` or ``40 s``: its two largest units."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    whole = 60 * round(whole / 60)
    days, rest = divmod(whole, _UNITS["d"])
    hours, rest = divmod(rest, _UNITS["h"])
    parts = [(days, "d"), (hours, "h"), (rest // 60, "min")]
    return " ".join([f"{number} {unit}" for number, unit in parts if number][:2])
