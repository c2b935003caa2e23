"""The energy of one generation, one equation a function; every quantity in SI units.

A prompt token costs arithmetic. A completion token costs a pass over the weights, shared by the
requests of the batch, a pass over its own context's cache, and arithmetic.
"""

from __future__ import annotations

import math

# Arithmetic of one token per active parameter [FLOP]: a multiplication and an addition.
# Source: Kaplan et al., Scaling Laws for Neural Language Models, arXiv 2001.08361 (2020), section
# 2.1: C_forward = 2 N + 2 n_layer n_ctx d_model, of which this is the first part.
FLOP_PER_PARAMETER = 2.0

# Arithmetic of one token with one token of its context, over N^(2/3) [FLOP]: 4 * layers * width,
# and layers * width = 0.037 N^(2/3): 0.033 for 8B, 0.038 for 70B and for 405B.
# Source: Chowdhery et al., PaLM, arXiv 2204.02311 (2022), appendix B: 12 L H Q T a token forward
# and backward, so 4 forward (Kaplan's 2 n_layer n_ctx d_model sees half of n_ctx, on average);
# Llama 3 Herd of Models, arXiv 2407.21783 (2024), table 3: 32 x 4096, 80 x 8192, 126 x 16384.
FLOP_PER_PAIR = 4 * 0.037


def joules_per_byte(power_watts: float, bytes_per_second: float) -> float:
    """Return the energy of reading one byte of accelerator memory [J/B]: ``P / bandwidth``."""
    return power_watts / bytes_per_second


def joules_per_flop(power_watts: float, flop_per_second: float) -> float:
    """Return the energy of one operation at full load [J/FLOP]: ``P / throughput``."""
    return power_watts / flop_per_second


def weight_bytes(parameters: float, bits: float) -> float:
    """Return the memory of ``parameters`` weights of ``bits`` each [B]: ``N * b / 8``."""
    return parameters * bits / 8


def touched_parameters(total: float, active: float, batch: float) -> float:
    """Return the parameters that a step of ``batch`` tokens reads: ``N (1 - (1 - a/N)^B)``.

    A dense model reads all. Of a mixture of experts a token reads its active share, and a batch
    the union of its tokens' experts, each chosen by chance.

    Args:
        total: All parameters of the model.
        active: Those that one token uses.
        batch: Requests that are served in one step.
    """
    if active >= total:
        return total
    return -total * math.expm1(batch * math.log1p(-active / total))


def cache_bytes(active: float, root: float) -> float:
    """Return the key-value cache of one token [B]: ``c * sqrt(N)``.

    Args:
        active: Active parameters of the model.
        root: Bytes per square root of a parameter [B].
    """
    return root * math.sqrt(active)


def token_flop(active: float, tokens: float) -> float:
    """Return the arithmetic of ``tokens`` tokens with the weights [FLOP]: ``2 N t``."""
    return FLOP_PER_PARAMETER * active * tokens


def attention_flop(active: float, tokens: float, context: float) -> float:
    """Return the arithmetic of tokens with ``context`` tokens each before them [FLOP]."""
    return float(FLOP_PER_PAIR * active ** (2 / 3) * tokens * context)


def prefill_flop(active: float, fresh: float, cached: float) -> float:
    """Return the arithmetic of a prompt [FLOP]; cached tokens are looked at, not computed.

    Args:
        active: Active parameters of the model.
        fresh: Prompt tokens that are computed; each sees half of them, on average.
        cached: Prompt tokens whose cache was kept.
    """
    return token_flop(active, fresh) + attention_flop(active, fresh, cached + fresh / 2)


def decode_flop(active: float, completion: float, prompt: float) -> float:
    """Return the arithmetic of ``completion`` tokens after a prompt [FLOP]."""
    context = prompt + completion / 2
    return token_flop(active, completion) + attention_flop(active, completion, context)


def weight_reads(completion: float, step_bytes: float, batch: float) -> float:
    """Return one request's share of the weights read for its completion [B]: ``t W / B``."""
    return completion * step_bytes / batch


def context_reads(completion: float, prompt: float, token_bytes: float) -> float:
    """Return the cache read for a completion [B]: ``t * (p + t/2) * k``.

    Args:
        completion: Completion tokens ``t``; each sees half of them, on average.
        prompt: Prompt tokens ``p``, cached or not.
        token_bytes: Cache of one token ``k`` [B].
    """
    return completion * (prompt + completion / 2) * token_bytes


def facility_energy(joules: float, server: float, pue: float) -> float:
    """Return what the building draws [J]: ``E * s * PUE``.

    Args:
        joules: Energy of the accelerators [J].
        server: Energy of the servers, idle ones too, per energy of the accelerators, >= 1 [-].
        pue: Power usage effectiveness, >= 1 [-].
    """
    return joules * server * pue
