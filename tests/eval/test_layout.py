"""Numbers and texts as they are shown."""

from __future__ import annotations

import pytest

from eval import layout


@pytest.mark.parametrize(
    ("value", "unit", "expected", "change"),
    [
        (0.12345, "share", "0.123", "+0.123"),
        (-0.0001, "share", "-0.000", "0"),
        (101.25, "tokens", "101.2", "+101.2"),
        (0.000123456, "J", "0.000123", "+0.000123"),
        (0.0, "s", "0", "0"),
        (None, "s", "-", "-"),
    ],
)
def test_numbers_by_unit(value: float | None, unit: str, expected: str, change: str) -> None:
    assert layout.shown(value, unit) == expected
    assert layout.signed(value, unit) == change


def test_steps() -> None:
    assert layout.step(1.0, 0.0, "share") == "1 -> 0"
    assert layout.step(None, 0.5, "share") == "none -> 0.500"
    assert layout.step(103.0, 231.0, "tokens") == "103 -> 231"


@pytest.mark.parametrize(("p", "expected"), [(None, "-"), (0.0001, "<0.001"), (0.04999, "0.050")])
def test_p_values(p: float | None, expected: str) -> None:
    assert layout.p_shown(p) == expected


def test_columns_are_as_wide_as_they_must_be() -> None:
    table = layout.text_table(("name", "n"), [("a", "10"), ("longer", "1")], (1,))
    assert table.split("\n") == ["name     n", "a       10", "longer   1"]


def test_two_texts_beside_each_other() -> None:
    lines = list(layout.side_by_side("one two three four", "five\n\nsix", 21))
    assert lines == ["one two   | five", "three     |", "four      | six"]


def test_a_long_text_is_cut_at_a_word_and_cannot_command_a_terminal() -> None:
    assert layout.shortened("one\x1b[2J two\nthree four", 15) == "one[2J two ..."


def test_a_step_to_what_is_no_number_is_shown() -> None:
    assert layout.step(1.0, float("nan"), "share") == "1 -> nan"
    assert layout.step(float("inf"), 0.5, "share") == "inf -> 0.500"
