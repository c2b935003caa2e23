"""Every energy counter: joules that never fall, None for unknown, and no error."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rag.adapters.nvml import NvmlCounter
from rag.adapters.rapl import RaplCounter
from rag.adapters.recorded_energy import RecordedCounter
from rag.protocols import EnergyCounter

COUNTERS: dict[str, Callable[[Path], EnergyCounter]] = {
    "recorded": lambda _: RecordedCounter([0.0, 1.5, 1.5, None, 4.0]),
    "rapl on files": lambda folder: RaplCounter(_powercap(folder)),
    "rapl as it is here": lambda _: RaplCounter(),
    "nvml as it is here": lambda _: NvmlCounter(None),
}


def _powercap(folder: Path) -> Path:
    zone = folder / "intel-rapl:0"
    zone.mkdir()
    for name, text in {"name": "package-0", "max_energy_range_uj": 2**38, "energy_uj": 7}.items():
        (zone / name).write_text(f"{text}\n")
    return folder


@pytest.fixture(params=COUNTERS)
def counter(request: pytest.FixtureRequest, tmp_path: Path) -> EnergyCounter:
    return COUNTERS[request.param](tmp_path)


def test_readings_never_fall(counter: EnergyCounter) -> None:
    known = [joules for _ in range(5) if (joules := counter.read()) is not None]
    assert known == sorted(known)
    assert all(joules >= 0 for joules in known)


def test_it_has_a_name(counter: EnergyCounter) -> None:
    assert counter.name.isidentifier()
