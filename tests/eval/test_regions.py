"""Where the same work would emit least."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval import records
from eval.cli import main
from eval.records import Record
from eval.regions import Region, emissions, ranked, read_regions, ties
from rag.errors import LoadError, UsageError
from rag.grid import packaged
from rag.types import Interval

RecordOf = Callable[..., Record]
SUNNY, MIXED, COAL = (
    Region("sunny", Interval(50, 100), "made"),
    Region("mixed", Interval(90, 300), "made"),
    Region("coal", Interval(700, 800), "made"),
)


@pytest.fixture
def record(record_of: RecordOf) -> Record:
    return record_of({"grounded": [1, 0]}, cpu_seconds=(1.0,))


def test_the_cleanest_comes_first_and_what_overlaps_shares_a_rank(record: Record) -> None:
    found = ranked(record, [COAL, MIXED, SUNNY])
    assert [(each.rank, each.region.name) for each in found] == [
        (1, "sunny"),
        (1, "mixed"),
        (3, "coal"),
    ]
    assert ties(found) == (("sunny", "mixed"),)


def test_emissions_are_energy_times_intensity_with_their_intervals(record: Record) -> None:
    [found] = ranked(record, [SUNNY], 1000)
    # 2.8 to 4.3 J a question; one of two answers is grounded.
    assert found.per_question.low == pytest.approx(2.8 / 3.6e6 * 50)
    assert found.per_question.high == pytest.approx(4.3 / 3.6e6 * 100)
    assert found.per_grounded_answer is not None
    assert found.per_grounded_answer.high == pytest.approx(2 * found.per_question.high)
    assert found.kilograms_per_day is not None
    assert found.kilograms_per_day.high == pytest.approx(found.per_question.high)
    assert found.kilograms_per_year is not None
    assert found.kilograms_per_year.low == pytest.approx(365 * found.per_question.low)


def test_without_traffic_or_grounded_answers_nothing_is_made_up(record_of: RecordOf) -> None:
    [found] = ranked(record_of({"grounded": [0, None]}), [SUNNY])
    assert found.per_grounded_answer is None
    assert found.kilograms_per_day is found.kilograms_per_year is None


def test_without_energy_there_is_no_order(record: Record) -> None:
    costs = tuple(replace(cost, joules=None) for cost in record.measured.repeats[0])
    unknown = replace(record, measured=replace(record.measured, repeats=(costs,)))
    with pytest.raises(UsageError, match="energy of a question is unknown"):
        ranked(unknown, [SUNNY])
    with pytest.raises(UsageError, match="no regions"):
        ranked(record, [])


intensities = st.tuples(st.floats(0, 2000), st.floats(0, 2000)).map(
    lambda ends: Interval(*sorted(ends))
)


@given(st.lists(intensities, min_size=2, max_size=6))
def test_no_region_stands_before_one_that_surely_emits_less(found: list[Interval]) -> None:
    joules = Interval(1, 1)
    regions = [Region(str(i), interval, "made") for i, interval in enumerate(found)]
    for a in regions:
        for b in regions:
            if a.gco2e_per_kwh.high < b.gco2e_per_kwh.low:
                assert emissions(joules, a).high <= emissions(joules, b).low


@pytest.mark.parametrize(
    "text",
    [
        "region,gco2e_per_kwh\nsunny,50\n",
        "region,low,high\nsunny,50,50\n",
        "zone,kind,gco2e_per_kwh,source,at\nsunny,location,50,grid.csv,\nsunny,market,3,x,y\n",
    ],
)
def test_tables_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grid.csv"
    path.write_text(text)
    assert read_regions(path) == (Region("sunny", Interval(50, 50), "grid.csv"),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no rows"),
        ("region,low\na,1\n", "no column 'high'"),
        ("region,gco2e_per_kwh\na,much\n", "much"),
        ("region,gco2e_per_kwh\na,nan\n", "no intensity of a"),
        ("region,gco2e_per_kwh\na,-5\n", "interval"),
        ("region,low,high\na,5,4\n", "interval [5.0, 4.0]"),
        ("region,gco2e_per_kwh\n,5\n", "without a region"),
        ("region,gco2e_per_kwh\na,5\na,6\n", "twice"),
    ],
)
def test_what_is_no_table_says_why(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "grid.csv"
    path.write_text(text)
    with pytest.raises(LoadError) as raised:
        read_regions(path)
    assert why in str(raised.value)


def test_the_command_ranks_for_people_and_programs(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, table = tmp_path / "record.json", tmp_path / "grid.csv"
    records.write(record, path)
    table.write_text("region,low,high\ncoal,700,800\nsunny,50,100\nmixed,90,300\n")
    command = ["regions", str(path), "--intensities", str(table)]
    assert main([*command, "--traffic", "1000"]) == 0
    text = capsys.readouterr().out
    assert "kgCO2e a year" in text
    assert "not told apart: sunny, mixed" in text
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["region"]["name"] for each in told["regions"]] == ["sunny", "mixed", "coal"]
    assert told["ties"] == [["sunny", "mixed"]]
    assert main(["regions", str(path), "--intensities", str(tmp_path / "none")]) == 2


def test_without_a_table_the_packages_are_asked(
    record: Record,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "record.json"
    records.write(record, path)
    monkeypatch.setattr(packaged.DataFile, "of_package", classmethod(lambda *_: None))
    assert main(["regions", str(path)]) == 2
    assert "--intensities FILE" in capsys.readouterr().err


def test_in_a_chain_of_overlaps_only_those_that_share_a_rank_are_ties(record: Record) -> None:
    spans = {"a": (0, 10), "b": (5, 20), "c": (15, 30)}
    found = ranked(record, [Region(n, Interval(*ends), "made") for n, ends in spans.items()])
    assert [(each.region.name, each.rank) for each in found] == [("a", 1), ("b", 1), ("c", 2)]
    assert ties(found) == (("a", "b"),)


def test_regions_that_only_touch_are_not_told_apart(record: Record) -> None:
    regions = [Region("a", Interval(0, 10), "made"), Region("b", Interval(10, 20), "made")]
    assert ties(ranked(record, regions)) == (("a", "b"),)
