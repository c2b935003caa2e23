"""How a generation is served: what a caller is rarely told, and so a range each."""

from __future__ import annotations

from dataclasses import dataclass

from rag.errors import ValueRangeError
from rag.generation_energy.hardware import A100, B200, H100, H200, Hardware
from rag.types import Interval

# Requests served in one step.
# Source: ML.ENERGY leaderboard v3 (December 2025, commit 0ea52b6), lm-arena-chat.json, gpqa.json:
# it starts at 8; beyond 512 dense models of 8B to 70B gain less than a fifth, but mixtures and 405B
# a quarter to over a third. A request that is served alone costs more: set 1.
BATCH = Interval(8, 512)

# Energy of all servers per energy of the accelerators that work.
# Source: low: one H100 run with CodeCarbon, GPU 0.0747, CPU and RAM 0.0070 kWh
# (github.com/JulienDelavande/benchlab, thank_you/runs/llama3_8B, 2025-05-30); high: Elsworth et
# al., Measuring the environmental impact of delivering AI at Google Scale, arXiv 2508.15734 (2025):
# accelerators 58 % of a median prompt, hosts 25 %, idle machines 10 %: (58 + 25 + 10) / 58.
SERVER = Interval(1.09, 1.60)

# Power usage effectiveness.
# Source: low: Google's fleet, 1.09, arXiv 2508.15734 (2025); high: Uptime Institute, Global Data
# Center Survey 2024, mean of the operators' largest data centers, 1.56.
PUE = Interval(1.09, 1.56)

# Key-value cache of a token, over the root of the active parameters [B], 16 bits a number.
# Source: low: DeepSeek-V3 (latent attention), arXiv 2412.19437 (2024), section 4.2: 61 layers of
# 512 + 64 numbers, 37B active; high: Llama 3.1 8B, arXiv 2407.21783 (2024), table 3: 32 layers of
# 2 * 8 * 128. Models of the packaged list that lie outside are named in ADR 14.
CACHE_ROOT = Interval(0.36, 1.47)

# What is really spent over the rated figures, a quarter more on each side: reading bytes and
# computing, in dense models and in mixtures of experts while they decode.
# Source: fitted by eval/bench/generation_fit.py to the rows of eval/bench/measurements.toml
# with part = "calibration" (Llama 3, Qwen3 235B); a test repeats it.
BYTE_EXCESS = Interval(0.74, 2.33)
# Source: the same fit; prompts of every kind of model, and dense models that decode.
FLOP_EXCESS = Interval(0.75, 3.53)
# Source: the same fit.
SPARSE_BYTE_EXCESS = Interval(0.74, 4.24)
# Source: the same fit.
SPARSE_FLOP_EXCESS = Interval(0.75, 14.36)


@dataclass(frozen=True, slots=True)
class Serving:
    """Where and how a model is served; the defaults are a hosted service nothing is known of.

    ``bits`` overrides the model's own, where they are known. For one's own server say what is
    true of it: ``Serving((H100,), batch=Interval(1, 4), pue=Interval(1.0, 1.0))``.
    """

    hardware: tuple[Hardware, ...] = (A100, H100, H200, B200)
    batch: Interval = BATCH
    bits: Interval | None = None
    server: Interval = SERVER
    pue: Interval = PUE

    def __post_init__(self) -> None:
        if not self.hardware:
            raise ValueRangeError("hardware", "none", "name at least one accelerator")
        for name, value in (("batch", self.batch), ("server", self.server), ("pue", self.pue)):
            if value.low < 1:
                raise ValueRangeError(name, value.low, "use 1 or more")
        if self.bits is not None and self.bits.low <= 0:
            raise ValueRangeError("bits", self.bits.low, "use more than 0")
