"""RAPL on counter files as the kernel writes them."""

import logging
from pathlib import Path

import pytest

from rag.adapters.rapl import RaplCounter

RANGE = 262_143_328_850  # of a Xeon package
SMALL = 65_712_999_613  # of its memory


class Clock:
    """Tells the time it is set to."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


class Powercap:
    """Counter files below a folder, all as in /sys/class/powercap: flat, one folder a zone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def zone(self, zone: str, name: str, value: object, wrap: int = RANGE) -> None:
        folder = self.root / zone
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{wrap}\n")
        self.set(zone, value)

    def set(self, zone: str, value: object) -> None:
        (self.root / zone / "energy_uj").write_text(f"{value}\n")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path / "powercap")


def advance(powercap: Powercap, clock: Clock, zone: str, value: object, seconds: float) -> None:
    powercap.set(zone, value)
    clock.at += seconds


def test_joules_since_it_was_opened(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", 5_000_000)
    counter = RaplCounter(powercap.root, clock)
    assert counter.read() == 0
    advance(powercap, clock, "intel-rapl:0", 17_500_000, 1)
    assert counter.read() == pytest.approx(12.5)
    advance(powercap, clock, "intel-rapl:0", 18_000_000, 1)
    assert counter.read() == pytest.approx(13)
    assert counter.name == "rapl"


def test_no_joule_is_counted_twice(powercap: Powercap, clock: Clock) -> None:
    zones = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "uncore",
        "intel-rapl:0:2": "dram",
        "intel-rapl:1": "package-1",
        "intel-rapl:1:0": "dram",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
    }
    for zone, name in zones.items():
        powercap.zone(zone, name, 0)
    (powercap.root / "intel-rapl").mkdir()
    counter = RaplCounter(powercap.root, clock)
    for bit, zone in enumerate(zones):
        powercap.set(zone, 1_000_000 * 2**bit)
    clock.at += 10
    assert counter.read() == pytest.approx(1 + 8 + 16 + 32)  # two packages, two memories


def test_a_wrap_around_goes_on_counting(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", RANGE - 3_000_000)
    counter = RaplCounter(powercap.root, clock)
    advance(powercap, clock, "intel-rapl:0", 4_000_000, 1)
    assert counter.read() == pytest.approx(7)
    advance(powercap, clock, "intel-rapl:0", 5_000_000, 1)
    assert counter.read() == pytest.approx(8)


def test_zones_wrap_each_at_its_own_range(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", RANGE - 1_000_000)
    powercap.zone("intel-rapl:0:0", "dram", SMALL - 2_000_000, SMALL)
    counter = RaplCounter(powercap.root, clock)
    powercap.set("intel-rapl:0:0", 0)
    advance(powercap, clock, "intel-rapl:0", 0, 1)
    assert counter.read() == pytest.approx(3)


def test_a_reset_is_unknown_once(
    powercap: Powercap, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    powercap.zone("intel-rapl:0", "package-0", 90_000_000_000)
    counter = RaplCounter(powercap.root, clock)
    advance(powercap, clock, "intel-rapl:0", 90_010_000_000, 1)
    assert counter.read() == pytest.approx(10)
    advance(powercap, clock, "intel-rapl:0", 2_000_000, 1)  # as a wrap: 172 kJ in a second
    assert counter.read() is None
    advance(powercap, clock, "intel-rapl:0", 5_000_000, 1)
    assert counter.read() == pytest.approx(13)
    assert not caplog.records  # it still counts: nothing to warn of


def test_time_enough_to_go_all_the_way_round_is_unknown(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    counter = RaplCounter(powercap.root, clock)
    advance(powercap, clock, "intel-rapl:0", 2_000_000, 3600)
    assert counter.read() is None
    advance(powercap, clock, "intel-rapl:0", 3_000_000, 1)
    assert counter.read() == pytest.approx(1)


def assert_one_warning(caplog: pytest.LogCaptureFixture, reason: str) -> None:
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert reason in caplog.records[0].fields["reason"]


def test_no_counters_is_unknown_with_one_warning(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    counter = RaplCounter(tmp_path / "none", clock)
    assert [counter.read(), counter.read()] == [None, None]
    assert_one_warning(caplog, "none")


def test_an_empty_folder_is_unknown(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert RaplCounter(tmp_path, clock).read() is None  # as containers see it
    assert_one_warning(caplog, "no intel-rapl package")


def test_permission_denied_is_unknown_with_one_warning(
    powercap: Powercap,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1)
    real = Path.read_text

    def only_for_root(path: Path, **how: str) -> str:  # tests may run as root, whom modes let pass
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **how)

    monkeypatch.setattr(Path, "read_text", only_for_root)
    counter = RaplCounter(powercap.root, clock)
    assert [counter.read(), counter.read()] == [None, None]
    assert_one_warning(caplog, "Permission denied")


@pytest.mark.parametrize("garbage", ["", "-5", "12 34", "many", "0x10", "1e9"])
def test_garbage_is_unknown_and_what_comes_after_counts(
    powercap: Powercap, clock: Clock, caplog: pytest.LogCaptureFixture, garbage: str
) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    counter = RaplCounter(powercap.root, clock)
    advance(powercap, clock, "intel-rapl:0", garbage, 1)
    assert [counter.read(), counter.read()] == [None, None]
    advance(powercap, clock, "intel-rapl:0", 9_000_000, 1)
    counter.read()
    advance(powercap, clock, "intel-rapl:0", 11_000_000, 1)
    assert counter.read() == pytest.approx(2)
    assert_one_warning(caplog, "holds no count")


def test_bytes_that_are_no_text_are_unknown(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1)
    counter = RaplCounter(powercap.root, clock)
    (powercap.root / "intel-rapl:0" / "energy_uj").write_bytes(b"\xff\xfe12")
    assert counter.read() is None


def test_a_zone_that_goes_is_unknown(powercap: Powercap, clock: Clock) -> None:
    powercap.zone("intel-rapl:0", "package-0", 1)
    counter = RaplCounter(powercap.root, clock)
    (powercap.root / "intel-rapl:0" / "energy_uj").unlink()
    assert counter.read() is None
    (powercap.root / "intel-rapl:0" / "energy_uj").mkdir()
    assert counter.read() is None


def test_a_count_may_be_a_little_older_than_its_time(powercap: Powercap, clock: Clock) -> None:
    """The counter moves each millisecond: what it adds may have been drawn before the last read."""
    powercap.zone("intel-rapl:0", "package-0", 1_000_000)
    counter = RaplCounter(powercap.root, clock)
    advance(powercap, clock, "intel-rapl:0", 1_400_000, 0)
    assert counter.read() == pytest.approx(0.4)


@pytest.mark.parametrize(("watts", "joules"), [(500, 500), (1100, None)])
def test_as_much_as_the_largest_processor_draws_can_have_been_drawn(
    powercap: Powercap, clock: Clock, watts: int, joules: float | None
) -> None:
    powercap.zone("intel-rapl:0", "package-0", 0)
    counter = RaplCounter(powercap.root, clock)
    advance(powercap, clock, "intel-rapl:0", watts * 1_000_000, 1)
    assert counter.read() == joules
