"""Sentence vectors as text in a payload: one printable character a number, a length of 1 again.

Apart from ``rag.payload``, as only indexes with vectors need numpy, whose import is a tenth of a
lexical service's start.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rag.types import Vector

# Source: RFC 8259, section 7: of printable ASCII, only these two have to be escaped.
_DIGITS: Final = np.array(
    [code for code in range(32, 127) if chr(code) not in '"\\'], dtype=np.uint8
)
_PEAK: Final = len(_DIGITS) // 2
_VALUES: Final = (np.searchsorted(_DIGITS, np.arange(128)) - _PEAK).astype(np.float32)


def packed(rows: Vector) -> str:
    """Return (n, dim) float32 as n * dim characters, each row stretched to the digits' range."""
    peaks = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    stretched = rows * (_PEAK / np.where(peaks > 0, peaks, 1))
    codes = _DIGITS[np.rint(stretched).astype(np.int8) + np.int8(_PEAK)]
    return str(codes.tobytes(), "ascii")


def unpacked(text: str, dimension: int) -> Vector:
    """Return (n, dim) float32 unit rows; a row of zeros stays one."""
    codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    rows: Vector = _VALUES[codes].reshape(-1, dimension)
    squares = np.einsum("ij,ij->i", rows, rows)
    # Rows of whole numbers have a squared length of 0 or at least 1.
    rows /= np.sqrt(np.maximum(squares, 1))[:, None]
    return rows


def as_vector(numbers: object) -> Vector:
    """Return (dim,) float32 of a list of numbers."""
    return np.asarray(numbers, np.float32)
