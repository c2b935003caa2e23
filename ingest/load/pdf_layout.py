"""The order in which a page's pieces of text are read.

A PDF says where text stands, not how it is read. The order in which it is drawn is usually the
right one, except on pages in columns whose lines are drawn across. So a page is cut at a gutter
when both sides of it look like running text, and left in drawing order otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median

WIDE_GAP = 1.0  # of the letters' height: wider than the spaces of a justified line
_FEWEST_LINES = 4  # on each side of a gutter
_MARGIN = 0.15  # share of the text's width in which no gutter is looked for
_STEPS = 200  # positions at which a gutter is looked for


@dataclass(frozen=True, slots=True)
class Piece:
    """Text on one base line, with its box in points; y grows upwards.

    ``size`` is the height of most of its letters [points], close to the font size. ``cells`` is
    the number of parts, wide gaps between them, that were joined into it.
    """

    text: str
    left: float
    bottom: float
    right: float
    top: float
    size: float
    bold: bool = False
    cells: tuple[str, ...] = ()

    @property
    def middle(self) -> float:
        """Return the vertical centre [points]."""
        return (self.top + self.bottom) / 2

    @property
    def is_upright(self) -> bool:
        """Tell whether the text runs up or down the page, as a stamp on its margin does."""
        return len(self.text) > 3 and self.top - self.bottom > 2 * (self.right - self.left)


def reading_order(drawn: Sequence[Sequence[Piece]]) -> list[Piece]:
    """Return the lines of a page in reading order; text that runs up or down comes last.

    Args:
        drawn: The page's lines as drawn, each cut into pieces at wide gaps.
    """
    turned = [line for line in drawn if any(piece.is_upright for piece in line)]
    level = [line for line in drawn if line and not any(piece.is_upright for piece in line)]
    pieces = [piece for line in level for piece in line]
    ordered = [_joined(line) for line in level] if _gutter(pieces) is None else _ordered(pieces)
    return ordered + [_laid_down(line) for line in turned]


def join(parts: Sequence[Piece]) -> Piece:
    """Return parts that follow each other on one base line as one piece, without its cells."""
    longest = max(parts, key=lambda part: len(part.text))
    return Piece(
        " ".join(part.text for part in parts),
        min(part.left for part in parts),
        min(part.bottom for part in parts),
        max(part.right for part in parts),
        max(part.top for part in parts),
        longest.size,
        all(part.bold for part in parts),
    )


def _ordered(pieces: list[Piece]) -> list[Piece]:
    cut = _gutter(pieces)
    if cut is None:
        return _rows(pieces)
    across = sorted((p for p in pieces if p.left < cut < p.right), key=lambda p: -p.middle)
    beside = [p for p in pieces if not p.left < cut < p.right]
    lines: list[Piece] = []
    for spanning in [*across, None]:
        above = [p for p in beside if spanning is None or p.middle > spanning.middle]
        beside = [p for p in beside if spanning is not None and p.middle <= spanning.middle]
        lines += _ordered([p for p in above if p.right <= cut])
        lines += _ordered([p for p in above if p.left >= cut])
        if spanning is not None:
            lines.append(spanning)
    return lines


def _gutter(pieces: list[Piece]) -> float | None:
    """Return where a gutter runs [points], or None if the pieces are not in columns."""
    if len(pieces) < 2 * _FEWEST_LINES:
        return None
    left = min(piece.left for piece in pieces)
    width = max(piece.right for piece in pieces) - left
    if width <= 0:
        return None
    cut = left + width * _least_crossed(pieces, left, width) / _STEPS
    before = [piece for piece in pieces if piece.right <= cut]
    after = [piece for piece in pieces if piece.left >= cut]
    crossing = len(pieces) - len(before) - len(after)
    if 2 * crossing > min(len(before), len(after)):
        return None
    return cut if _is_prose(before, width) and _is_prose(after, width) else None


def _least_crossed(pieces: list[Piece], left: float, width: float) -> int:
    """Return the step in the middle of the widest strip that the fewest pieces cross."""
    change = [0] * (_STEPS + 2)
    for piece in pieces:
        change[int((piece.left - left) / width * _STEPS)] += 1
        change[int((piece.right - left) / width * _STEPS) + 1] -= 1
    counts, running = [], 0
    for step in change[: _STEPS + 1]:
        running += step
        counts.append(running)
    inner = range(int(_STEPS * _MARGIN), int(_STEPS * (1 - _MARGIN)))
    least = min(counts[step] for step in inner)
    strips = [list(strip) for low, strip in groupby(inner, lambda s: counts[s] == least) if low]
    widest = max(strips, key=len)
    return widest[len(widest) // 2]


def _is_prose(column: list[Piece], width: float) -> bool:
    """Tell whether lines fill their column with words, as a column of a table does not."""
    if len(column) < _FEWEST_LINES:
        return False
    own = max(piece.right for piece in column) - min(piece.left for piece in column)
    filled = median(piece.right - piece.left for piece in column) >= 0.55 * own
    words = median(len(piece.text.split()) for piece in column) >= 3
    return filled and words and own >= 0.15 * width


def _rows(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces from the top down, those on one base line joined."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda p: -p.middle):
        if rows and rows[-1][0].middle - piece.middle < piece.size / 2:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [_joined(sorted(row, key=lambda p: p.left)) for row in rows]


def _joined(line: Sequence[Piece]) -> Piece:
    cells = [line[0].text]
    for before, after in pairwise(line):
        if after.left - before.right > WIDE_GAP * after.size or after.left < before.left:
            cells.append(after.text)
        else:
            cells[-1] += f" {after.text}"
    return replace(join(line), cells=tuple(cells))


def _laid_down(line: Sequence[Piece]) -> Piece:
    whole = join(line)
    size = max(whole.right - whole.left, 1.0)
    return replace(whole, bottom=whole.top - size, size=size)
