"""The gate: a record held to a policy and to the baseline, measure by measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from eval.changes import Change, gains, in_both, set_otherwise
from eval.gating.policy import Policy, Rule
from eval.layout import shortened, shown
from eval.measures import MEASURES, Measure
from eval.noise import noise
from eval.records import Record, as_often, same_questions
from eval.statistics import Column, mean_of
from rag.errors import UsageError

Status: TypeAlias = Literal["block", "warn", "pass", "not compared"]

CLOSED: Final = 3  # exit status of a gate that blocks
_NO_NUMBER = "it is not a finite number"
_NAMED = 8  # settings that a warning names
_ROUNDING = 1e-9  # a mean in another order of adding must not look like a loss


@dataclass(frozen=True, slots=True)
class Held:
    """One measure as the policy sees it.

    ``loss`` is how much worse it is than the baseline, negative where it is better; ``allowed`` how
    much it may be, ``noise`` how much it moves by itself: 0 for what is the same in every run. All
    are in the measure's unit, None where there is none. ``questions`` are those to blame, the worst
    first.
    """

    measure: str
    status: Status
    why: str
    value: float | None
    baseline: float | None
    loss: float | None
    allowed: float | None
    noise: float | None
    questions: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """All measures of a policy; ``warnings`` say what is odd about the record itself."""

    candidate: Record
    baseline: Record | None
    measures: tuple[Held, ...]
    warnings: tuple[str, ...]

    @property
    def blocked_by(self) -> tuple[str, ...]:
        """The measures that close the gate."""
        return tuple(held.measure for held in self.measures if held.status == "block")

    @property
    def exit_code(self) -> int:
        """0 where the gate is open."""
        return CLOSED if self.blocked_by else 0


def judged(candidate: Record, baseline: Record | None, policy: Policy) -> Verdict:
    """Return what a policy says of a record; without a baseline only absolute bounds are held.

    A loss counts once it is over what the policy allows and what the measure moves by itself. A
    measure that has lost its value counts as lost; times and energies of another machine, or of
    runs that were not both repeated, are not compared. ``paired`` measures are held to the baseline
    only over the questions where both have a value.

    Raises:
        UsageError: The baseline's data or questions are others.
    """
    if baseline is not None:
        _check_same(candidate, baseline)
        candidate, baseline = as_often(candidate, baseline)
    return Verdict(
        candidate,
        baseline,
        tuple(
            _held(candidate, baseline, MEASURES[name], rule)
            for name, rule in policy.measures.items()
        ),
        tuple(_warnings(candidate, baseline)),
    )


def _check_same(candidate: Record, baseline: Record) -> None:
    if same_questions(candidate, baseline):
        return
    remedy = "run rag-eval run on its data, or store this one: rag-eval baseline RECORD --replace"
    what, mine, other = "the baseline asks other questions", len(candidate.rows), len(baseline.rows)
    said = f"{mine} in the record, {other} in the baseline"
    if candidate.identity.data_sha256 != baseline.identity.data_sha256:
        what = "the baseline is of other data"
        said = f"the record is of {of_data(candidate)}, the baseline of {of_data(baseline)}"
    raise UsageError(what, said, remedy)


def of_data(record: Record) -> str:
    """Return what a record's data set is called, with the beginning of its hash."""
    return f"{record.data.name} ({record.identity.data_sha256[:12]})"


def _warnings(candidate: Record, baseline: Record | None) -> list[str]:
    said, unstable = [], candidate.measured.unstable
    if unstable:
        ids = ", ".join(unstable[:5])
        said.append(f"{len(unstable)} questions got something else when asked again: {ids}")
    if baseline is None:
        said.append("there is no baseline to compare with: only absolute bounds are held")
    elif candidate.system != baseline.system:
        said.append(f"{candidate.system} is held to a baseline of {baseline.system}")
    elif others := set_otherwise(baseline, candidate):
        named = [shortened(f"{name} {was} -> {now}", 80) for name, was, now in others[:_NAMED]]
        more = [f"{len(others) - _NAMED} more"] if len(others) > _NAMED else []
        said.append(f"set otherwise than for the baseline: {', '.join([*named, *more])}")
    return said


@dataclass(frozen=True, slots=True)
class _Sides:
    """One measure of the candidate and of the baseline, question by question.

    ``own`` is the candidate's mean whatever the baseline has.
    """

    measure: Measure
    after: Column
    before: Column
    own: float | None
    noise: float | None
    one_machine: bool

    @property
    def value(self) -> float | None:
        """The candidate's mean over the questions that are compared."""
        return mean_of(self.after)

    @property
    def was(self) -> float | None:
        """The baseline's mean over the same."""
        return mean_of(self.before)

    @property
    def loss(self) -> float | None:
        """How much worse the candidate is."""
        if self.value is None or self.was is None:
            return None
        return self.measure.sign * (self.was - self.value)


@dataclass(frozen=True, slots=True)
class _Finding:
    status: Literal["fail", "pass", "skip"]
    why: str = ""


def _sides(candidate: Record, baseline: Record | None, measure: Measure) -> _Sides:
    name = measure.name
    after: Column = candidate.values(name)
    before: Column = baseline.values(name) if baseline else (None,) * len(after)
    one_machine = baseline is None or candidate.identity.machine == baseline.identity.machine
    band: float | None = None if measure.repeats else 0.0
    if measure.repeats and baseline and one_machine:
        found = noise(candidate.repeat_means(name), baseline.repeat_means(name))
        band = found.band if found else None
    own = mean_of(after)
    if measure.paired and own is not None and mean_of(before) is not None:
        after, before = in_both(after, before)
    return _Sides(measure, after, before, own, band, one_machine)


def _held(candidate: Record, baseline: Record | None, measure: Measure, rule: Rule) -> Held:
    sides = _sides(candidate, baseline, measure)
    allowed = None if sides.was is None else rule.allowed(sides.was)
    bound = _to_bound(sides, rule.bound, bounds_only=baseline is None)
    regression = _to_baseline(sides, allowed) if baseline else None
    findings = [finding for finding in (bound, regression) if finding]
    failed = [finding.why for finding in findings if finding.status == "fail"]
    status: Status = "not compared"
    if failed:
        status = "block" if rule.kind == "hard" else "warn"
    elif any(finding.status == "pass" for finding in findings):
        status = "pass"
    blamed: tuple[Change, ...] = ()
    if regression and regression.status == "fail":
        blamed = _that_lost(sides, candidate)
    elif failed:
        blamed = _over_bound(sides, candidate, rule.bound)
    said = failed or [finding.why for finding in findings if finding.why]
    if measure.paired and baseline and sides.loss is not None:
        both = sum(value is not None for value in sides.before)
        said.append(f"compared at the {both} questions where both have a value")
    why = "; ".join(dict.fromkeys(said))
    return Held(
        measure=measure.name,
        status=status,
        why=why or ("" if findings else "it can only be held to a baseline"),
        value=sides.value,
        baseline=sides.was,
        loss=sides.loss,
        allowed=allowed,
        noise=sides.noise,
        questions=blamed,
    )


def _to_bound(sides: _Sides, bound: float | None, *, bounds_only: bool) -> _Finding | None:
    if bound is None:
        return None
    if sides.own is None:
        # Without a baseline nobody has said that this set has none: what cannot be held fails.
        return _Finding("fail" if bounds_only else "skip", "no question has a value")
    if not math.isfinite(sides.own):
        return _Finding("fail", _NO_NUMBER)
    if sides.measure.sign * (bound - sides.own) > _ROUNDING:
        side = "under" if sides.measure.better == "higher" else "over"
        return _Finding("fail", f"{side} its bound {shown(bound, sides.measure.unit)}")
    return _Finding("pass")


def _to_baseline(sides: _Sides, allowed: float | None) -> _Finding | None:
    if sides.was is None:
        apart = sides.own is not None and sides.value is None
        return _Finding("skip", "no question has both" if apart else "the baseline has no value")
    if sides.loss is None:
        return _Finding("fail", "it has no value any more")
    return None if allowed is None else _lost(sides, sides.loss, allowed)


def _lost(sides: _Sides, loss: float, allowed: float) -> _Finding:
    if not math.isfinite(loss):
        return _Finding("fail", _NO_NUMBER)
    if sides.noise is None:
        reason = "not both runs were repeated" if sides.one_machine else "another machine"
        return _Finding("skip", f"not compared: {reason}")
    if loss > allowed + sides.noise + _ROUNDING:
        return _Finding("fail", "lost more than allowed")
    return _Finding("pass")


def _that_lost(sides: _Sides, candidate: Record) -> tuple[Change, ...]:
    changes = gains(sides.measure, candidate.rows, sides.before, sides.after)
    gone = sides.value is None
    return tuple(change for change in changes if change.gain < 0 or gone)


def _over_bound(sides: _Sides, candidate: Record, bound: float | None) -> tuple[Change, ...]:
    """Return the questions that are on the wrong side of a bound by themselves."""
    if bound is None:
        return ()
    sign = sides.measure.sign
    values = candidate.values(sides.measure.name)
    rows = zip(candidate.rows, sides.before, values, strict=True)
    found = [
        Change(row.id, before, after, sign * (after - bound))
        for row, before, after in rows
        if after is not None and sign * (after - bound) < 0
    ]
    return tuple(sorted(found, key=lambda change: change.gain))
