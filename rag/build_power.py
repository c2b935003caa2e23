"""The composition root of metering: which of the machine's counters can be used here."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from rag.metering.machine import Machine, counts_all_work, read_machine
from rag.metering.power import (
    GPU_PERIOD_SECONDS,
    PERIOD_SECONDS,
    EstimatedPower,
    PowerSampler,
    PowerSource,
    Sources,
)
from rag.metering.processor import watts_per_busy_cpu
from rag.protocols import EnergyCounter


def build_power(root: Path = Path("/")) -> PowerSource:
    """Return what says the watts of a busy CPU: counters where they can be read, else estimates.

    A counter that cannot be read warns once, here, and is left out.
    """
    machine = read_machine(root)
    estimate = watts_per_busy_cpu(machine)
    processors, gpus = _processors(machine, root), _gpus(machine)
    if not processors and not gpus:
        return EstimatedPower(estimate)
    period = GPU_PERIOD_SECONDS if gpus else PERIOD_SECONDS
    return PowerSampler(Sources(machine.cpus, processors, gpus), estimate, period)


def _processors(machine: Machine, root: Path) -> tuple[EnergyCounter, ...]:
    # In a virtual machine the counter would be the host's, and the neighbours' work is not known.
    if machine.virtual or not counts_all_work(root):
        return ()
    from rag.adapters.rapl import RaplCounter

    return _readable(RaplCounter(root / "sys/class/powercap"))


def _gpus(machine: Machine) -> tuple[EnergyCounter, ...]:
    if importlib.util.find_spec("pynvml") is None:
        return ()
    from rag.adapters.nvml import NvmlCounter

    return _readable(NvmlCounter(None if machine.container else os.getpid()))


def _readable(counter: EnergyCounter) -> tuple[EnergyCounter, ...]:
    return () if counter.read() is None else (counter,)
