import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.quantities import Quantity, in_digits, quantities, unsupported


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1,000 km", "1000 km"),
        ("One thousand kilometres", "1000 kilometres"),
        ("twenty-one years", "21 years"),
        ("two hundred thousand", "200000"),
        ("$5 million and 2.5 billion", "$5000000 and 2500000000"),
        ("until 2024-05-31.", "until 31 May 2024."),
        ("the one who waits", "the one who waits"),
        ("CYP2D6, v2.4 and COVID-19", "CYP2D6, v2.4 and COVID-19"),
        ("1234.50", "1234.50"),
    ],
)
def test_numbers_are_written_in_one_way(text: str, written: str) -> None:
    assert in_digits(text) == written


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It weighs 35 kg.", "weight: 35 kilograms"),
        ("It weighs 35 kg.", "the weight of 35"),
        ("1,000 euros", "one thousand €"),
        ("$5 million", "5,000,000 dollars"),
        ("on May 3, 2024", "2024-05-03"),
        ("on Sept. 5", "the 5th of September"),
        ("5 %", "five percent"),
        ("an hour", "one hour"),
        ("Mondays", "on Monday"),
    ],
)
def test_the_same_quantity_in_other_words_is_supported(one: str, other: str) -> None:
    assert unsupported(quantities(in_digits(one)), quantities(in_digits(other))) == 0


@pytest.mark.parametrize(
    ("said", "known", "missing"),
    [
        ("35 kg", "36 kg", 1),
        ("35 kg", "35 lb", 1),
        ("24 months", "24 years", 1),
        ("31 May", "31 June", 2),  # the day of the month, and the month
        ("in May 2024", "in June 2024", 1),
        ("on Friday", "on Monday", 1),
        ("5 million", "5 thousand", 1),
        ("one hour", "one", 1),
        ("it may rain, march on", "nothing", 0),
    ],
)
def test_another_quantity_is_not(said: str, known: str, missing: int) -> None:
    assert unsupported(quantities(in_digits(said)), quantities(in_digits(known))) == missing


def test_a_year_after_a_month_is_no_day() -> None:
    assert Quantity(2024.0, None) in quantities("in May 2024")
    assert Quantity(3.0, "may") in quantities("on May 3")


@given(st.text(max_size=80))
def test_any_text_supports_itself(text: str) -> None:
    found = quantities(in_digits(text))
    assert unsupported(found, found) == 0


@given(st.integers(0, 10**12))
def test_separators_make_no_difference(number: int) -> None:
    assert quantities(in_digits(f"{number:,} km")) == quantities(f"{number} km")


@given(st.text(alphabet="0123456789., $€-tenhudrkm", max_size=60))
def test_digits_stay_digits(text: str) -> None:
    once = in_digits(text)
    assert in_digits(once) == once
