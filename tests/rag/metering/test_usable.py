"""How many CPUs may be used, by control groups as kernels write them."""

import os
from pathlib import Path

import pytest

from rag.metering.usable import usable_cpus

ALL = float(len(os.sched_getaffinity(0)))
V2 = "sys/fs/cgroup/"
V1 = "sys/fs/cgroup/cpu/"


def files(root: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, ALL),
        ({"proc/self/cgroup": "0::/\n", f"{V2}cpu.max": "max 100000\n"}, ALL),
        ({"proc/self/cgroup": "0::/\n", f"{V2}cpu.max": "50000 100000\n"}, 0.5),
        ({"proc/self/cgroup": "0::/\n", f"{V2}cpu.max": "9900000 100000\n"}, ALL),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                f"{V2}a/b/cpu.max": "75000 100000",
                f"{V2}a/cpu.max": "25000 100000",
            },
            0.25,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/x\n0::/\n",
                f"{V1}x/cpu.cfs_quota_us": "-1\n",
                f"{V1}x/cpu.cfs_period_us": "100000\n",
            },
            ALL,
        ),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/x\n",
                f"{V1}x/cpu.cfs_quota_us": "60000\n",
                f"{V1}x/cpu.cfs_period_us": "100000\n",
            },
            0.6,
        ),
        ({"proc/self/cgroup": "no such line\n0::/\n", f"{V2}cpu.max": "garbage"}, ALL),
        ({"proc/self/cgroup": "0::/\n", f"{V2}cpu.max": "0 0"}, ALL),
    ],
)
def test_the_least_of_affinity_and_quotas(
    tmp_path: Path, texts: dict[str, str], expected: float
) -> None:
    assert usable_cpus(files(tmp_path, texts)) == expected


def test_affinity_limits_it() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cpus() <= 1
    finally:
        os.sched_setaffinity(0, before)
