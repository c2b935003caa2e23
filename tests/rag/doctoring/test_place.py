"""Data directory, disk and clock."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from rag.doctoring.place import check_clock, check_data_dir
from rag.settings import Settings, load_settings


class Usage(NamedTuple):
    total: float
    used: float
    free: float


YEAR = 365.25 * 86400


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


def test_a_directory_that_is_not_there_yet_is_looked_for_above(settings: Settings) -> None:
    finding = check_data_dir(settings)
    assert finding.verdict == "ok"
    assert "to be made" in finding.found
    assert not settings.data_dir.exists()


def test_one_that_is_there_is_tried_and_left_as_it_was(settings: Settings) -> None:
    settings.data_dir.mkdir()
    assert check_data_dir(settings).verdict == "ok"
    assert list(settings.data_dir.iterdir()) == []


def test_a_file_in_its_place_is_a_failure(settings: Settings) -> None:
    settings.data_dir.write_text("", encoding="utf-8")
    finding = check_data_dir(settings)
    assert (finding.verdict, "no directory" in finding.found) == ("fail", True)


def test_a_disk_that_takes_nothing_is_a_failure(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rag.doctoring.place.os.fsync", full)
    finding = check_data_dir(settings)
    assert finding.verdict == "fail"
    assert "No space left" in finding.found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_of_somebody_else_is_a_failure(settings: Settings) -> None:
    settings.data_dir.mkdir(mode=0o500)
    assert check_data_dir(settings).verdict == "fail"


def test_little_space_is_a_warning(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.doctoring.place.shutil.disk_usage", lambda _: Usage(1e12, 1e12, 5e6))
    finding = check_data_dir(settings)
    assert finding.verdict == "warn"
    assert "5 MB free, 200 MB wanted" in finding.found


def test_a_sound_clock_is_ok(settings: Settings) -> None:
    assert check_clock(settings).verdict == "ok"


@pytest.mark.parametrize("years", [0, 54, 140])  # 1970, 2024, 2110
def test_an_impossible_year_is_a_failure(settings: Settings, years: int) -> None:
    finding = check_clock(settings, wall=lambda: years * YEAR + 5000)
    assert finding.verdict == "fail"


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 0.2])
def test_a_clock_that_jumps_is_a_warning(settings: Settings, jump: float) -> None:
    wall = iter([56.9 * YEAR, 56.9 * YEAR + 0.05 + jump])
    monotonic = iter([10.0, 10.05])
    finding = check_clock(settings, wall=wall.__next__, monotonic=monotonic.__next__)
    assert finding.verdict == "warn"
    assert "monotonic" in finding.found
