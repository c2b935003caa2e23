"""The frontier: what quality costs, as SVG that is read without colours and without a mouse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from eval.measures import MEASURES
from eval.report.axes import Axis, amounts, shares
from eval.report.contents import Contents, Entry, short_names
from eval.report.markup import Html, element
from eval.report.numbers import Scale, scale_of
from eval.report.shapes import Box, Wish, labelled, shape

QUALITIES: Final = ("answer_recall", "groundedness")
PRICES: Final = ("context_tokens", "joules")
_NAMES: Final = {"context_tokens": "context", "joules": "energy"}
_STRIDE: Final = 8.0  # between two looks at a line [px]
_WIDTH, _HEIGHT = 400, 280  # [px]
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 388, 12, 238  # edges of the field [px]


@dataclass(frozen=True, slots=True)
class Point:
    """One record in a plot: its price to the right, its quality upwards with its interval.

    ``named`` points belong to the tables as well, the others to a sweep: their ``label`` is short.
    """

    name: str
    label: str
    series: int
    price: float
    quality: float
    low: float
    high: float
    named: bool
    efficient: bool = False


@dataclass(frozen=True, slots=True)
class _Field:
    """The plot's axes; ``scale`` is the unit of the price."""

    x: Axis
    y: Axis
    scale: Scale


def efficient(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the points by price, with those marked that no other one dominates.

    One dominates another if it is no dearer and no worse, and differs in one of the two.
    """
    ordered = sorted(points, key=lambda point: (point.price, -point.quality))
    return tuple(
        replace(point, efficient=not any(_dominates(other, point) for other in ordered))
        for point in ordered
    )


def points_of(contents: Contents, quality: str, price: str) -> tuple[Point, ...]:
    """Return the records that have both measures as points, by price."""
    systems = list(dict.fromkeys(entry.record.system for entry in contents.every))
    named = {entry.name for entry in contents.compared}
    found = [
        _point(entry, (quality, price), systems.index(entry.record.system))
        for entry in contents.every
    ]
    short = short_names(contents)
    return efficient(
        [
            replace(point, named=point.name in named, label=short.get(point.name, point.name))
            for point in found
            if point
        ]
    )


def frontier(contents: Contents, quality: str, price: str) -> Html | None:
    """Return a figure of a quality against a price; None where no record has both."""
    points = points_of(contents, quality, price)
    if not points:
        return None
    title = f"{_capital(MEASURES[quality].label)} against {_NAMES[price]}"
    shown = {point.name for point in points}
    missing = [entry.name for entry in contents.every if entry.name not in shown]
    left_out = f" Without {MEASURES[quality].label}, so not shown: {', '.join(missing)}."
    caption = element("figcaption", element("strong", title), f".{left_out if missing else ''}")
    name = f"plot-{quality}-{price}".replace("_", "-")
    drawing = element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", _described(points, price), id=f"{name}-desc"),
        *_drawing(points, quality, price),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )
    return element("figure", caption, drawing, class_="plot")


def bar(share: float) -> Html:
    """Return a small bar for a share of a whole."""
    title = element("title", f"{100 * share:.0f} %")
    rail = element("rect", width=100, height=10, class_="rail")
    full = element("rect", width=100 * min(1.0, max(0.0, share)), height=10, class_="full")
    return element("svg", title, rail, full, viewBox="-1 -1 102 12", role="img", class_="bar")


def _dominates(one: Point, other: Point) -> bool:
    no_worse = one.price <= other.price and one.quality >= other.quality
    return no_worse and (one.price, one.quality) != (other.price, other.quality)


def _point(entry: Entry, measures: tuple[str, str], series: int) -> Point | None:
    quality, price = (entry.lines[measure] for measure in measures)
    if quality.mean is None or price.mean is None:
        return None
    low, high = quality.low or 0.0, quality.high or 0.0
    return Point(entry.name, entry.name, series, price.mean, quality.mean, low, high, named=True)


def _described(points: Sequence[Point], price: str) -> str:
    scale = scale_of(MEASURES[price].unit, [point.price for point in points])
    said = (
        f"{point.name}: {point.quality:.3f} at {scale.shown(point.price)} {scale.unit}"
        f"{', efficient' if point.efficient else ''}"
        for point in points
    )
    return f"Each point is a record. {'; '.join(said)}."


def _drawing(points: Sequence[Point], quality: str, price: str) -> Iterator[Html]:
    scale = scale_of(MEASURES[price].unit, [point.price for point in points])
    x = amounts([point.price / scale.factor for point in points], _LEFT, _RIGHT)
    y = shares([p.low if p.named else p.quality for p in points], _BOTTOM, _TOP)
    field = _Field(x, y, scale)
    yield from _grid(field)
    yield from _titles(field, quality, price)
    yield from _joined_up([point for point in points if point.efficient], field)
    yield from (_whisker(point, field) for point in points if point.named)
    yield from (_mark(point, field) for point in points)
    yield from _names(points, field)


def _grid(field: _Field) -> Iterator[Html]:
    for tick in field.y.ticks:
        y = field.y.at(tick)
        yield element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="grid")
        yield element("text", f"{tick:.2g}", x=_LEFT - 6, y=y + 4, text_anchor="end")
    for tick in field.x.ticks:
        x = field.x.at(tick)
        yield element("line", x1=x, x2=x, y1=_BOTTOM, y2=_BOTTOM + 4, class_="axis")
        yield element("text", _tick(tick), x=x, y=_BOTTOM + 17, text_anchor="middle")
    yield element("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="axis")


def _titles(field: _Field, quality: str, price: str) -> Iterator[Html]:
    kind = ", logarithmic" if field.x.wide else ""
    below = f"{_NAMES[price]} a question [{field.scale.unit}{kind}]"
    middle = (_LEFT + _RIGHT) / 2
    yield element("text", below, x=middle, y=_HEIGHT - 8, text_anchor="middle", class_="title")
    turned = f"translate(12 {(_TOP + _BOTTOM) / 2:g}) rotate(-90)"
    label = MEASURES[quality].label
    yield element("text", label, transform=turned, text_anchor="middle", class_="title")


def _joined_up(points: Sequence[Point], field: _Field) -> Iterator[Html]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(point, field) for point in points))
    if len(points) > 1:
        yield element("polyline", points=path, class_="front")


def _whisker(point: Point, field: _Field) -> Html:
    x, _ = _place(point, field)
    low, high = field.y.at(point.low), field.y.at(point.high)
    path = f"M{x:.1f} {low:.1f}V{high:.1f}M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6"
    return element("path", d=path, class_=f"whisker s{point.series % 6}")


def _mark(point: Point, field: _Field) -> Html:
    x, y = _place(point, field)
    price = f"{field.scale.shown(point.price)} {field.scale.unit}"
    said = f"{point.name}: {point.quality:.3f} [{point.low:.3f} to {point.high:.3f}] at {price}"
    kind = "full" if point.efficient else "hollow"
    path = shape(point.series, x, y, 5.5 if point.named else 3.8)
    return element("path", element("title", said), d=path, class_=f"{kind} s{point.series % 6}")


def _names(points: Sequence[Point], field: _Field) -> Iterator[Html]:
    places = [(point, *_place(point, field)) for point in points]
    taken = [Box(x - 5, y - 5, x + 5, y + 5) for _, x, y in places]
    whiskers = (
        Box(x - 3, field.y.at(point.high), x + 3, field.y.at(point.low))
        for point, x, _ in places
        if point.named
    )
    line = _along([place for place in places if place[0].efficient])
    wishes = [
        Wish(point.label, x, y, point.series, point.named)
        for point, x, y in places
        if point.named or point.efficient
    ]
    inside = Box(_LEFT, _TOP - 8, _RIGHT + 8, _BOTTOM - 2)
    for label in labelled(wishes, [*taken, *whiskers, *line], inside):
        yield element("text", label.text, x=label.x, y=label.y, class_=f"name s{label.series % 6}")


def _along(places: Sequence[tuple[Point, float, float]]) -> Iterator[Box]:
    """Yield boxes along the line that joins the points, for labels to keep clear of."""
    for (_, x1, y1), (_, x2, y2) in pairwise(places):
        steps = max(1, round(math.dist((x1, y1), (x2, y2)) / _STRIDE))
        for i in range(steps + 1):
            x, y = x1 + (x2 - x1) * i / steps, y1 + (y2 - y1) * i / steps
            yield Box(x - 1, y - 1, x + 1, y + 1)


def _place(point: Point, field: _Field) -> tuple[float, float]:
    return field.x.at(point.price / field.scale.factor), field.y.at(point.quality)


def _tick(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
