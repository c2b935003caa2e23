"""Whether joules are measured here or estimated, and what stands in the way."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rag.doctor import Finding
from rag.metering.machine import counts_all_work, read_machine
from rag.metering.power import PowerSampler, PowerSource
from rag.metering.processor import processor_of

_PACKAGE: Final = re.compile(r"intel-rapl:\d+")
_ESTIMATED: Final = "receipts say estimated, as a range: see docs/adr/0016-metering.md"


def check_meter(build_power: Callable[[], PowerSource], root: Path = Path("/")) -> Finding:
    """Say the basis of receipts' joules, and why it is no better."""
    power = build_power()
    if isinstance(power, PowerSampler):
        return Finding("ok", "measured by the machine's counters")
    why, remedy = _why(root)
    watts = power.now().watts
    machine = read_machine(root)
    model = "its processor's" if processor_of(machine.model) else "the clouds'"
    found = (
        f"estimated from CPU time by {model} power, {watts.low:.1f} to {watts.high:.1f} W: {why}"
    )
    return Finding("warn" if remedy else "ok", found, remedy)


def _why(root: Path) -> tuple[str, str]:
    """Return why nothing is measured, and what to do about it; empty where nothing can be done."""
    machine = read_machine(root)
    if machine.virtual:
        return "a virtual machine, whose host's counters would count the neighbours too", ""
    if not counts_all_work(root):
        return "the container sees its own CPU time only", "do not mount /proc/stat by LXCFS"
    powercap = root / "sys/class/powercap"
    zones = _zones(powercap)
    if not zones:
        return "the kernel shows no RAPL counter", f"modprobe intel_rapl_msr; else {_ESTIMATED}"
    closed = [zone for zone in zones if not os.access(zone / "energy_uj", os.R_OK)]
    if closed:
        path = closed[0] / "energy_uj"
        remedy = "let this user's group read energy_uj: see docs/adr/0016-metering.md"
        return f"{path} may not be read", remedy
    return "the counters give no plausible numbers", f"look at the log; {_ESTIMATED}"


def _zones(powercap: Path) -> list[Path]:
    try:
        names = sorted(path.name for path in powercap.iterdir())
    except OSError:
        return []
    return [powercap / name for name in names if _PACKAGE.fullmatch(name)]
