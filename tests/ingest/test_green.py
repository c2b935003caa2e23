"""A run that waits for a greener grid: real runs, on a clock that does not tick by itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.cli import main
from ingest.green import Green, forecast_source
from ingest.pace import PACE, Pace, expected_seconds, known, remember
from ingest.progress import Progress
from ingest.publish import writing
from ingest.report import FileCounts, StageCost, SyncReport
from ingest.sync import SyncRequest
from rag.errors import UsageError
from rag.grid.electricity_maps import ElectricityMaps
from rag.grid.forecast_file import ForecastFile
from rag.grid.waiting import Clock
from rag.settings import load_settings
from rag.types import Interval

HOUR = 3600.0
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def forecast_in(folder: Path, *values: float) -> Path:
    path = folder / "grid.csv"
    rows = (f"2026-01-01T{hour:02}:00Z,{value}\n" for hour, value in enumerate(values))
    path.write_text("".join(rows), encoding="utf-8")
    return path


class Waiter:
    """A clock whose sleeper looks around, and what was told meanwhile."""

    def __init__(self, while_waiting: Any = None) -> None:
        self.at, self.told = NOW, list[str]()
        self._look = while_waiting or (lambda: None)

    def sleep(self, seconds: float) -> None:
        self._look()
        self.at += seconds

    def green(self, path: Path | None, expected: float | None = HOUR, within: float = 6) -> Green:
        source = ForecastFile(path) if path else None
        clock = Clock(lambda: self.at, self.sleep)
        return Green(within * HOUR, expected, source, self.told.append, clock)


def test_a_run_waits_holds_nothing_meanwhile_and_tells_what_it_saved(
    workshop: Any, tmp_path: Path
) -> None:
    workshop.write("a.md", "# A\n\nThe pump is covered for 24 months.")
    toolkit = workshop.toolkit(tier="lexical")
    free = []

    def look() -> None:
        with writing(toolkit.collection_dir):  # refused while a run holds the collection
            free.append(True)

    waiter = Waiter(look)
    green = waiter.green(forecast_in(tmp_path, 400, 300, 100, 300, 400, 400, 400))
    report = green.sync(SyncRequest((workshop.docs,)), toolkit, Progress())
    assert len(free) == 4
    assert report.published
    found = report.green
    assert found is not None
    assert (found.asked, found.started) == (
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T02:00:00+00:00",
    )
    assert (found.now_gco2e_per_kwh, found.then_gco2e_per_kwh) == (400, 100)
    assert found.saved_share == pytest.approx(0.75)
    assert report.joules is not None
    assert found.saved_gco2e is not None
    assert found.saved_gco2e.low == pytest.approx(report.joules.low / 3.6e6 * 300)
    assert "100 instead of 400 gCO2e/kWh (-75%)" in report.to_text()
    assert json.loads(report.to_json())["green"]["waited_seconds"] == 2 * HOUR


def test_it_runs_at_once_without_a_forecast_and_says_that_nothing_is_known(workshop: Any) -> None:
    workshop.write("a.md", "# A\n\nThe pump is covered for 24 months.")
    waiter = Waiter()
    report = waiter.green(None).sync(
        SyncRequest((workshop.docs,)), workshop.toolkit(tier="lexical"), Progress()
    )
    assert (waiter.at, report.published) == (NOW, True)
    assert report.green is not None
    assert report.green.saved_gco2e is None
    assert "saved       unknown" in report.to_text()


def test_what_would_stop_the_run_stops_it_before_the_wait(workshop: Any, tmp_path: Path) -> None:
    waiter = Waiter()
    green = waiter.green(forecast_in(tmp_path, 400, 100, 100, 100, 100, 100, 100))
    with pytest.raises(UsageError, match="no such file"):
        green.sync(SyncRequest((tmp_path / "gone",)), workshop.toolkit(tier="lexical"), Progress())
    assert waiter.at == NOW


def test_a_preview_says_when_and_does_not_wait(workshop: Any, tmp_path: Path) -> None:
    workshop.write("a.md", "# A\n\nThe pump is covered for 24 months.")
    waiter = Waiter()
    green = waiter.green(forecast_in(tmp_path, 400, 100, 200, 200, 200, 200, 200))
    report = green.preview(
        SyncRequest((workshop.docs,)), workshop.toolkit(tier="lexical"), Progress()
    )
    assert waiter.at == NOW
    assert any("waits for the least emissions" in n and n.endswith("in 1 h") for n in report.notes)


def report_of(files: int, seconds: float) -> SyncReport:
    stages = (StageCost("parse", seconds, seconds, Interval(0, 0)),)
    return SyncReport("c", "t", 1, published=True, files=FileCounts(indexed=files), stages=stages)


def test_the_slowest_of_the_last_runs_is_expected(tmp_path: Path) -> None:
    assert expected_seconds(tmp_path, 10) is None
    for files, seconds in ((100, 900.0), (10, 20.0), (100, 60.0), (1, 3.0), (50, 10.0), (20, 10.0)):
        remember(tmp_path, report_of(files, seconds))
    assert known(tmp_path)[0] == Pace(10, 20.0)  # the last five
    assert expected_seconds(tmp_path, 1) == 60
    assert expected_seconds(tmp_path, 100) == pytest.approx(300)


def test_runs_that_indexed_nothing_say_nothing(tmp_path: Path) -> None:
    remember(tmp_path, report_of(0, 5.0))
    assert not (tmp_path / PACE).exists()
    remember(tmp_path / "none", report_of(1, 5.0))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["", "[", "3", "[3]", '[{"files": 1}]', '[{"files":"x"}]'])
def test_a_damaged_record_of_runs_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / PACE).write_text(text)
    assert known(tmp_path) == ()


def test_the_source_is_the_named_file_else_that_of_the_settings(tmp_path: Path) -> None:
    settings = load_settings(grid_file=tmp_path / "a.csv")
    assert forecast_source(settings, None) == ForecastFile(tmp_path / "a.csv")
    assert forecast_source(settings, tmp_path / "b.csv") == ForecastFile(tmp_path / "b.csv")
    assert forecast_source(load_settings(), None) is None
    live = load_settings(grid_source="electricitymaps", grid_zone="DE", grid_api_key="k")
    assert forecast_source(live, tmp_path / "b.csv") == ForecastFile(tmp_path / "b.csv")
    assert isinstance(forecast_source(live, None), ElectricityMaps)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--deadline 6h"),
        (("--deadline", "6"), "write it as 90m"),
        (("--deadline", "6h"), "--expect 20m"),
        (("--deadline", "6h", "--expect", "soon"), "write it as 90m"),
    ],
)
def test_wrong_wishes_are_refused(
    workshop: Any, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    workshop.write("a.md", "# A\n\nText of a.")
    command = ["sync", str(workshop.docs), "--data-dir", str(workshop.data), "--tier", "lexical"]
    assert main([*command, "--when-green", *arguments]) == 2
    assert words in capsys.readouterr().err.lower()


@pytest.mark.parametrize("wish", [("--deadline", "6h"), ("--expect", "1h"), ("--forecast", "f")])
def test_a_wish_without_waiting_is_refused(
    workshop: Any, capsys: pytest.CaptureFixture[str], wish: tuple[str, str]
) -> None:
    assert main(["sync", str(workshop.docs), "--data-dir", str(workshop.data), *wish]) == 2
    assert "add --when-green" in capsys.readouterr().err.lower()


def test_the_command_starts_anyway_when_the_forecast_fails(
    workshop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.write("a.md", "# A\n\nText of a.")
    command = ["sync", str(workshop.docs), "--data-dir", str(workshop.data), "--tier", "lexical"]
    wish = ["--when-green", "--deadline", "6h", "--expect", "20m", "--forecast", "gone.csv"]
    assert main([*command, *wish, "--json"]) == 0
    captured = capsys.readouterr()
    green = json.loads(captured.out)["green"]
    assert "starts now: no forecast" in green["reason"]
    assert green["saved_gco2e"] is None
    assert captured.err.startswith("starts now: no forecast (forecast cannot be read: gone.csv")
    assert known(workshop.collection)[0].files == 1
    assert main([*command, "--when-green", "--deadline", "6h", "--json"]) == 0


def test_a_wait_that_is_interrupted_ends_with_130_and_has_done_nothing(
    workshop: Any, tmp_path: Path
) -> None:
    workshop.write("a.md", "# A\n\nText of a.")
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = (f"{(first + timedelta(hours=i)).isoformat()},{400 - 50 * i}\n" for i in range(6))
    (tmp_path / "grid.csv").write_text("".join(hours))
    command = [sys.executable, "-m", "ingest.cli", "sync", str(workshop.docs)]
    command += ["--data-dir", str(workshop.data), "--tier", "lexical", "--when-green"]
    command += ["--deadline", "5h", "--expect", "5m", "--forecast", str(tmp_path / "grid.csv")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert told.startswith("waits for the least emissions: in ")
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert not workshop.collection.exists()
