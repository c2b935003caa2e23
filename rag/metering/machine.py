"""What the kernel says about the machine: processor, virtual or not, busy CPU time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Words by which a hypervisor's firmware names itself.
# Source: systemd, src/basic/virt.c, dmi_vendor_table in detect_vm_dmi_vendor (2025); EC2's own name
# stands on its machines without a hypervisor too.
_HYPERVISORS = (
    "kvm", "qemu", "vmware", "virtualbox", "innotek", "xen", "bochs", "parallels", "bhyve",
    "amazon ec2", "google compute engine", "hyper-v", "virtual machine", "openstack", "apple virt",
)  # fmt: skip
# Source: systemd, src/basic/virt.c, and the container runtimes' own cgroup names (2025).
_CONTAINERS = ("docker", "kubepods", "containerd", "libpod", "lxc", "crio", "garden")
_STAT_FIELDS = 7  # user nice system idle iowait irq softirq
# The numbering of processes that the kernel starts with; a container mostly has one of its own.
# Source: Linux, include/linux/proc_ns.h, PROC_PID_INIT_INO = 0xEFFFFFFC (6.12).
_FIRST_PIDS = f"pid:[{0xEFFFFFFC}]"


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine as the process sees it; ``model`` is None where the kernel does not name one.

    ``cpus`` are the CPUs that the kernel schedules on, also those this process may not use.
    """

    model: str | None
    cpus: int
    virtual: bool
    container: bool


def read_machine(root: Path = Path("/")) -> Machine:
    """Return the machine that ``root`` is the file system of."""
    cpuinfo = _text(root / "proc/cpuinfo") or ""
    names = [line for line in cpuinfo.splitlines() if line.startswith("model name")]
    return Machine(
        model=names[0].partition(":")[2].strip() or None if names else None,
        cpus=len(names) or os.cpu_count() or 1,
        virtual=_is_virtual(root, cpuinfo),
        container=_is_container(root),
    )


def busy_cpu_seconds(root: Path = Path("/")) -> float | None:
    """Return how long the CPUs of the machine have worked since it started, summed [s].

    Stolen time is another machine's work and is left out.
    Source: proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq in clock ticks.
    """
    fields = (_text(root / "proc/stat") or "").partition("\n")[0].split()[1:]
    if len(fields) < _STAT_FIELDS or not all(field.isdecimal() for field in fields):
        return None
    user, nice, system, _, _, irq, softirq = (int(field) for field in fields[:_STAT_FIELDS])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def counts_all_work(root: Path = Path("/")) -> bool:
    """Return whether the busy CPU time is that of the whole machine.

    LXCFS shows a container its own part alone, beside which a counter of the machine would charge
    the neighbours' energy to it.
    Source: LXCFS, README (6.0): /proc/stat and others are mounted over, as fuse.lxcfs.
    """
    mounts = (_text(root / "proc/self/mountinfo") or "").splitlines()
    return not any(" /proc/stat " in line and "lxcfs" in line for line in mounts)


def _is_virtual(root: Path, cpuinfo: str) -> bool:
    flags = (line.split() for line in cpuinfo.splitlines() if line.startswith("flags"))
    if any("hypervisor" in line for line in flags) or _text(root / "sys/hypervisor/type"):
        return True
    dmi = root / "sys/class/dmi/id"
    named = f"{_text(dmi / 'sys_vendor')} {_text(dmi / 'product_name')}".lower()
    # Source: AWS CDK v2, enum InstanceSize (read 2026-11): "metal", "metal-16xl" and the like name
    # EC2's machines without a hypervisor: c5.metal, m7i.metal-24xl.
    return ".metal" not in named and any(word in named for word in _HYPERVISORS)


def _is_container(root: Path) -> bool:
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return True
    if _pids(root) not in {None, _FIRST_PIDS}:
        return True
    groups = f"{_text(root / 'proc/1/cgroup')}{_text(root / 'proc/self/cgroup')}"
    return any(word in groups for word in _CONTAINERS)


def _pids(root: Path) -> str | None:
    try:
        return str((root / "proc/self/ns/pid").readlink())
    except OSError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
