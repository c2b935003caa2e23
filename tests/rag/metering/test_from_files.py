"""From the kernel's files to a measured receipt, by hand."""

import os
from functools import partial
from pathlib import Path

import pytest

from rag.adapters.rapl import RaplCounter
from rag.meter import RequestMeter
from rag.metering.machine import busy_cpu_seconds
from rag.metering.power import PowerSampler, Sources
from rag.place import Place


class Files:
    """A machine with two CPUs whose package draws 50 W when both work; its clock is set here."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.at = 100.0
        self.zone = root / "powercap/intel-rapl:0"
        self.zone.mkdir(parents=True)
        (root / "proc").mkdir()
        (self.zone / "name").write_text("package-0\n")
        (self.zone / "max_energy_range_uj").write_text("262143328850\n")
        self.write(joules=262143.0, busy=0.0)

    def write(self, joules: float, busy: float) -> None:
        (self.zone / "energy_uj").write_text(f"{round(joules * 1e6) % 262143328850}\n")
        ticks = round(busy * os.sysconf("SC_CLK_TCK"))
        (self.root / "proc/stat").write_text(f"cpu  {ticks} 0 0 7 0 0 0 0\n")

    def clock(self) -> float:
        return self.at


def test_a_request_is_measured_across_a_wrap_around(tmp_path: Path) -> None:
    files = Files(tmp_path)
    counter = RaplCounter(tmp_path / "powercap", files.clock)
    busy = partial(busy_cpu_seconds, tmp_path)
    sampler = PowerSampler(Sources(2, (counter,), busy=busy, clock=files.clock))
    meter = RequestMeter(Place(None, None, None, 1.0), sampler)
    with meter.stage("answer"):
        files.write(joules=262143.0 + 50.0, busy=2.0)  # both CPUs for a second, past the range
        files.at += 1.0
    impact = meter.impact()
    assert impact.basis == "measured"
    assert impact.joules is not None
    assert impact.cpu_seconds is not None
    assert impact.joules.low == pytest.approx(impact.cpu_seconds.low * 0.5 * 50 / 2)
    assert impact.joules.high == pytest.approx(impact.cpu_seconds.high * 50 / 2)


def test_when_the_counter_goes_the_request_is_estimated(tmp_path: Path) -> None:
    files = Files(tmp_path)
    counter = RaplCounter(tmp_path / "powercap", files.clock)
    busy = partial(busy_cpu_seconds, tmp_path)
    sampler = PowerSampler(Sources(2, (counter,), busy=busy, clock=files.clock))
    meter = RequestMeter(Place(None, None, None, 1.0), sampler)
    (files.zone / "energy_uj").unlink()
    files.at += 1.0
    impact = meter.impact()
    assert impact.basis == "estimated"
    assert impact.joules is not None
    assert impact.joules.high > 0
