"""Reports of the ledger as people and spreadsheets read them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from rag.errors import ValueRangeError
from rag.impact_text import impact_csv, impact_text
from rag.ledger import Ledger
from rag.ledger_entry import Asker, Entry, StageCost
from rag.ledger_run import Run, entry_of_run
from rag.ledger_sci import SCI_FORMULA
from rag.ledger_sums import Days, days_between, read_report
from rag.results import Impact
from rag.types import Interval

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
    assert rows[2]["energy_unknown_entries"] == "1"
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
    text = impact_text(read_report(folder, YEAR, "stage"))
    assert "tokens" not in text
    assert len(re.findall("^pack ", text, re.MULTILINE)) == 1, "a stage has no carbon"


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
        "tenant answers abstained grounded tokens energy_[J] water_[L] basis".split(),
        "=beta 1 0 0 100 1.23e+05_to_1.23e+05 0_to_1e-12 estimated".split(),
        "acme 3 0 0 300 2.47e+05_to_2.47e+05,_1_unknown 0_to_3e-12 estimated".split(),
        "all_answers 4 0 0 400 3.7e+05_to_3.7e+05,_1_unknown 0_to_4e-12 estimated".split(),
        [""],
        [
            *"tenant carbon_[gCO2e] making_[gCO2e] by_market_[gCO2e]".split(),
            *("SCI_per_question", "per_grounded_answer"),
        ],
        ["=beta", *["unknown"] * 5],
        ["acme", *["unknown"] * 5],
        ["all_answers", *["unknown"] * 5],
        [""],
        [f"{SCI_FORMULA},_in_gCO2e;_unknown_where_a_part_is.".replace(" ", "_")],
    ]
    assert "(none)" in impact_text(read_report(folder, YEAR, "model"))


def test_the_table_says_what_is_missing(folder: Path) -> None:
    (folder / "2026-11.sqlite").write_bytes(b"damaged" * 1000)
    text = impact_text(read_report(folder, YEAR, None))
    assert text.endswith("missing of 2026-11: the file is damaged or cannot be read.")


def test_rates_and_ingest_have_places_of_their_own(tmp_path: Path) -> None:
    at = datetime(2026, 11, 2, tzinfo=UTC)
    pico = 10**12
    costly = replace(entry(at), gco2e=(pico, 2 * pico), embodied_gco2e=(pico, pico))
    good = replace(costly.asker, grounded=True)
    impact = Impact(None, Interval(3, 4), None, None, "estimated", None, None, Interval(2, 2))
    with closing(Ledger(tmp_path)) as ledger:
        for asker in (costly.asker, good):
            ledger.add(replace(costly, asker=asker))
        ledger.add(entry_of_run(Run("acme", "neural", 1.0, impact, 500), at.timestamp()))
    report = read_report(tmp_path, YEAR, "tenant", "all")
    text = impact_text(report)
    assert re.search(r"^acme  +2 to 4  +2 to 2  +unknown  +2 to 3  +4 to 6$", text, re.MULTILINE)
    assert re.search(r"^all ingest  +3 to 4  +2 to 2  +unknown  +10 to 12$", text, re.MULTILINE)
    assert re.search(r"^all ingest  +1  +500  +unknown  +unknown  +estimated$", text, re.MULTILINE)
    questions, ingest = cells(impact_csv(report))
    assert (questions["work"], ingest["work"]) == ("questions", "ingest")
    assert (questions["answers"], questions["grounded"], ingest["answers"]) == ("2", "1", "0")
    assert questions["sci_question_high_gCO2e"] == "3.0"
    assert questions["sci_grounded_answer_low_gCO2e"] == "4.0"
    assert ingest["sci_thousand_chunks_high_gCO2e"] == "12.0"
    assert questions["sci_thousand_chunks_low_gCO2e"] == ingest["sci_question_low_gCO2e"] == ""
    assert questions["making_low_gCO2e"] == "2.000000000000"
    assert questions["market_carbon_low_gCO2e"] == ""


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
