"""Forecasts in files: what is understood, and what is refused with its place."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest

from rag.errors import LoadError
from rag.grid.forecast_file import ForecastFile

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
EXPECTED = ((NOW, 320.0), (NOW + 1800, 280.5), (NOW + 3600, 300.0))


def read(folder: Path, text: str | bytes) -> ForecastFile:
    path = folder / "forecast"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return ForecastFile(path)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00Z,320\n2026-01-01T00:30Z,280.5\n2026-01-01T01:00Z,300\n",
        (
            "time,gco2e_per_kwh\r\n2026-01-01T00:00,320\r\n2026-01-01T00:30,280.5\r\n"
            "2026-01-01T02:00+01:00,300\r\n\r\n"
        ),
        "\ufefftime,g\n2026-01-01T00:30Z,280.5\n2026-01-01T00:00Z,320\n2026-01-01T01:00Z,300",
        '[["2026-01-01T00:00Z", 320], ["2026-01-01T00:30Z", 280.5], ["2026-01-01T01:00Z", 300]]',
        (
            '{"points": [["2026-01-01T00:00Z", 320], ["2026-01-01T00:30Z", "280.5"],'
            ' ["2026-01-01T01:00Z", 300]]}'
        ),
    ],
)
def test_a_forecast_is_read(tmp_path: Path, text: str) -> None:
    source = read(tmp_path, text)
    forecast = source.forecast()
    assert forecast.points == EXPECTED
    assert (forecast.step_seconds, forecast.source) == (1800, str(source.path))


def test_a_time_without_an_offset_is_utc_wherever_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "2026-01-01T00:00,320\n2026-01-01T00:30,280.5\n2026-01-01T01:00,300\n"
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert read(tmp_path, text).forecast().points == EXPECTED
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 periods"),
        ("2026-01-01T00:00Z,320\n", "1 periods"),
        ("2026-01-01T00:00Z,320\n2026-01-01T00:30Z,much\n", "much"),
        ("2026-01-01T00:00Z,320\n2026-01-01T00:30Z\n", "line 2 has 1 columns"),
        ("2026-01-01T00:00Z,320\n2026-01-41T00:30Z,1\n", "2026-01-41"),
        ("2026-01-01T00:00Z,1\n2026-01-01T01:00Z,1\n2026-01-01T03:00Z,1\n", "without gaps"),
        ("2026-01-01T00:00Z,1\n2026-01-01T01:00Z,nan\n", "finite"),
        ("2026-01-01T00:00Z,1\n2026-01-01T00:00Z,2\n", "above 0"),
        ('{"points": 3}', "no list"),
        ('[["2026-01-01T00:00Z"]]', "no pair"),
        ("[1, 2", "Expecting"),
        (b"\xff\xfe\x00", "UTF-8"),
        ("[" * 200_000, "nested too deeply"),
        ("x" * 4_000_001, "over 4000000 bytes"),
        ("2026-01-01T00:00Z,1e308\n2026-01-01T01:00Z,1e308\n", "sum of a forecast"),
        ('[["2026-01-01T00:00Z", true], ["2026-01-01T01:00Z", 1]]', "True"),
    ],
)
def test_what_is_no_forecast_says_why(tmp_path: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(LoadError, match=r"ISO 8601") as raised:
        read(tmp_path, text).forecast()
    assert why in str(raised.value)


def test_a_line_without_end_is_an_error_of_ours(tmp_path: Path) -> None:
    # How long a field may be is one setting for the process, which reading documents may raise.
    before = csv.field_size_limit(131_072)
    try:
        with pytest.raises(LoadError, match="field limit"):
            read(tmp_path, "2026-01-01T00:00Z," + "1" * 200_000 + "\n").forecast()
    finally:
        csv.field_size_limit(before)


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="No such file"):
        ForecastFile(tmp_path / "none.csv").forecast()


def test_when_clocks_are_set_back_the_offsets_keep_the_hours_in_order(tmp_path: Path) -> None:
    rows = ("01:00+02:00,1", "02:00+02:00,2", "02:00+01:00,3", "03:00+01:00,4")
    forecast = read(tmp_path, "".join(f"2026-10-25T{row}\n" for row in rows)).forecast()
    assert [value for _, value in forecast.points] == [1, 2, 3, 4]
    assert forecast.step_seconds == 3600
    local = "".join(f"2026-10-25T{row[:5]}{row[11:]}\n" for row in rows)
    with pytest.raises(LoadError, match="not a forecast"):  # two times 02:00: nobody can tell
        read(tmp_path, local).forecast()
