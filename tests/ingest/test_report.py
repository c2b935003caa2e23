"""What a run says of its costs, to people and to programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ingest.report import StageCost, SyncReport, chunk_rate, cost_lines
from rag.grid.intensity import Intensity
from rag.impact import sci
from rag.results import Impact
from rag.types import Interval

STAGES = (StageCost("parse", 1.5, 1.0, Interval(3.0, 4.0)),)
UNPLACED = Impact(Interval(3.0, 4.0), None, None, Interval(1.0, 1.0), "estimated", None)
PLACED = replace(
    UNPLACED,
    gco2e=Interval(0.3, 0.4),
    market_gco2e=Interval(0.03, 0.04),
    litres=Interval(0.001, 0.002),
    embodied_gco2e=Interval(0.1, 0.1),
    grid=Intensity(360.0, "location", "the file"),
    basis="measured",
)


def test_the_rate_is_operation_and_making_by_thousands_of_chunks() -> None:
    rate = chunk_rate(PLACED, 2500)
    assert rate.gco2e_per_1000_chunks == sci(PLACED.gco2e, PLACED.embodied_gco2e, 2.5)
    assert rate.gco2e_per_1000_chunks is not None
    assert rate.gco2e_per_1000_chunks.low == pytest.approx(0.4 / 2.5)
    assert (rate.chunks, rate.missing, rate.standard) == (2500, (), "ISO/IEC 21031:2024")


def test_without_chunks_there_is_no_rate() -> None:
    rate = chunk_rate(PLACED, 0)
    assert rate.gco2e_per_1000_chunks is None
    assert cost_lines(STAGES, PLACED, rate)[-1] == "  SCI         none: no chunk was indexed"


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ("gco2e", "carbon intensity of the grid (grid_gco2e_per_kwh or grid_source)"),
        (
            "embodied_gco2e",
            "embodied carbon of the machine (embodied_kgco2e and machine_lifetime_years)",
        ),
    ],
)
def test_one_unknown_part_makes_the_rate_unknown_and_is_named(part: str, said: str) -> None:
    rate = chunk_rate(replace(PLACED, **{part: None}), 1000)
    assert rate.gco2e_per_1000_chunks is None
    assert cost_lines(STAGES, PLACED, rate)[-1] == f"  SCI         unknown without {said}"


def test_the_text_keeps_location_and_market_apart() -> None:
    assert cost_lines(STAGES, PLACED, chunk_rate(PLACED, 1000)) == [
        "  seconds     1.50 (parse 1.50)",
        "  energy      3 to 4 J (measured by the counters)",
        "  carbon      0.3 to 0.4 gCO2e (by location: the file)",
        "              0.03 to 0.04 gCO2e (by market)",
        "  embodied    0.1 gCO2e (share of making the machine)",
        "  water       0.001 to 0.002 L (on site and off)",
        "  SCI         0.4 to 0.5 gCO2e per 1,000 chunks (ISO/IEC 21031:2024)",
    ]


def test_the_text_says_unknown_never_nothing() -> None:
    lines = cost_lines(STAGES, UNPLACED, chunk_rate(UNPLACED, 1000))
    assert lines[1] == "  energy      3 to 4 J (estimated from CPU time)"
    assert lines[2:5] == ["  carbon      unknown", "  embodied    unknown", "  water       unknown"]
    assert " and embodied carbon of the machine" in lines[5]


def test_a_report_as_json_has_all_parts() -> None:
    report = SyncReport(
        "c", "t", 1, published=True, stages=STAGES, impact=PLACED, sci=chunk_rate(PLACED, 1000)
    )
    told = json.loads(report.to_json())
    assert told["impact"]["market_gco2e"] == {"low": 0.03, "high": 0.04}
    assert told["impact"]["grid"]["source"] == "the file"
    assert told["impact"]["basis"] == "measured"
    assert told["stages"][0]["basis"] == "estimated"
    assert told["sci"]["gco2e_per_1000_chunks"] == {"low": 0.4, "high": 0.5}
