"""Reports of the ledger as people and spreadsheets read them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from rag.errors import ValueRangeError
from rag.impact_text import impact_csv, impact_text
from rag.ledger import Ledger
from rag.ledger_entry import Asker, Entry, StageCost
from rag.ledger_sums import Days, days_between, read_report

YEAR = Days(date(2026, 1, 1), date(2026, 12, 31))
JOULES = 123_456_789_012_345  # nJ: more digits than a number of a spreadsheet has


def entry(day: datetime, tenant: str = "acme", *, joules: int | None = JOULES) -> Entry:
    return Entry(
        at=round(day.timestamp() * 1e6),
        asker=Asker(tenant, "neural", None, "answer", abstained=False),
        nanoseconds=2_500_000,
        joules=None if joules is None else (joules, joules + 1),
        gco2e=None,
        litres=(0, 1),
        basis="estimated",
        context_tokens=100,
        prompt_tokens=None,
        cached_tokens=None,
        completion_tokens=None,
        stages=(StageCost("pack", 1_000_000, (1, 2)),),
        fingerprint="f" * 12,
        generation=1,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with closing(Ledger(tmp_path)) as ledger:
        ledger.add(entry(datetime(2026, 10, 31, 23, 59, tzinfo=UTC)))
        ledger.add(entry(datetime(2026, 11, 1, tzinfo=UTC)))
        ledger.add(entry(datetime(2026, 11, 2, tzinfo=UTC), joules=None))
        ledger.add(entry(datetime(2026, 11, 2, tzinfo=UTC), "=beta"))
    return tmp_path


def cells(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_row_a_period_and_group_with_exact_sums(folder: Path) -> None:
    rows = cells(impact_csv(read_report(folder, YEAR, "tenant", "month")))
    assert [(row["period_utc"], row["tenant"], row["answers"]) for row in rows] == [
        ("2026-10", "acme", "1"),
        ("2026-11", "'=beta", "1"),
        ("2026-11", "acme", "2"),
    ]
    assert rows[0]["energy_low_J"] == "123456.789012345"
    assert rows[2]["energy_unknown_answers"] == "1"
    assert rows[0]["carbon_low_gCO2e"] == rows[0]["prompt_tokens"] == ""
    assert rows[0]["water_high_L"] == "0.000000000001"
    total = sum(Decimal(row["energy_high_J"]) for row in rows)
    assert total == Decimal(3 * (JOULES + 1)).scaleb(-9)


def test_csv_by_day_and_without_groups(folder: Path) -> None:
    rows = cells(impact_csv(read_report(folder, YEAR, None, "day")))
    assert [(row["period_utc"], row["group"], row["answers"]) for row in rows] == [
        ("2026-10-31", "all", "1"),
        ("2026-11-01", "all", "1"),
        ("2026-11-02", "all", "2"),
    ]


def test_a_stage_has_no_tokens(folder: Path) -> None:
    [row] = cells(impact_csv(read_report(folder, YEAR, "stage")))
    assert "context_tokens" not in row
    assert (row["stage"], row["answers"], row["energy_low_J"]) == ("pack", "4", "0.000000004")


def test_days_are_inclusive(folder: Path) -> None:
    first = Days(date(2026, 10, 31), date(2026, 11, 1))
    assert read_report(folder, first, None).total.answers == 2
    assert read_report(folder, Days(date(2027, 1, 1), date(2027, 1, 1)), "tenant").lines == ()


def test_the_table_says_what_is_unknown(folder: Path) -> None:
    text = impact_text(read_report(folder, YEAR, "tenant"))
    rows = [[c.replace(" ", "_") for c in re.split("  +", line)] for line in text.splitlines()]
    assert rows == [
        ["2026-01-01_to_2026-12-31_(UTC)"],
        [""],
        "tenant answers abstained tokens energy_[J] carbon_[gCO2e] water_[L] basis".split(),
        "=beta 1 0 100 1.23e+05_to_1.23e+05 unknown 0_to_1e-12 estimated".split(),
        "acme 3 0 300 2.47e+05_to_2.47e+05,_1_unknown unknown 0_to_3e-12 estimated".split(),
        "all_answers 4 0 400 3.7e+05_to_3.7e+05,_1_unknown unknown 0_to_4e-12 estimated".split(),
    ]
    assert "(none)" in impact_text(read_report(folder, YEAR, "model"))


def test_the_table_says_what_is_missing(folder: Path) -> None:
    (folder / "2026-11.sqlite").write_bytes(b"damaged" * 1000)
    text = impact_text(read_report(folder, YEAR, None))
    assert text.endswith("missing of 2026-11: the file is damaged or cannot be read.")


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, Days(date(2026, 11, 1), date(2026, 11, 22))),
        ("2026-05", "2026-06", Days(date(2026, 5, 1), date(2026, 6, 30))),
        (None, "2026-02", Days(date(2026, 2, 1), date(2026, 2, 28))),
        ("2024", None, Days(date(2024, 1, 1), date(2026, 11, 22))),
    ],
)
def test_dates_cover_what_they_name(first: str | None, last: str | None, expected: Days) -> None:
    assert days_between(first, last, date(2026, 11, 22)) == expected


@pytest.mark.parametrize("bounds", [("soon", None), (None, "2026-01-01T10:00"), ("2027", None)])
def test_what_is_no_day_is_refused(bounds: tuple[str | None, str | None]) -> None:
    with pytest.raises(ValueRangeError):
        days_between(*bounds, date(2026, 11, 22))
