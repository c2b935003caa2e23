"""Cold starts: which ways there are, and what is read of a process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import get_args

import pytest

from eval.bench import coldstart
from eval.bench.coldstart import Result, Start
from rag.settings import Settings


def test_every_tier_of_the_settings_is_measured() -> None:
    known = get_args(Settings.model_fields["tier"].annotation)
    assert {way.settings().tier for way in coldstart.ways()} == set(known)


def test_memory_and_processor_time_are_those_of_the_process() -> None:
    code = "held = bytes(range(256)) * 400_000; sum(range(3_000_000)); input()"
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(len(held))"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        while coldstart._cpu_seconds(process.pid) < 0.05:
            assert process.poll() is None
        while (held := coldstart._memory(process.pid))[1] < 102.4:  # [MB]: ours
            assert process.poll() is None
        resident, private = held
        assert private <= resident < 200
        process.stdin.write(b"\n")


def test_a_row_tells_the_median_of_those_that_found_a_copy() -> None:
    again = [Start(False, 0.5, answer, 0.5, 190.0, 160.0, 195.0, 0.0) for answer in (0.6, 0.7, 0.9)]
    copied = Start(True, 1.0, 1.1, 0.8, 300.0, 200.0, 310.0, 0.0)
    row = coldstart._row(Result("lexical", 5_000, None, (copied, *again)))
    assert row[:7] == ("lexical", 3, "0.50", "0.70", "0.90", "0.50", "1.10")
    assert row[7] == "190"


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="Linux only")  # noqa: PTH110
def test_this_process_has_memory_of_its_own() -> None:
    resident, private = coldstart._memory(os.getpid())
    assert 0 < private <= resident
