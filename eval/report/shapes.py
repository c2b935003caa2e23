"""Marks and labels of a plot: shapes that differ without colour, and text that overlaps nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Corners round a middle, in units of the mark's radius; two arcs make the circle.
_CORNERS: Final = (
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),  # square
    ((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),  # triangle
    ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),  # diamond
    ((0, 1.15), (1.1, -0.85), (-1.1, -0.85)),  # triangle on its tip
    ((-1.2, -0.4), (0, -1.2), (1.2, -0.4), (0.75, 1), (-0.75, 1)),  # pentagon
)
SHAPES: Final = 1 + len(_CORNERS)
_LETTER: Final = 5.9  # mean width of a letter at 11 px [px]
_LINE: Final = 12.0  # height of a line of text at 11 px [px]
_GAP: Final = 9.0  # between a mark's middle and its label [px]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle that is taken [px]."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Return whether the two overlap."""
        beside = self.right <= other.left or other.right <= self.left
        return not beside and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: Box) -> bool:
        """Return whether the other lies inside."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.top <= other.top and other.bottom <= self.bottom


@dataclass(frozen=True, slots=True)
class Wish:
    """A label that should stand near a mark; a ``needed`` one is set even where it overlaps."""

    text: str
    x: float
    y: float
    series: int
    needed: bool


@dataclass(frozen=True, slots=True)
class Label:
    """A label where it stands: ``x`` is its left edge, ``y`` its base line [px]."""

    text: str
    x: float
    y: float
    series: int


def shape(series: int, x: float, y: float, radius: float) -> str:
    """Return the path of a mark round a middle, one shape a series."""
    kind = series % SHAPES
    if kind == 0:
        arc = f"a{radius:g} {radius:g} 0 1 0"
        return f"M{x - radius:.1f} {y:.1f}{arc} {2 * radius:g} 0{arc} {-2 * radius:g} 0Z"
    corners = (f"{x + radius * a:.1f} {y + radius * b:.1f}" for a, b in _CORNERS[kind - 1])
    return f"M{'L'.join(corners)}Z"


def labelled(wishes: Sequence[Wish], taken: Sequence[Box], inside: Box) -> tuple[Label, ...]:
    """Return the labels that find room near their marks, and all that are needed.

    A needed one without room stands where it covers the least.
    """
    labels: list[Label] = []
    full = list(taken)
    for wish in sorted(wishes, key=lambda wish: not wish.needed):
        rooms = [room for room in _rooms(wish) if inside.holds(room)] or _rooms(wish)[:1]
        room = min(rooms, key=lambda room: sum(room.meets(box) for box in full))
        if not wish.needed and any(room.meets(box) for box in full):
            continue
        full.append(room)
        labels.append(Label(wish.text, room.left, room.bottom - 3, wish.series))
    return tuple(labels)


def _rooms(wish: Wish) -> list[Box]:
    """Return where the label could stand, the best place first; far off only if it is needed."""
    width, x, y = _LETTER * len(wish.text), wish.x, wish.y
    right, left, middle = x + _GAP, x - _GAP - width, x - width / 2
    above, below, level = y - _GAP - _LINE, y + _GAP, y - _LINE / 2
    places = [(right, level), (left, level), (middle, above), (middle, below)]
    places += [(a, b) for b in (above, below) for a in (right - _GAP, left + _GAP)]
    if wish.needed:
        lines = (above - _LINE, below + _LINE, above - 2 * _LINE, below + 2 * _LINE)
        places += [(a, b) for b in lines for a in (middle, right, left)]
    return [Box(a, b, a + width, b + _LINE) for a, b in places]
