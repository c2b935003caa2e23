"""Fronts and layers: by hand, and against the definition."""

from hypothesis import given
from hypothesis import strategies as st

from eval.sweeping.pareto import Point, front, layers

COORDINATE = st.integers(0, 5).map(float)
POINTS = st.lists(
    st.builds(Point, COORDINATE, st.tuples(COORDINATE, COORDINATE)), min_size=1, max_size=12
)


def test_the_front_by_hand() -> None:
    points = [
        Point(0.9, (100, 1.0)),
        Point(0.8, (50, 1.0)),
        Point(0.8, (50, 2.0)),  # as good as the one above, at more energy
        Point(0.7, (60, 0.5)),  # less energy than all others
        Point(0.6, (100, 3.0)),
    ]
    assert front(points) == [0, 1, 3]
    assert layers(points) == [0, 0, 1, 0, 2]


def test_equal_points_share_the_front() -> None:
    twice = [Point(0.5, (10, 1)), Point(0.5, (10, 1))]
    assert front(twice) == [0, 1]


@given(POINTS)
def test_nobody_on_the_front_is_beaten_and_everybody_else_is(points: list[Point]) -> None:
    chosen = set(front(points))
    assert chosen
    for i, point in enumerate(points):
        beaten = any(other.dominates(point) for other in points)
        assert beaten == (i not in chosen)


@given(POINTS)
def test_a_layer_is_one_below_the_deepest_that_beats_it(points: list[Point]) -> None:
    depth = layers(points)
    for i, point in enumerate(points):
        above = [depth[j] for j, other in enumerate(points) if other.dominates(point)]
        assert depth[i] == (max(above) + 1 if above else 0)
