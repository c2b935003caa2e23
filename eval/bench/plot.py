"""Recall against tokens as SVG, one panel a corpus, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 420, 300  # of a panel [px]
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 14, 34, 40
_LEGEND_LINE = 18
_FONT = 'font-family="sans-serif" font-size="12"'
_TICKS = (32, 64, 128, 256, 512, 1024, 2048)
_COLOURS = (
    *("#0b6e4f", "#5fb49c", "#8c1d40", "#e08aa3", "#b08900"),
    *("#4c5fd7", "#7a7a7a", "#d9822b", "#2aa7c9", "#111111"),
)


@dataclass(frozen=True, slots=True)
class Curve:
    """One system's points (tokens, recall)."""

    name: str
    points: tuple[tuple[float, float], ...]


def drawn(panels: Mapping[str, Sequence[Curve]]) -> str:
    """Return an SVG picture: log2 of tokens to the right, recall from 0 to 1 upwards."""
    names = list(dict.fromkeys(curve.name for curves in panels.values() for curve in curves))
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(names)}
    columns = min(2, max(1, len(panels)))
    rows = math.ceil(len(panels) / columns)
    width = columns * _WIDTH
    height = rows * _HEIGHT + _LEGEND_LINE * math.ceil(len(names) / 2) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, (title, curves) in enumerate(panels.items()):
        x, y = i % columns * _WIDTH, i // columns * _HEIGHT
        parts.append(f'<g transform="translate({x},{y})" {_FONT}>')
        parts += [*_axes(title), *(mark for c in curves for mark in _marks(c, colours[c.name]))]
        parts.append("</g>")
    parts += _legend(colours, rows * _HEIGHT + 8, width / 2)
    return "\n".join([*parts, "</svg>", ""])


def _x(tokens: float) -> float:
    first, last = math.log2(_TICKS[0]), math.log2(_TICKS[-1]) + 0.5
    share = (math.log2(max(tokens, 1)) - first + 0.3) / (last - first + 0.3)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(recall: float) -> float:
    return _TOP + (1 - recall) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(title: str) -> Iterator[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    yield f'<text x="{_LEFT}" y="20"><tspan font-weight="bold">{escape(title)}</tspan>'
    yield '<tspan font-size="10" fill="#555" dx="8">answer recall</tspan></text>'
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        yield f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e3e3"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tenth / 10:.1f}</text>'
    for tick in _TICKS:
        yield f'<text x="{_x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick}</text>'
    middle = (_LEFT + right) / 2
    yield f'<text x="{middle}" y="{bottom + 32}" text-anchor="middle">context tokens (mean)</text>'


def _marks(curve: Curve, colour: str) -> Iterator[str]:
    points = sorted(curve.points)
    path = " ".join(f"{_x(tokens):.1f},{_y(recall):.1f}" for tokens, recall in points)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for tokens, recall in points:
        yield f'<circle cx="{_x(tokens):.1f}" cy="{_y(recall):.1f}" r="3.5" fill="{colour}"/>'


def _legend(colours: Mapping[str, str], top: float, column: float) -> Iterator[str]:
    yield f"<g {_FONT}>"
    for i, (name, colour) in enumerate(colours.items()):
        x, y = 20 + i % 2 * column, top + i // 2 * _LEGEND_LINE
        yield f'<circle cx="{x}" cy="{y + 6}" r="5" fill="{colour}"/>'
        yield f'<text x="{x + 12}" y="{y + 10}">{escape(name)}</text>'
    yield "</g>"
