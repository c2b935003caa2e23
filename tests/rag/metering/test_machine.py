"""What is read from /proc and /sys, on files as kernels write them."""

import os
from pathlib import Path

import pytest

from rag.metering.machine import busy_cpu_seconds, counts_all_work, read_machine

CPU = "processor : {}\nmodel name\t: AMD EPYC 7763 64-Core Processor\nflags\t\t: fpu vme{}\n\n"


def machine_files(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def cpuinfo(flags: str = "") -> dict[str, str]:
    return {"proc/cpuinfo": "".join(CPU.format(i, flags) for i in range(4))}


def test_bare_metal(tmp_path: Path) -> None:
    files = {"proc/1/cgroup": "0::/init.scope\n", "sys/class/dmi/id/sys_vendor": "Dell Inc.\n"}
    machine = read_machine(machine_files(tmp_path, cpuinfo() | files))
    assert machine.model == "AMD EPYC 7763 64-Core Processor"
    assert (machine.cpus, machine.virtual, machine.container) == (4, False, False)


@pytest.mark.parametrize(
    "files",
    [
        cpuinfo(" hypervisor sse"),
        cpuinfo() | {"sys/hypervisor/type": "xen\n"},
        cpuinfo() | {"sys/class/dmi/id/sys_vendor": "QEMU\n"},
        cpuinfo() | {"sys/class/dmi/id/product_name": "Google Compute Engine\n"},
        {"sys/class/dmi/id/sys_vendor": "Amazon EC2", "sys/class/dmi/id/product_name": "m7g.large"},
    ],
)
def test_virtual_machines(tmp_path: Path, files: dict[str, str]) -> None:
    assert read_machine(machine_files(tmp_path, files)).virtual


def test_a_cloud_machine_without_a_hypervisor_is_not_virtual(tmp_path: Path) -> None:
    files = {"sys_vendor": "Amazon EC2\n", "product_name": "m7i.metal-24xl\n"}
    dmi = {f"sys/class/dmi/id/{name}": text for name, text in files.items()}
    assert not read_machine(machine_files(tmp_path, cpuinfo() | dmi)).virtual


@pytest.mark.parametrize(
    "files",
    [
        {".dockerenv": ""},
        {"run/.containerenv": ""},
        {"proc/1/cgroup": "0::/kubepods.slice/kubepods-pod1.slice\n"},
        {"proc/self/cgroup": "12:memory:/docker/0123abcd\n"},
    ],
)
def test_containers(tmp_path: Path, files: dict[str, str]) -> None:
    assert read_machine(machine_files(tmp_path, files)).container


def test_nothing_to_read_is_unknown(tmp_path: Path) -> None:
    machine = read_machine(tmp_path)
    assert machine.model is None
    assert machine.cpus == os.cpu_count()
    assert (machine.virtual, machine.container) == (False, False)
    assert busy_cpu_seconds(tmp_path) is None


def test_this_machine_can_be_read() -> None:
    assert read_machine().cpus >= 1
    busy = busy_cpu_seconds()
    assert busy is None or busy > 0


def test_busy_is_neither_idle_nor_waiting_nor_stolen(tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    machine_files(tmp_path, {"proc/stat": "cpu  1 2 4 1000 500 8 16 300 0 0\ncpu0 9 9 9 9\n"})
    assert busy_cpu_seconds(tmp_path) == pytest.approx(31 / ticks)


@pytest.mark.parametrize("stat", ["", "cpu", "cpu 1 2 3\n", "cpu a b c d e f g\n"])
def test_a_stat_that_cannot_be_read_is_unknown(tmp_path: Path, stat: str) -> None:
    assert busy_cpu_seconds(machine_files(tmp_path, {"proc/stat": stat})) is None


@pytest.mark.parametrize(("pids", "container"), [(4026531836, False), (4026532201, True)])
def test_a_numbering_of_processes_of_its_own_is_a_container_s(
    tmp_path: Path, pids: int, container: bool
) -> None:
    """As pods show it, whose other traces containerd hides: their pids are not the driver's."""
    machine_files(tmp_path, cpuinfo() | {"proc/self/cgroup": "0::/\n"})
    (tmp_path / "proc/self/ns").mkdir()
    (tmp_path / "proc/self/ns/pid").symlink_to(f"pid:[{pids}]")
    assert read_machine(tmp_path).container is container


def test_a_stat_that_lxcfs_made_is_not_the_machine_s(tmp_path: Path) -> None:
    own = "31 28 0:44 / /proc rw - proc proc rw\n"
    made = "32 31 0:50 /proc/stat /proc/stat rw,nosuid - fuse.lxcfs lxcfs rw\n"
    assert counts_all_work(tmp_path)
    assert counts_all_work(machine_files(tmp_path, {"proc/self/mountinfo": own}))
    assert not counts_all_work(machine_files(tmp_path, {"proc/self/mountinfo": own + made}))
