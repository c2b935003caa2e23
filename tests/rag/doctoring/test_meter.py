"""Why joules are estimated, on machines of all kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.doctoring.meter import check_meter
from rag.metering.power import EstimatedPower, PowerSampler, Sources
from rag.types import Interval


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A bare machine whose kernel shows one RAPL package."""
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "energy_uj").write_text("1", encoding="ascii")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("model name : Some CPU\nflags : fpu\n", "ascii")
    return tmp_path


def test_a_counter_is_measured() -> None:
    class Counter:
        name = "rapl"

        def read(self) -> float:
            return 1.0

    def sampler() -> PowerSampler:
        return PowerSampler(Sources(2, (Counter(),), ()), Interval(1, 2))

    assert check_meter(sampler).found == "measured by the machine's counters"


def test_a_virtual_machine_can_do_nothing_about_it(root: Path) -> None:
    (root / "proc/cpuinfo").write_text("model name : X\nflags : fpu hypervisor\n", "ascii")
    finding = check_meter(EstimatedPower, root)
    assert finding.verdict == "ok"
    assert "virtual machine" in finding.found


def test_a_counter_that_may_not_be_read_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.doctoring.meter.os.access", lambda *_: False)
    finding = check_meter(EstimatedPower, root)
    assert finding.verdict == "warn"
    assert "intel-rapl:0/energy_uj may not be read" in finding.found
    assert "energy_uj" in finding.remedy


def test_a_machine_without_a_counter(root: Path) -> None:
    (root / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
    (root / "sys/class/powercap/intel-rapl:0").rmdir()
    finding = check_meter(EstimatedPower, root)
    assert "no RAPL counter" in finding.found


def test_a_container_that_sees_only_itself(root: Path) -> None:
    (root / "proc/self").mkdir()
    mount = "1 2 0:1 / /proc/stat rw - fuse.lxcfs lxcfs rw\n"
    (root / "proc/self/mountinfo").write_text(mount, encoding="ascii")
    assert "its own CPU time only" in check_meter(EstimatedPower, root).found


def test_this_machine_is_told_something() -> None:
    from rag.build_power import build_power

    assert check_meter(build_power).found.startswith(("measured", "estimated"))
