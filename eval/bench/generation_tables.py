"""The tables of the generation benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.bench.cascade_cuts import Tried
from eval.bench.records import table
from eval.bench.said import Beside, Summary
from eval.statistics import Estimate


def quality_table(found: Mapping[str, Sequence[Summary]]) -> str:
    """Return how right each way is."""
    header = ("set", "way", "answered", "F1, whole answer", "95 %")
    exact = ("F1, exact answer", "95 %", "exact match", "holds the answer", "95 %")
    rows = [_quality(name, each) for name, group in found.items() for each in group]
    return table((*header, *exact), rows)


def _quality(name: str, each: Summary) -> Sequence[str]:
    means = each.means
    return (
        *(name, each.way, f"{means['answered'].mean:.2f}"),
        *_cells(means["f1"]),
        *_cells(means["short_f1"]),
        f"{means['short_exact'].mean:.3f}",
        *_cells(means["holds"]),
    )


def costs_table(found: Mapping[str, Sequence[Summary]]) -> str:
    """Return what each way takes."""
    header = ("set", "way", "CPU s a question", "CPU s an answered question", "95 %")
    model = ("model asked", "of it taken", "prompt tokens", "written tokens")
    rows = [_costs(name, each) for name, group in found.items() for each in group]
    return table((*header, *model), rows)


def _costs(name: str, each: Summary) -> Sequence[str]:
    means = each.means
    return (
        *(name, each.way, f"{means['cpu_seconds'].mean:.3f}"),
        *_cells(each.per_answer),
        f"{means['called'].mean:.2f}",
        "" if each.stood is None else f"{each.stood:.2f}",
        f"{means['prompt_tokens'].mean:.0f}",
        f"{means['completion_tokens'].mean:.0f}",
    )


def beside_table(found: Mapping[str, Sequence[Beside]]) -> str:
    """Return how our ways compare with LlamaIndex at the same questions."""
    header = ("set", "way", "times fewer CPU s an answer", "95 %", "F1, whole answer", "95 %")
    exact = ("F1, exact answer", "95 %", "holds the answer", "95 %")
    rows = [
        (
            *(name, each.way, f"{each.cheaper.mean:.1f}"),
            f"{each.cheaper.low:.1f} to {each.cheaper.high:.1f}",
            *_signed(each.f1),
            *_signed(each.short_f1),
            *_signed(each.holds),
        )
        for name, group in found.items()
        for each in group
    ]
    return table((*header, *exact), rows)


def cuts_text(best: Tried, questions: int) -> str:
    """Return in words which thresholds were chosen."""
    cuts = best.cuts
    return (
        f"Chosen on {questions} questions: extract_from {cuts.extract_from:g}, generate_from "
        f"{cuts.generate_from:g} (F1 {best.f1:.3f}, {best.cpu_seconds:.2f} CPU s a question). "
        "On the others:"
    )


def _cells(estimate: Estimate) -> tuple[str, str]:
    return f"{estimate.mean:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}"


def _signed(estimate: Estimate) -> tuple[str, str]:
    return f"{estimate.mean:+.3f}", f"{estimate.low:+.3f} to {estimate.high:+.3f}"
