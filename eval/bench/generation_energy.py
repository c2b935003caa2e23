"""Energy of generations elsewhere: published against modelled, and EcoLogits on the same calls."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.bench.generation_fit import fit
from eval.bench.measurements import Measurement, measurements, modelled
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from rag.generation_energy import serving
from rag.generation_energy.estimate import DEFAULT_SERVING, Tokens, generation_energy
from rag.generation_energy.hardware import H100
from rag.generation_energy.serving import Serving
from rag.impact import JOULES_PER_KWH
from rag.types import Interval

_NO_LIMIT_SECONDS = 1e9  # so that EcoLogits takes its own estimate of the time
# What EcoLogits assumes of every call: one kind of accelerator, 64 requests at once, 16 bits.
# Source: EcoLogits 0.11.3, ecologits/impacts/llm.py.
_ITS_SERVING = Serving((H100,), Interval(64, 64), Interval(16, 16))
_WAYS = {"ours": DEFAULT_SERVING, "told": _ITS_SERVING}
_WHY = (
    "EcoLogits 0.11.3 takes energy and time from the completion tokens alone; its function has no "
    "parameter for the prompt."
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call, and the provider by which EcoLogits knows the model."""

    provider: str
    model: str
    prompt: int
    completion: int


_CALLS = tuple(
    Call(provider, model, prompt, completion)
    for provider, model in (
        ("huggingface_hub", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
        ("huggingface_hub", "meta-llama/Meta-Llama-3.1-70B-Instruct"),
        ("huggingface_hub", "openai/gpt-oss-20b"),
        ("openai", "gpt-4o"),
    )
    for prompt, completion in ((2000, 100), (1000, 100), (8000, 300), (4000, 300))
)


def bench(data: Path, *, quick: bool) -> None:  # noqa: ARG001 -- all benches take the data
    """Print both tables; leave ``generation_energy.json``."""
    origin, rows = provenance(), measurements()
    checks = [checked(row) for row in rows]
    print(check_table(checks))
    print(f"\n{_summary(checks)}\n")
    fitted = fit([row for row in rows if row.part == "calibration"])
    comparison = compared()
    if comparison is None:
        print("EcoLogits cannot be imported: the comparison is left out (ecologits==0.11.*).")
    else:
        _print_comparison(comparison)
    body = {
        "checks": checks,
        "summary": _summary(checks),
        "fitted": {
            kind: {part: _pair(getattr(getattr(fitted, kind), part)) for part in ("byte", "flop")}
            for kind in ("dense", "sparse")
        },
        "assumed": {n: _pair(getattr(serving, n)) for n in ("BATCH", "SERVER", "PUE")},
        "ecologits": comparison,
    }
    write_record("generation_energy", origin | body, CACHE if quick else RESULTS)


def checked(row: Measurement) -> dict[str, Any]:
    """Return a published figure beside the modelled one [J per token]."""
    found = modelled(row)
    return {
        "measurement": row.name,
        "part": row.part,
        "published_joules_per_token": row.joules,
        "modelled_joules_per_token": _pair(found),
        "inside": found.low <= row.joules <= found.high,
        "source": row.source,
        "date": row.date,
    }


def check_table(checks: list[dict[str, Any]]) -> str:
    """Return published against modelled as a Markdown table."""
    header = ("measurement", "part", "J/token", "modelled", "width", "inside")
    return table(header, [_shown(check) for check in checks])


def _shown(check: dict[str, Any]) -> tuple[object, ...]:
    low, high = check["modelled_joules_per_token"]
    inside = "yes" if check["inside"] else "NO"
    published = f"{check['published_joules_per_token']:.3g}"
    name, part = check["measurement"], check["part"]
    return (name, part, published, _range([low, high]), f"{high / low:.1f}x", inside)


def _summary(checks: list[dict[str, Any]]) -> str:
    parts = []
    for part in ("calibration", "check"):
        own = [check["inside"] for check in checks if check["part"] == part]
        parts.append(f"{part}: {sum(own)} of {len(own)} inside")
    return "; ".join(parts)


def compared() -> dict[str, Any] | None:
    """Return both models' energies on the same calls [J]; None without EcoLogits."""
    try:
        tracing = import_module("ecologits.tracers.utils")
    except ImportError:
        return None
    calls = []
    for call in _CALLS:
        asked = {"model": call.model, "prompt": call.prompt, "completion": call.completion}
        joules = {way: _ours(call, served) for way, served in _WAYS.items()}
        joules["ecologits"] = _theirs(tracing, call)
        calls.append(asked | {f"{way}_joules": _pair(found) for way, found in joules.items()})
    return {"version": version("ecologits"), "why": _WHY, "calls": calls, "halved": _halved(calls)}


def _ours(call: Call, served: Serving) -> Interval:
    tokens = Tokens(call.prompt, 0, call.completion)
    found = generation_energy(call.model, tokens, serving=served)
    if found is None:
        raise AssertionError(f"{call.model} is in the packaged list")
    return found


def _theirs(tracing: Any, call: Call) -> Interval:  # noqa: ANN401 -- a library of the comparison
    impacts = tracing.llm_impacts(call.provider, call.model, call.completion, _NO_LIMIT_SECONDS)
    value = impacts.energy.value
    low, high = getattr(value, "min", value), getattr(value, "max", value)
    return Interval(low * JOULES_PER_KWH, high * JOULES_PER_KWH)


def _halved(calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what halving each long prompt saves, at both ends of both ranges [%]."""
    pairs = list(zip(calls[::2], calls[1::2], strict=True))
    return [
        {
            "model": whole["model"],
            "prompt": [whole["prompt"], half["prompt"]],
            "completion": whole["completion"],
        }
        | {
            f"{way}_percent": _saved(whole[f"{way}_joules"], half[f"{way}_joules"])
            for way in (*_WAYS, "ecologits")
        }
        for whole, half in pairs
    ]


def _saved(whole: list[float], half: list[float]) -> list[float]:
    return [round(100 * (1 - b / a), 1) for a, b in zip(whole, half, strict=True)]


def _print_comparison(comparison: dict[str, Any]) -> None:
    calls, halved = comparison["calls"], comparison["halved"]
    ways = ("ours", "ours, H100, batch 64", f"EcoLogits {comparison['version']}")
    header = ("model", "prompt", "completion", *(f"{way} [J]" for way in ways))
    print(table(header, [_told(c) for c in calls]))
    print("\nHalving the prompt saves, at the low and at the high end:\n")
    print(table(("model", "prompt", "completion", *ways), [_told_halved(h) for h in halved]))
    print(f"\n{comparison['why']}")


def _told(call: dict[str, Any]) -> tuple[object, ...]:
    ranges = (_range(call[f"{way}_joules"]) for way in (*_WAYS, "ecologits"))
    return (call["model"], call["prompt"], call["completion"], *ranges)


def _told_halved(pair: dict[str, Any]) -> tuple[object, ...]:
    saved = (_percent(pair[f"{way}_percent"]) for way in (*_WAYS, "ecologits"))
    return (pair["model"], " to ".join(map(str, pair["prompt"])), pair["completion"], *saved)


def _pair(interval: Interval) -> list[float]:
    return [float(f"{end:.4g}") for end in (interval.low, interval.high)]


def _range(pair: list[float]) -> str:
    return f"{pair[0]:.3g} to {pair[1]:.3g}"


def _percent(pair: list[float]) -> str:
    return f"{pair[0]:.0f} % / {pair[1]:.0f} %"
