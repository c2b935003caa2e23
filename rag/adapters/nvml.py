"""This process's part of the GPUs' energy, from NVIDIA's management library (NVML)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

_LOG = logging.getLogger(__name__)
# Source: BIPM, The International System of Units, 9th edition (2019), table 7.
_JOULES_PER_MILLIJOULE: Final = 1e-3
# The driver looks at the processes at least this often [s].
# Source: NVML API reference, nvmlDeviceGetUtilizationRates: "the sample period may be between 1
# second and 1/6 second, depending on the product".
SAMPLE_SECONDS: Final = 1.0


class _DriverError(Exception):
    """The library is not there, or the driver did not answer."""


@dataclass(slots=True)
class _Gpu:
    """One device: its handle, what its counter said last [mJ], the last sample seen [us].

    ``held`` is what it drew [mJ] since ``at`` [s], when it was last known who used it.
    """

    handle: Any
    last: int
    at: float
    seen: int = 0
    held: int = 0


class NvmlCounter:
    """Counts what the GPUs drew for this process, idle power included while it uses them.

    A GPU's energy between two reads is shared among the processes by how busy each kept its
    multiprocessors. Where the driver does not say that, it is ours if no other process is on the
    GPU, and unknown if there is one. While nobody uses a GPU its energy is no request's. The driver
    looks at the processes less often than this may read: until it has, the energy is held.

    Source: NVML API reference, nvmlDeviceGetTotalEnergyConsumption (millijoules since the driver
    was loaded, from Volta on) and nvmlDeviceGetProcessUtilization (from Maxwell on).
    """

    def __init__(
        self,
        pid: int | None,
        library: ModuleType | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the counter.

        Args:
            pid: This process as the driver numbers it; None in a container, whose numbers are not
                the driver's: then a GPU is ours while one process alone uses it.
            library: ``pynvml``, or what stands in for it; None loads it.
            clock: Tells the time [s].
        """
        self._clock = clock
        self._library = library
        self._pid = pid
        self._gpus: list[_Gpu] | None = None
        self._joules = 0.0
        self._warned = False
        self.read()

    @property
    def name(self) -> str:
        """What it counts with."""
        return "nvml"

    def read(self) -> float | None:
        """Return this process's energy on all GPUs since the counter was opened [J]."""
        try:
            passed = self._passed()
        except _DriverError as exc:
            self._gpus = None
            self._warn(str(exc))
            return None
        if passed is None:
            return None
        self._joules += passed * _JOULES_PER_MILLIJOULE
        return self._joules

    def _passed(self) -> float | None:
        """Return what was drawn for us since the last call [mJ]; None if it cannot be known."""
        library = self._library = self._library or _load()
        try:
            if self._gpus is None:
                self._gpus = _open(library, self._clock())
                # Samples of the time before are looked at once, so that they are not ours later.
                _ = [self._samples(gpu) for gpu in self._gpus]
                return 0.0
            parts = [self._part(gpu) for gpu in self._gpus]
        except library.NVMLError as exc:
            raise _DriverError(str(exc)) from exc
        return None if None in parts else sum(part for part in parts if part is not None)

    def _part(self, gpu: _Gpu) -> float | None:
        value = self._nvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle)
        passed, gpu.last = value - gpu.last, value
        samples = self._samples(gpu)
        now, gpu.held = self._clock(), gpu.held + passed
        if samples == [] and passed >= 0 and now - gpu.at < SAMPLE_SECONDS:
            return 0.0
        held, gpu.held, gpu.at = gpu.held, 0, now
        share = self._share(gpu, samples)
        # Below the last value the driver was loaded anew: what passed is unknown.
        return None if share is None or passed < 0 else held * share

    def _samples(self, gpu: _Gpu) -> list[Any] | None:
        """Return how busy processes kept a GPU since the last call; None if no driver says it."""
        library = self._nvml
        try:
            samples = list(library.nvmlDeviceGetProcessUtilization(gpu.handle, gpu.seen))
        except library.NVMLError_NotFound:
            return []
        except library.NVMLError_NotSupported:
            return None
        gpu.seen = max((sample.timeStamp for sample in samples), default=gpu.seen)
        return samples

    def _share(self, gpu: _Gpu, samples: list[Any] | None) -> float | None:
        """Return our share of a GPU's work; None if it cannot be known."""
        if samples is None:
            running = self._nvml.nvmlDeviceGetComputeRunningProcesses(gpu.handle)
            return self._alone({process.pid for process in running})
        busy = [sample for sample in samples if sample.smUtil]
        if self._pid is None:
            return self._alone({sample.pid for sample in busy})
        ours = sum(sample.smUtil for sample in busy if sample.pid == self._pid)
        return ours / sum(sample.smUtil for sample in busy) if ours else 0.0

    def _alone(self, pids: Iterable[int]) -> float | None:
        """Return 1 if the only process is ours, 0 if ours is not there, None if both are."""
        others = {pid for pid in pids if pid != self._pid}
        if self._pid is None:
            return float(bool(others)) if len(others) < 2 else None
        if self._pid not in set(pids):
            return 0.0
        return None if others else 1.0

    @property
    def _nvml(self) -> Any:  # noqa: ANN401 -- a module without types
        return self._library

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning("energy counter off: nvml", extra={"fields": {"reason": reason}})


def _load() -> ModuleType:
    try:
        import pynvml
    except ImportError as exc:
        raise _DriverError(f"{exc}; install frugal-rag[gpu]") from exc
    library: ModuleType = pynvml
    return library


def _open(library: ModuleType, now: float) -> list[_Gpu]:
    library.nvmlInit()
    handles = map(library.nvmlDeviceGetHandleByIndex, range(library.nvmlDeviceGetCount()))
    gpus = [_Gpu(h, library.nvmlDeviceGetTotalEnergyConsumption(h), now) for h in handles]
    if not gpus:
        raise _DriverError("no GPU")
    return gpus
