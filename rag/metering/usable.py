"""How many CPUs this process may use: its affinity and the quotas of its control groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = "sys/fs/cgroup"


def usable_cpus(root: Path = Path("/")) -> float:
    """Return the CPUs that this process may keep busy at once; a quota may allow a fraction.

    Source: Linux Documentation/admin-guide/cgroup-v2.rst, cpu.max: quota and period [us], "max"
    without a quota; a group is limited by those above it too. Version 1: cpu.cfs_quota_us, -1
    without a quota, and cpu.cfs_period_us (Documentation/scheduler/sched-bwc.rst).
    """
    return min((float(_affinity()), *_quotas(root)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            yield from _allowed(root / _GROUPS, group, "cpu.max")
        elif "cpu" in controllers.split(","):
            yield from _allowed(root / _GROUPS / "cpu", group, "cpu.cfs_quota_us")


def _allowed(mount: Path, group: str, name: str) -> Iterator[float]:
    inside = PurePosixPath(group.lstrip("/"))
    for each in (inside, *inside.parents):
        folder = mount / each
        fields = (_text(folder / name) or "").split()
        if name != "cpu.max":
            fields += (_text(folder / "cpu.cfs_period_us") or "").split()
        quota, period = [*fields, "", ""][:2]
        if quota.isdigit() and period.isdigit() and int(quota) and int(period):
            yield int(quota) / int(period)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
