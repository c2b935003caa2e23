"""Energy of the processors and their memory, from the kernel's powercap files (RAPL)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LOG = logging.getLogger(__name__)
_POWERCAP: Final = Path("/sys/class/powercap")
# Source: BIPM, The International System of Units, 9th edition (2019), table 7.
_JOULES_PER_MICROJOULE: Final = 1e-6
# More than one zone ever draws [W].
# Source: the highest design power of a server processor is 500 W (AMD EPYC 9965; codecarbon 3.3.2,
# data/hardware/cpu_power.csv); twice that for short peaks.
MOST_WATTS: Final = 1000.0
# A count may be this much older than the time at which it is read [s].
# Source: Intel, Software Developer's Manual, volume 3B, chapter on power and thermal
# management, MSR_PKG_ENERGY_STATUS: updated every ~1 ms.
_UPDATE_SECONDS: Final = 0.001

# Zones as the kernel numbers them: "intel-rapl:0" a package, "intel-rapl:0:1" a part of it. The
# same package is shown again as "intel-rapl-mmio:0", which must not be counted too.
# Source: Linux, Documentation/power/powercap/powercap.rst (6.12).
_PACKAGE = re.compile(r"intel-rapl:\d+")
_PART = re.compile(r"intel-rapl:\d+:\d+")


@dataclass(slots=True)
class _Zone:
    """One counter: where it is, where it wraps [uJ], what it said last [uJ] and when [s]."""

    path: Path
    range_microjoules: int
    last: int
    at: float


class RaplCounter:
    """Counts packages and their memory; cores and uncore are parts of the package already.

    Several packages are summed. The counters wrap around after minutes of full load, and start
    again at a reset: see `_passed`. Since 2020 only root may read them (CVE-2020-8694): see
    docs/adr/0016-metering.md for the right to give.
    """

    def __init__(self, root: Path = _POWERCAP, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root
        self._clock = clock
        self._zones: list[_Zone] | None = None
        self._joules = 0.0
        self._warned = False
        self.read()

    @property
    def name(self) -> str:
        """What it counts with."""
        return "rapl"

    def read(self) -> float | None:
        """Return the energy of packages and memory since the counter was opened [J]."""
        try:
            passed = self._passed()
        except (OSError, ValueError) as exc:
            self._zones = None
            self._warn(str(exc))
            return None
        if passed is None:
            return None
        self._joules += passed * _JOULES_PER_MICROJOULE
        return self._joules

    def _passed(self) -> int | None:
        """Return what all zones counted since the last call [uJ]; None if it cannot be known."""
        if self._zones is None:
            self._zones = _open(self._root, self._clock)
            return 0
        passed = [_advance(zone, self._clock()) for zone in self._zones]
        return None if None in passed else sum(p for p in passed if p is not None)

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning("energy counter off: rapl", extra={"fields": {"reason": reason}})


def _advance(zone: _Zone, now: float) -> int | None:
    """Return what a zone counted since it was last read [uJ].

    A value below the last one is a wrap-around, ``range - last + value``, if that much can have
    been drawn in the time; else the counter was reset and what passed is unknown. It is unknown too
    after so long that the counter may have gone all the way round.
    """
    value = _integer(zone.path / "energy_uj")
    passed = value - zone.last
    if passed < 0:
        passed += zone.range_microjoules
    most = MOST_WATTS * (now - zone.at + _UPDATE_SECONDS) / _JOULES_PER_MICROJOULE
    zone.last, zone.at = value, now
    return passed if 0 <= passed <= most < zone.range_microjoules else None


def _open(root: Path, clock: Callable[[], float]) -> list[_Zone]:
    """Return the zones to sum, read for the first time.

    Raises:
        OSError: There are none, or they may not be read.
        ValueError: What they hold is no number.
    """
    names = sorted(path.name for path in root.iterdir())
    packages = [n for n in names if _PACKAGE.fullmatch(n) and _label(root / n) != "psys"]
    # psys is the whole platform, packages included; memory stands beside its package.
    memory = [n for n in names if _PART.fullmatch(n) and _label(root / n) == "dram"]
    if not packages:
        raise FileNotFoundError(f"no intel-rapl package in {root}")
    return [_first(root / name, clock()) for name in packages + memory]


def _first(path: Path, now: float) -> _Zone:
    wrap = _integer(path / "max_energy_range_uj")
    return _Zone(path, wrap, _integer(path / "energy_uj"), now)


def _label(path: Path) -> str:
    return (path / "name").read_text(encoding="ascii").strip()


def _integer(path: Path) -> int:
    text = path.read_text(encoding="ascii").strip()
    if not text.isdigit():
        raise ValueError(f"{path} holds no count: {text[:20]!r}")
    return int(text)
