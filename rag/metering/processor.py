"""Watts of one busy CPU of this processor, from its design power; as a range, for it is a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rag.impact import WATTS_PER_BUSY_CPU
from rag.metering.machine import Machine
from rag.types import Interval

# Share of its full power that a server draws when it does nothing [-].
# Source: lowest: Cloud Carbon Footprint, microsite/docs/Methodology.md (commit 1559c18), appendix
# I, GCP, medians of a vCPU: 0.71 W of 4.26 W; highest: Barroso and Hoelzle, "The Case for
# Energy-Proportional Computing", IEEE Computer 40(12), 2007: about half of full power.
IDLE_SHARE: Final = Interval(0.71 / 4.26, 0.5)

# Power of a server for each watt of its processors [-].
# Source: Barroso, Hoelzle, Ranganathan, "The Datacenter as a Computer", 3rd edition, 2019, chapter
# 1, figure "Approximate distribution of peak power usage by hardware subsystem [...] late 2017
# generation servers": CPUs 61 %, DRAM 18 %, storage 2 %, other 4 %.
SERVER_PER_CPU_WATT: Final = (61 + 18 + 2 + 4) / 61


@dataclass(frozen=True, slots=True)
class Processor:
    """A model with its physical cores, hardware threads and thermal design power [W]."""

    cores: int
    threads: int
    tdp_watts: float


# Server processors by the number in their model name.
# Source: Boavizta API, boaviztapi/data/crowdsourcing/cpu_specs.csv (commit 005e975, which quotes
# techpowerup.com), read 2026-11; every design power also stands so in CodeCarbon 3.3.2,
# codecarbon/data/hardware/cpu_power.csv.
PROCESSORS: Final[dict[str, Processor]] = {
    "EPYC 7302": Processor(16, 32, 155),
    "EPYC 7402": Processor(24, 48, 180),
    "EPYC 7452": Processor(32, 64, 155),
    "EPYC 7502": Processor(32, 64, 180),
    "EPYC 7542": Processor(32, 64, 225),
    "EPYC 7702": Processor(64, 128, 200),
    "EPYC 7742": Processor(64, 128, 225),
    "EPYC 7H12": Processor(64, 128, 280),
    "EPYC 7313": Processor(16, 32, 155),
    "EPYC 7443": Processor(24, 48, 200),
    "EPYC 7513": Processor(32, 64, 200),
    "EPYC 7543": Processor(32, 64, 225),
    "EPYC 7643": Processor(48, 96, 225),
    "EPYC 7713": Processor(64, 128, 225),
    "EPYC 7763": Processor(64, 128, 280),
    "EPYC 9124": Processor(16, 32, 200),
    "EPYC 9254": Processor(24, 48, 200),
    "EPYC 9354": Processor(32, 64, 280),
    "EPYC 9454": Processor(48, 96, 290),
    "EPYC 9554": Processor(64, 128, 360),
    "EPYC 9654": Processor(96, 192, 360),
    "Gold 5320": Processor(26, 52, 185),
    "Gold 6154": Processor(18, 36, 200),
    "Gold 6326": Processor(16, 32, 185),
    "Platinum 8180": Processor(28, 56, 205),
    "Platinum 8260": Processor(24, 48, 165),
    "Platinum 8268": Processor(24, 48, 205),
    "Platinum 8270": Processor(26, 52, 205),
    "Platinum 8280": Processor(28, 56, 205),
    "Platinum 8352S": Processor(32, 64, 205),
    "Platinum 8358": Processor(32, 64, 250),
    "Platinum 8360Y": Processor(36, 72, 250),
    "Platinum 8368": Processor(38, 76, 270),
    "Platinum 8380": Processor(40, 80, 270),
    "Platinum 8460Y+": Processor(40, 80, 300),
    "Platinum 8468": Processor(48, 96, 350),
    "Platinum 8470": Processor(52, 104, 350),
    "Platinum 8480+": Processor(56, 112, 350),
    "Platinum 8490H": Processor(60, 120, 350),
    "Silver 4116": Processor(12, 24, 85),
    "Silver 4310": Processor(12, 24, 120),
    "Silver 4314": Processor(16, 32, 135),
    "Silver 4316": Processor(20, 40, 150),
    "Silver 4410Y": Processor(12, 24, 150),
    "Silver 4416+": Processor(20, 40, 165),
}

_MODEL = re.compile(r"\b(EPYC|Platinum|Gold|Silver) (\w+\+?)")


def processor_of(model: str | None) -> Processor | None:
    """Return the processor that the kernel's model name means; None if it is not in the table.

    A trailing P (one socket only) changes neither cores nor design power.
    """
    found = _MODEL.search((model or "").replace("(R)", "").replace("(TM)", ""))
    if found is None:
        return None
    name = f"{found[1]} {found[2]}"
    without_p = name.removesuffix("P") if found[1] == "EPYC" else name
    return PROCESSORS.get(name) or PROCESSORS.get(without_p)


def thread_watts(processor: Processor, *, shared: bool) -> Interval:
    """Return the power of one busy hardware thread [W].

    Low: what work adds to an idle machine, in the processor alone,
    ``(1 - s_idle) * TDP / threads``. High: its share of the whole server with the idle part,
    ``k * TDP / n``; n are the threads where the others are at work too (``shared``: a machine that
    is rented out by thread), and the cores where one busy thread may have a core to itself.
    """
    units = processor.threads if shared else processor.cores
    return Interval(
        (1 - IDLE_SHARE.high) * processor.tdp_watts / processor.threads,
        SERVER_PER_CPU_WATT * processor.tdp_watts / units,
    )


def watts_per_busy_cpu(machine: Machine) -> Interval:
    """Return the power of one busy CPU of a machine [W]; the clouds' range if it is not known."""
    processor = processor_of(machine.model)
    if processor is None:
        return WATTS_PER_BUSY_CPU
    return thread_watts(processor, shared=machine.virtual)
