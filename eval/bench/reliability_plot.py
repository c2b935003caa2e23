"""A reliability plot as SVG, one panel a set, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 300, 300  # of a panel [px]
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 40, 44
_COLUMNS = 3
_FONT = 'font-family="sans-serif" font-size="12"'
_COLOUR = "#0b6e4f"

Bins = Sequence[tuple[int, float, float]]


def drawn(panels: Mapping[str, tuple[str, Bins]]) -> str:
    """Return an SVG picture of each set's bins (size, mean probability, share supported).

    A panel has a title and a note; the area of a point is its bin's share of the responses.
    """
    rows = math.ceil(len(panels) / _COLUMNS)
    width, height = _COLUMNS * _WIDTH, rows * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, (title, (note, bins)) in enumerate(panels.items()):
        x, y = i % _COLUMNS * _WIDTH, i // _COLUMNS * _HEIGHT
        parts.append(f'<g transform="translate({x},{y})" {_FONT}>')
        parts += [*_axes(title, note), *_points(bins), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _TOP + (1 - share) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(title: str, note: str) -> Iterator[str]:
    yield f'<text x="{_LEFT}" y="18" font-weight="bold">{escape(title)}</text>'
    yield f'<text x="{_LEFT}" y="33" font-size="10" fill="#555">{escape(note)}</text>'
    for fifth in range(0, 11, 2):
        x, y, label = _x(fifth / 10), _y(fifth / 10), f"{fifth / 10:.1f}"
        yield f'<line x1="{_x(0)}" x2="{_x(1)}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e3e3"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
        yield f'<text x="{x:.1f}" y="{_y(0) + 16:.1f}" text-anchor="middle">{label}</text>'
    yield (
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#999"'
        ' stroke-dasharray="4 3"/>'
    )
    middle, bottom = (_x(0) + _x(1)) / 2, _HEIGHT - 8
    yield f'<text x="{middle}" y="{bottom}" text-anchor="middle">probability said</text>'
    yield (
        f'<text transform="translate(12,{(_y(0) + _y(1)) / 2}) rotate(-90)" text-anchor="middle">'
        "share supported</text>"
    )


def _points(bins: Bins) -> Iterator[str]:
    total = sum(size for size, _, _ in bins)
    filled = [(size, said, was) for size, said, was in bins if size]
    path = " ".join(f"{_x(said):.1f},{_y(was):.1f}" for _, said, was in filled)
    yield f'<polyline points="{path}" fill="none" stroke="{_COLOUR}" stroke-width="1.5"/>'
    for size, said, was in filled:
        radius = 2 + 14 * math.sqrt(size / total)
        yield (
            f'<circle cx="{_x(said):.1f}" cy="{_y(was):.1f}" r="{radius:.1f}" fill="{_COLOUR}"'
            f' fill-opacity="0.6"><title>{size} responses</title></circle>'
        )
