"""What files and services say, taken with care: text with a bound, JSON, numbers, or ValueError."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any


def bounded_text(path: Path, limit_bytes: int) -> str:
    """Return what a UTF-8 file holds, without its byte order mark.

    Raises:
        OSError: It cannot be read.
        ValueError: It is over the limit, not UTF-8, or no file: a pipe or a device may never end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("not a regular file")
    with path.open("rb") as lines:
        content = lines.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise ValueError(f"over {limit_bytes} bytes")
    return content.decode("utf-8-sig")


def parsed_json(text: str | bytes) -> Any:  # noqa: ANN401 -- what JSON can hold
    """Return what a text says.

    Raises:
        ValueError: It is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def number(value: object) -> float:
    """Return a figure that was given as a number or as text.

    Raises:
        ValueError: It is neither, or too large; ``true`` is no figure.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"no number: {str(value)[:40]}")
    try:
        return float(value)
    except OverflowError as exc:
        raise ValueError("a number that is too large") from exc
