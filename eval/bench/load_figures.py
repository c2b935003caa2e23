"""What a service did under load, in figures: from outcomes to stretches, and their tables."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from eval.bench.processes import Sample
from eval.bench.records import table
from eval.bench.traffic import Flow
from eval.statistics import percentile

Spread: TypeAlias = tuple[float, float, float]
_REFUSED: Final = frozenset({429, 503})
_STEADY_AFTER: Final = 0.2  # of the time: what memory grows by before is caches that fill


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of traffic: rates [1/s], latencies [ms]: p50, p99 and the highest.

    ``refused`` were told to come again, ``failed`` are faults and responses that never came of
    requests that waited for one; ``unsent`` found no connection free.
    """

    name: str
    offered: float
    answered: float
    refused: float
    failed: int
    unsent: int
    answered_ms: Spread | None
    refused_ms: Spread | None
    cpu_cores: float
    resident_mib: float
    statuses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory [MiB]: medians of the second and the last fifth of the time, and the peak.

    ``slope`` is that of the last four fifths [MiB/h]; ``samples`` are (seconds, MiB), thinned.
    """

    early: float
    late: float
    peak: float
    slope: float
    samples: tuple[tuple[float, float], ...]


def stretch(name: str, flow: Flow, sample: Sample) -> Stretch:
    """Return the figures of a flow; what never was waited for counts as offered only."""
    waited = [one for one in flow.outcomes if one.kind != "leave"]
    answered = [one.seconds for one in waited if one.status == 200]
    refused = [one.seconds for one in waited if one.status in _REFUSED]
    failed = sum(one.status == 0 or one.status >= 500 for one in waited)
    failed -= sum(one.status == 503 for one in waited)
    statuses = Counter(f"{one.kind} {one.status}" for one in flow.outcomes)
    return Stretch(
        name=name,
        offered=(len(flow.outcomes) + flow.unsent) / flow.seconds,
        answered=len(answered) / flow.seconds,
        refused=len(refused) / flow.seconds,
        failed=failed,
        unsent=flow.unsent,
        answered_ms=_spread(answered),
        refused_ms=_spread(refused),
        cpu_cores=sample.cpu_seconds / sample.wall_seconds,
        resident_mib=sample.resident[-1][1],
        statuses=dict(sorted(statuses.items())),
    )


def memory(sample: Sample) -> Memory:
    """Return how memory went over a sample."""
    fifth = max(1, len(sample.resident) // 5)
    steady = sample.resident[fifth:] or sample.resident
    times, sizes = [at for at, _ in steady], [size for _, size in steady]
    slope = statistics.linear_regression(times, sizes).slope if len(set(times)) > 1 else 0.0
    thin = max(1, len(sample.resident) // 100)
    return Memory(
        early=statistics.median(sizes[:fifth]),
        late=statistics.median(sizes[-fifth:]),
        peak=max(size for _, size in sample.resident),
        slope=3600 * slope,
        samples=tuple((round(at, 1), round(size, 1)) for at, size in sample.resident[::thin]),
    )


def _spread(seconds: Sequence[float]) -> Spread | None:
    if not seconds:
        return None
    p50, p99 = (1000 * percentile(seconds, percent) for percent in (50, 99))
    return p50, p99, 1000 * max(seconds)


def stretches_table(named: Sequence[tuple[str, Stretch]]) -> str:
    """Return the stretches of each tier as a Markdown table."""
    header = (
        *("tier", "load", "offered /s", "answered /s", "p50 [ms]", "p99", "highest"),
        *("refused /s", "p50 [ms]", "p99", "failed", "cores", "RSS [MiB]"),
    )
    return table(header, [_row(tier, one) for tier, one in named])


def memory_table(named: Sequence[tuple[str, Memory]]) -> str:
    """Return how memory went in each tier as a Markdown table."""
    header = ("tier", "second fifth [MiB]", "last fifth", "peak", "slope [MiB/h]")
    figures = [(tier, (m.early, m.late, m.peak, m.slope)) for tier, m in named]
    return table(header, [(tier, *(f"{each:.1f}" for each in four)) for tier, four in figures])


def _row(tier: str, one: Stretch) -> tuple[str, ...]:
    answered, refused = one.answered_ms, one.refused_ms
    return (
        tier,
        one.name,
        f"{one.offered:.0f}",
        f"{one.answered:.0f}",
        *(f"{each:.0f}" for each in answered or ()),
        *("none" for _ in range(0 if answered else 3)),
        f"{one.refused:.0f}",
        *(f"{each:.0f}" for each in (refused or ())[:2]),
        *("none" for _ in range(0 if refused else 2)),
        str(one.failed),
        f"{one.cpu_cores:.2f}",
        f"{one.resident_mib:.0f}",
    )
