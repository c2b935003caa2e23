"""Two records of the same questions against each other: what differs, and what may be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from eval.changes import Change, gains, in_both, set_otherwise
from eval.measures import MEASURES, Measure
from eval.noise import noise
from eval.records import Record, Row, as_often
from eval.significance import Chance, holm, mcnemar, swap_test
from eval.statistics import Column, Estimate, set_differences, set_means
from rag.errors import UsageError

Conclusion: TypeAlias = Literal["better", "worse", "no difference shown", "not compared"]
Test: TypeAlias = Literal["exact McNemar", "random swaps", "t of the repeats"]

LEVEL: Final = 0.05


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure of both records; ``difference`` is B less A with its 95 % ``interval``.

    The interval stands for the measure alone; for times and energies it comes from the repeats,
    None where there are none. ``p`` is None where nothing was tested; ``p_holm`` is corrected for
    all measures that were, None where no result could have been significant: those do not count.
    ``why`` explains a verdict that comes from no test. ``over`` counts the questions of a measure
    that is compared only where both have a value. ``changed`` has the largest change first.
    """

    measure: str
    a: Estimate | None
    b: Estimate | None
    difference: float | None
    interval: tuple[float, float] | None
    test: Test | None
    p: float | None
    p_holm: float | None
    verdict: Conclusion
    why: str
    over: int | None
    changed: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two records, measure by measure over the ``pairs`` of rows that both have.

    ``warnings`` say what keeps them from being compared in full; ``settings`` pairs what was set
    otherwise, as (name, in A, in B).
    """

    a: Record
    b: Record
    pairs: tuple[tuple[Row, Row], ...]
    warnings: tuple[str, ...]
    settings: tuple[tuple[str, object, object], ...]
    measures: tuple[Compared, ...]


def compared(a: Record, b: Record, seed: int = 0) -> Comparison:
    """Return how B differs from A; ``seed`` draws the resamples and swaps.

    Questions are the same where id and text are. A measure of 0 and 1 that both have at the same
    questions goes through McNemar's exact test, any other through random swaps, times and energies
    through the t test of the repeats' means; Holm corrects for all of them together. ``paired``
    measures are compared only over the questions where both have a value.

    Raises:
        UsageError: The two have no question in common.
    """
    warnings = tuple(_warnings(a, b))
    a, b = as_often(*_shared(a, b))
    one_machine = a.identity.machine == b.identity.machine
    sides = {
        name: _sides(a, b, measure)
        for name, measure in MEASURES.items()
        if one_machine or not measure.repeats
    }
    known = [name for name in sides if any(v is not None for r in (a, b) for v in r.values(name))]
    theirs, ours = ([sides[name][i] for name in known] for i in range(2))
    differences = set_differences(ours, theirs, seed)
    means = zip(set_means(theirs, seed), set_means(ours, seed), differences, strict=True)
    tested = [
        _tested((a, b), MEASURES[name], estimates, seed)
        for name, estimates in zip(known, means, strict=True)
    ]
    return Comparison(
        a,
        b,
        tuple(zip(a.rows, b.rows, strict=True)),
        warnings,
        set_otherwise(a, b),
        tuple(_corrected(tested)),
    )


def _warnings(a: Record, b: Record) -> list[str]:
    """Return what has to be said before any number is read."""
    said, texts = [], {row.id: row.question for row in a.rows}
    shared = sum(texts.get(row.id) == row.question for row in b.rows)
    if not shared:
        names = f"{a.data.name} and {b.data.name}"
        raise UsageError("no question is in both records", names, "compare runs of one data set")
    if a.identity.data_sha256 != b.identity.data_sha256:
        said.append("the data differ: documents or gold may have changed between the two")
    if shared < max(len(a.rows), len(b.rows)):
        said.append(
            f"compared on the {shared} questions in both, of {len(a.rows)} in A and"
            f" {len(b.rows)} in B"
        )
    if a.identity.machine != b.identity.machine:
        said.append("other machine: times and energies are not compared")
    return said


def _shared(a: Record, b: Record) -> tuple[Record, Record]:
    """Return both with the rows that are in both, in the order of A."""
    place = {(row.id, row.question): i for i, row in enumerate(b.rows)}
    keys = [(row.id, row.question) for row in a.rows]
    here = [i for i, key in enumerate(keys) if key in place]
    return _only(a, here), _only(b, [place[keys[i]] for i in here])


def _only(record: Record, places: Sequence[int]) -> Record:
    repeats = tuple(tuple(costs[i] for i in places) for costs in record.measured.repeats)
    rows = tuple(record.rows[i] for i in places)
    return replace(record, rows=rows, measured=replace(record.measured, repeats=repeats))


def _sides(a: Record, b: Record, measure: Measure) -> tuple[Column, Column]:
    before, after = a.values(measure.name), b.values(measure.name)
    return in_both(before, after) if measure.paired else (before, after)


def _tested(
    records: tuple[Record, Record],
    measure: Measure,
    estimates: tuple[Estimate | None, Estimate | None, Estimate | None],
    seed: int,
) -> Compared:
    a, b, difference = estimates
    before, after = _sides(*records, measure)
    made = Compared(
        measure=measure.name,
        a=a,
        b=b,
        difference=difference.mean if difference else None,
        interval=(difference.low, difference.high) if difference else None,
        test=None,
        p=None,
        p_holm=None,
        verdict="no difference shown",
        why="the same at every question",
        over=a.n if a and measure.paired else None,
        changed=gains(measure, records[0].rows, before, after),
    )
    if difference is None:
        lacking = "A" if b else "B" if a else "both at once"
        return replace(made, verdict="not compared", why=f"no value in {lacking}")
    if not made.changed:
        return made
    if measure.repeats:
        return _by_repeats(made, *(record.repeat_means(measure.name) for record in records))
    test, found = _by_questions(before, after, seed)
    if found is None:
        return made
    # What no result could have made significant, Holm's correction must not count. Source: Tarone
    # 1990, A Modified Bonferroni Method for Discrete Data.
    why = "too little differs for any test to tell" if found.least > LEVEL else ""
    return replace(made, test=test, p=found.p, why=why)


def _by_repeats(made: Compared, a: Sequence[float], b: Sequence[float]) -> Compared:
    """Return what runs say that vary by themselves; that questions differ is not the point."""
    found, difference = noise(a, b), made.difference
    if found is None or difference is None:
        why = "not both were repeated: how much it moves by itself is not known"
        return replace(made, interval=None, verdict="not compared", why=why)
    interval = difference - found.band, difference + found.band
    return replace(made, interval=interval, test="t of the repeats", p=found.p, why="")


def _by_questions(before: Column, after: Column, seed: int) -> tuple[Test, Chance | None]:
    same = [value is None for value in before] == [value is None for value in after]
    if same and {*before, *after} <= {0, 1, None}:
        return "exact McNemar", mcnemar(after, before)
    return "random swaps", swap_test(after, before, seed)


def _corrected(tested: Sequence[Compared]) -> list[Compared]:
    counted = [each for each in tested if each.p is not None and not each.why]
    p_values = holm([each.p for each in counted if each.p is not None])
    by_name = {each.measure: p for each, p in zip(counted, p_values, strict=True)}
    found = [replace(each, p_holm=by_name.get(each.measure)) for each in tested]
    return [replace(each, verdict=_verdict(each)) for each in found]


def _verdict(each: Compared) -> Conclusion:
    if each.p_holm is None or each.p_holm > LEVEL or not each.difference:
        return each.verdict
    higher = MEASURES[each.measure].better == "higher"
    return "better" if (each.difference > 0) == higher else "worse"
