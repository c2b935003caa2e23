"""Which counters a machine's files lead to."""

import logging
import os
from pathlib import Path
from typing import ClassVar

import pytest

from rag.build_power import build_power
from rag.impact import WATTS_PER_BUSY_CPU
from rag.metering.power import (
    GPU_PERIOD_SECONDS,
    PERIOD_SECONDS,
    EstimatedPower,
    PowerSampler,
)
from rag.metering.processor import PROCESSORS, thread_watts

CPUINFO = "model name\t: AMD EPYC 7763 64-Core Processor\nflags\t: fpu{}\n"


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.build_power.importlib.util.find_spec", lambda _: None)


def machine(root: Path, flags: str = "", *, counters: bool) -> Path:
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(CPUINFO.format(flags))
    if counters:
        zone = root / "sys/class/powercap/intel-rapl:0"
        zone.mkdir(parents=True)
        files = {"name": "package-0", "max_energy_range_uj": 2**38, "energy_uj": 7}
        for name, text in files.items():
            (zone / name).write_text(f"{text}\n")
    return root


def test_counters_that_can_be_read_are_sampled(tmp_path: Path) -> None:
    assert isinstance(build_power(machine(tmp_path, counters=True)), PowerSampler)


def test_without_counters_it_is_estimated_for_the_processor_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    power = build_power(machine(tmp_path, counters=False))
    assert power == EstimatedPower(thread_watts(PROCESSORS["EPYC 7763"], shared=False))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_virtual_machine_does_not_take_its_host_s_counter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    power = build_power(machine(tmp_path, " hypervisor", counters=True))
    assert power == EstimatedPower(thread_watts(PROCESSORS["EPYC 7763"], shared=True))
    assert not caplog.records


def test_nothing_known_is_the_clouds_range(tmp_path: Path) -> None:
    assert build_power(tmp_path) == EstimatedPower(WATTS_PER_BUSY_CPU)


def test_beside_neighbours_whose_work_is_hidden_the_counter_is_not_taken(tmp_path: Path) -> None:
    root = machine(tmp_path, counters=True)
    (root / "proc/self").mkdir()
    mount = "32 31 0:50 /proc/stat /proc/stat rw - fuse.lxcfs lxcfs rw\n"
    (root / "proc/self/mountinfo").write_text(mount)
    assert isinstance(build_power(root), EstimatedPower)


class Gpu:
    """A GPU's counter that remembers as which process it was opened."""

    opened: ClassVar[list[int | None]] = []
    name = "nvml"

    def __init__(self, pid: int | None) -> None:
        self.opened.append(pid)

    def read(self) -> float | None:
        return 0.0


@pytest.mark.parametrize("container", [True, False])
def test_in_a_container_the_driver_s_pids_are_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: bool
) -> None:
    monkeypatch.setattr("rag.build_power.importlib.util.find_spec", lambda _: "there")
    monkeypatch.setattr("rag.adapters.nvml.NvmlCounter", Gpu)
    if container:
        (tmp_path / ".dockerenv").touch()
    power = build_power(machine(tmp_path, counters=True))
    assert isinstance(power, PowerSampler)
    assert Gpu.opened[-1] == (None if container else os.getpid())


@pytest.mark.parametrize("gpu", [True, False])
def test_beside_a_gpu_windows_are_as_long_as_its_driver_takes_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: bool
) -> None:
    monkeypatch.setattr("rag.build_power.importlib.util.find_spec", lambda _: gpu or None)
    monkeypatch.setattr("rag.adapters.nvml.NvmlCounter", Gpu)
    monkeypatch.setattr("rag.build_power.PowerSampler", lambda *given: given)
    *_, period = build_power(machine(tmp_path, counters=True))  # type: ignore[misc]
    assert period == (GPU_PERIOD_SECONDS if gpu else PERIOD_SECONDS)
