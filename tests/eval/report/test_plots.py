"""Where points lie, which are efficient, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from eval.records import Record
from eval.report.axes import amounts, shares
from eval.report.contents import Contents, arranged
from eval.report.plots import Point, efficient, frontier, points_of
from eval.report.shapes import SHAPES, Box, Wish, labelled, shape

GRID = st.integers(0, 4)


def point(price: float, quality: float) -> Point:
    return Point(f"{price} {quality}", "", 0, price, quality, quality, quality, named=True)


@given(st.lists(st.tuples(GRID, GRID), min_size=1, max_size=12))
def test_a_point_is_efficient_unless_one_beats_it(pairs: list[tuple[int, int]]) -> None:
    found = efficient([point(price, quality) for price, quality in pairs])
    for each in found:
        beaten = any(
            (other[0] < each.price and other[1] >= each.quality)
            or (other[0] <= each.price and other[1] > each.quality)
            for other in pairs
        )
        assert each.efficient is not beaten
    front = [(each.price, each.quality) for each in found if each.efficient]
    assert front == sorted(front)
    assert [quality for _, quality in front] == sorted(quality for _, quality in front)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=9))
def test_amounts_lie_on_their_axis_in_order(values: list[float]) -> None:
    axis = amounts(values, 40, 400)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(40 <= place <= 400 for place in places)
    assert axis.ticks
    assert len(axis.ticks) <= 10
    assert all(40 <= axis.at(tick) <= 400.01 for tick in axis.ticks)


def test_far_apart_amounts_are_placed_by_ratio() -> None:
    axis = amounts([70, 2000], 0, 100)
    assert axis.wide
    assert axis.at(200) - axis.at(100) == pytest.approx(axis.at(1000) - axis.at(500))
    near = amounts([70, 100], 0, 100)
    assert not near.wide
    assert near.at(0) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_shares_end_at_one(values: list[float]) -> None:
    axis = shares(values, 200, 10)
    assert axis.at(1.0) == 10
    assert axis.low <= min(values)
    assert axis.ticks[-1] == pytest.approx(1.0)


def test_shapes_differ() -> None:
    assert len({shape(series, 10, 10, 5) for series in range(SHAPES)}) == SHAPES == 6


@given(st.lists(st.tuples(st.integers(50, 350), st.integers(30, 200), st.booleans()), max_size=12))
def test_labels_that_are_not_needed_cover_nothing(spots: list[tuple[int, int, bool]]) -> None:
    wishes = [Wish(f"label {i}", x, y, 0, needed) for i, (x, y, needed) in enumerate(spots)]
    taken = [Box(wish.x - 5, wish.y - 5, wish.x + 5, wish.y + 5) for wish in wishes]
    labels = labelled(wishes, taken, Box(0, 0, 400, 240))
    shown = {label.text for label in labels}
    assert {wish.text for wish in wishes if wish.needed} <= shown
    spared = {wish.text for wish in wishes if not wish.needed} & shown
    for label in labels:
        box = Box(label.x, label.y - 9, label.x + 5.9 * len(label.text), label.y + 3)
        if label.text in spared:
            assert not any(box.meets(mark) for mark in taken)


def test_a_figure_says_in_words_what_it_shows(contents: Contents) -> None:
    figure = ElementTree.fromstring(str(frontier(contents, "answer_recall", "context_tokens")))
    drawing = figure.find("svg")
    assert drawing is not None
    title, description = drawing.find("title"), drawing.find("desc")
    assert title is not None
    assert description is not None
    assert drawing.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
    assert "frugal-rag: 0.714 at 24.5 tokens, efficient" in str(description.text)
    labels = {text.text for text in drawing.iter("text") if "name" in text.get("class", "")}
    assert labels == {"frugal-rag", "plain", "hybrid"}
    assert len({path.attrib["class"] for path in drawing.iter("path") if len(path)}) == 3


def test_records_without_the_quality_are_named(contents: Contents) -> None:
    figure = ElementTree.fromstring(str(frontier(contents, "groundedness", "context_tokens")))
    assert "not shown: plain, hybrid." in "".join(figure.itertext())
    assert frontier(contents, "key_points", "joules") is None


def test_the_sweep_is_drawn_small_and_joined(ours: Record) -> None:
    swept = [
        replace(
            ours,
            settings={**ours.settings, "budget_tokens": budget},
            rows=tuple(
                replace(row, scores={**row.scores, "context_tokens": float(budget)})
                for row in ours.rows
            ),
            identity=replace(ours.identity, fingerprint=str(budget)),
        )
        for budget in (10, 50, 100, 200, 400, 800)
    ]
    contents = arranged([ours, *swept])
    assert [entry.name for entry in contents.compared] == ["frugal-rag"]
    points = points_of(contents, "answer_recall", "context_tokens")
    assert [p.label for p in points if not p.named] == ["10", "50", "100", "200", "400", "800"]
    assert [p.price for p in points if p.efficient] == [10]
