"""NVML on a recording of its functions: what they gave, call by call."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from rag.adapters.nvml import NvmlCounter

OURS, OTHER = 4321, 99


class NVMLError(Exception):
    pass


class NVMLError_NotFound(NVMLError):  # noqa: N801, N818
    pass


class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818
    pass


class Recording:
    """``pynvml`` with recorded answers: for each GPU energies [mJ], and samples a read."""

    NVMLError = NVMLError
    NVMLError_NotFound = NVMLError_NotFound
    NVMLError_NotSupported = NVMLError_NotSupported

    def __init__(self, energies: list[list[Any]], samples: Any = None, running: Any = ()) -> None:
        self.energies = [list(gpu) for gpu in energies]
        self.samples = list(samples) if samples is not None else None
        self.running = running
        self.asked: list[int] = []

    def nvmlInit(self) -> None:  # noqa: N802
        pass

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.energies)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:  # noqa: N802
        answer = self.energies[handle].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    def nvmlDeviceGetProcessUtilization(self, _handle: int, since: int) -> Any:  # noqa: N802
        self.asked.append(since)
        if self.samples is None:
            raise NVMLError_NotSupported
        found = self.samples.pop(0)
        if found is None:
            raise NVMLError_NotFound
        return [SimpleNamespace(pid=p, timeStamp=t, smUtil=u) for p, t, u in found]

    def nvmlDeviceGetComputeRunningProcesses(self, _handle: int) -> Any:  # noqa: N802
        return [SimpleNamespace(pid=pid) for pid in self.running]


def counter_of(*recorded: Any, pid: int | None = OURS, **more: Any) -> NvmlCounter:
    return NvmlCounter(pid, Recording(*recorded, **more))


def test_a_gpu_is_shared_by_how_busy_each_kept_it() -> None:
    recording = Recording(
        [[1000, 11_000, 21_000]],
        [[(OTHER, 7, 90)], [(OURS, 10, 30), (OTHER, 11, 10)], [(OURS, 20, 50), (OURS, 21, 10)]],
    )
    counter = NvmlCounter(OURS, recording)
    assert counter.read() == pytest.approx(7.5)
    assert counter.read() == pytest.approx(17.5)
    assert recording.asked == [0, 7, 11]  # each sample is looked at once
    assert counter.name == "nvml"


def test_what_others_drew_is_not_ours_and_neither_is_idling() -> None:
    counter = counter_of([[0, 5000, 9000]], [None, [(OTHER, 10, 80)], None])
    assert [counter.read(), counter.read()] == [0, 0]


def test_several_gpus_are_summed() -> None:
    counter = counter_of(
        [[0, 1000], [0, 3000]], [None, None, [(OURS, 10, 5)], [(OURS, 10, 5), (OTHER, 10, 5)]]
    )
    assert counter.read() == pytest.approx(1 + 1.5)


@pytest.mark.parametrize(
    ("running", "joules"), [((OURS,), 4), ((OTHER,), 0), ((), 0), ((OURS, OTHER), None)]
)
def test_without_shares_from_the_driver_a_gpu_is_ours_alone_or_unknown(
    running: tuple[int, ...], joules: float | None
) -> None:
    assert counter_of([[0, 4000]], running=running).read() == joules


@pytest.mark.parametrize(
    ("busy", "joules"), [([(7, 1, 20)], 4), ([(7, 1, 20), (8, 1, 0)], 4), ([], 0)]
)
def test_in_a_container_the_one_process_on_the_gpu_is_ours(busy: Any, joules: float) -> None:
    assert counter_of([[0, 4000]], [None, busy], pid=None).read() == joules


def test_in_a_container_two_processes_cannot_be_told_apart() -> None:
    counter = counter_of([[0, 4000, 6000]], [None, [(7, 1, 9), (8, 1, 9)], [(7, 2, 9)]], pid=None)
    assert counter.read() is None
    assert counter.read() == 2


def test_a_driver_loaded_anew_is_unknown_once() -> None:
    ours = [(OURS, 10, 9)]
    counter = counter_of([[9000, 10_000, 200, 700]], [None, ours, ours, ours])
    assert [counter.read() for _ in range(3)] == [1, None, 1.5]


def assert_one_warning(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert reason in caplog.records[0].fields["reason"]


def test_a_gpu_that_is_lost_is_unknown_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    lost = NVMLError("GPU is lost")
    counter = counter_of([[0, lost, lost]], [None, None])
    assert [counter.read(), counter.read()] == [None, None]
    assert_one_warning(caplog, "GPU is lost")


def test_no_gpu_is_unknown_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    counter = counter_of([])
    assert [counter.read(), counter.read()] == [None, None]
    assert_one_warning(caplog, "no GPU")


def test_no_driver_is_unknown_with_one_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Recording) -> None:
        raise NVMLError("NVML Shared Library Not Found")

    monkeypatch.setattr(Recording, "nvmlInit", fail)
    counter = counter_of([[0]])
    assert [counter.read(), counter.read()] == [None, None]
    assert_one_warning(caplog, "Shared Library")


def test_no_library_is_unknown_with_one_warning(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    counter = NvmlCounter(OURS)
    assert [counter.read(), counter.read()] == [None, None]
    assert_one_warning(caplog, "frugal-rag[gpu]")


def test_energy_is_held_until_the_driver_has_looked() -> None:
    """It looks once in up to a second; reads in between must not lose what was drawn."""
    at = [0.0]
    recording = Recording([[0, 1000, 2000, 4000, 9000]], [None, None, [], [(OURS, 7, 50)], None])
    counter = NvmlCounter(OURS, recording, lambda: at[0])
    found = []
    for at[0] in (0.25, 0.5, 0.75, 1.0):
        found.append(counter.read())
    assert found == [0, 0, 4, 4]


def test_energy_is_not_held_for_longer_than_the_driver_takes_to_look() -> None:
    at = [0.0]
    recording = Recording([[0, 60_000, 60_500]], [None, None, [(OURS, 7, 50)]])
    counter = NvmlCounter(OURS, recording, lambda: at[0])
    at[0] = 600.0  # nobody used it
    assert counter.read() == 0
    at[0] = 600.5
    assert counter.read() == 0.5


def test_a_driver_that_lists_no_processes_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    class NoList(Recording):
        def nvmlDeviceGetComputeRunningProcesses(self, _handle: int) -> Any:  # noqa: N802
            raise NVMLError_NotSupported("Not Supported")

    counter = NvmlCounter(OURS, NoList([[0, 1000, 2000, 3000]]))
    assert counter.read() is None
    assert_one_warning(caplog, "Not Supported")


def test_what_was_drawn_while_a_gpu_was_lost_is_not_ours_later() -> None:
    ours = [(OURS, 10, 9)]
    counter = counter_of([[0, NVMLError("GPU is lost"), 5000, 6000]], [None, ours, ours])
    assert [counter.read() for _ in range(3)] == [None, 0, 1]
