"""From the kernel's name of a processor to watts of a busy CPU."""

import pytest

from rag.impact import WATTS_PER_BUSY_CPU
from rag.metering.machine import Machine
from rag.metering.processor import PROCESSORS, processor_of, thread_watts, watts_per_busy_cpu


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("AMD EPYC 7763 64-Core Processor", "EPYC 7763"),
        ("AMD EPYC 9654P 96-Core Processor", "EPYC 9654"),
        ("Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", "Platinum 8380"),
        ("Intel(R) Xeon(R) Platinum 8480+", "Platinum 8480+"),
        ("INTEL(R) XEON(R) PLATINUM 8480+", None),
        ("Intel(R) Xeon(R) Gold 6326 CPU @ 2.90GHz", "Gold 6326"),
        ("Intel(R) Xeon(R) Platinum 8380H", None),  # another processor
        ("Intel(R) Xeon(R) Platinum 8358P CPU @ 2.60GHz", None),  # of less design power
        ("Intel(R) Xeon(R) Processor", None),
        ("", None),
        (None, None),
    ],
)
def test_names(model: str | None, name: str | None) -> None:
    assert processor_of(model) == (PROCESSORS[name] if name else None)


def test_an_unknown_processor_has_the_clouds_range() -> None:
    assert watts_per_busy_cpu(Machine("Intel(R) Xeon(R)", 2, True, False)) == WATTS_PER_BUSY_CPU
    assert watts_per_busy_cpu(Machine(None, 2, False, False)) == WATTS_PER_BUSY_CPU


def test_a_thread_of_a_shared_machine_by_hand() -> None:
    watts = watts_per_busy_cpu(Machine("AMD EPYC 7763 64-Core Processor", 4, True, True))
    assert watts.low == pytest.approx(0.5 * 280 / 128)
    assert watts.high == pytest.approx(85 / 61 * 280 / 128)


def test_a_busy_thread_may_have_a_core_to_itself_where_the_machine_is_ours() -> None:
    processor = PROCESSORS["EPYC 7763"]
    own, rented = thread_watts(processor, shared=False), thread_watts(processor, shared=True)
    assert own.low == rented.low
    assert own.high == pytest.approx(2 * rented.high)


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_table_is_plausible(name: str) -> None:
    processor = PROCESSORS[name]
    assert processor.threads == 2 * processor.cores
    assert 1 < processor.tdp_watts / processor.threads < 8
    watts = thread_watts(processor, shared=True)
    # Every server's range meets the clouds' averages, or lies below: averages are of older fleets.
    assert watts.low < WATTS_PER_BUSY_CPU.high
