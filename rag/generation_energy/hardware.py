"""Accelerators: what they draw, how fast they read, how fast they compute."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rag.errors import ValueRangeError


@dataclass(frozen=True, slots=True)
class Hardware:
    """One accelerator at its rated power; arithmetic is dense 16-bit."""

    name: str
    power_watts: float
    bytes_per_second: float
    flop_per_second: float

    def __post_init__(self) -> None:
        figures = (self.power_watts, self.bytes_per_second, self.flop_per_second)
        if not all(0 < figure < math.inf for figure in figures):
            raise ValueRangeError("hardware", self, "give finite figures above 0")


# Source: NVIDIA V100 data sheet, January 2020, SXM2: 300 W, 900 GB/s, 125 TFLOPS.
V100 = Hardware("V100", 300, 0.900e12, 125e12)
# Source: NVIDIA A100 data sheet, June 2021, 80 GB SXM: 400 W, 2,039 GB/s, 312 TFLOPS.
A100 = Hardware("A100", 400, 2.039e12, 312e12)
# Source: NVIDIA H100 data sheet, 2023, SXM: 700 W, 3.35 TB/s, 1,979 TFLOPS sparse, half that dense.
H100 = Hardware("H100", 700, 3.35e12, 989e12)
# Source: NVIDIA H200 data sheet, 2023, SXM: 700 W, 4.8 TB/s, 1,979 TFLOPS sparse, half that dense.
H200 = Hardware("H200", 700, 4.8e12, 989e12)
# Source: NVIDIA Blackwell Architecture Technical Brief, 2024, HGX B200: 1,000 W, 8 TB/s, 2,250
# TFLOPS without sparsity; later sheets give 7.7 TB/s.
B200 = Hardware("B200", 1000, 8.0e12, 2250e12)

KNOWN = {each.name: each for each in (V100, A100, H100, H200, B200)}
