"""A simulated week: jobs that wait for a green hour against jobs at the best fixed hour.

One job is asked for each hour of the week, to be done by its deadline. What a start is worth is
counted in the intensities that came, not in those that were forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from eval.bench.grids import BEGINS, HOUR, SHAPES, WEEK_HOURS, Grid, simulated
from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from rag.errors import BackendError
from rag.grid.forecast import Forecast, Job, best_start
from rag.grid.waiting import Clock, Wish, wait_for_green

# Source: our choice: an hour within a working day or half a day, and the longest of nightly runs.
WISHES: Final = (Wish(HOUR, 6 * HOUR), Wish(HOUR, 12 * HOUR), Wish(3 * HOUR, 24 * HOUR))
SEEDS: Final = (1, 2, 3, 4, 5)  # five weeks of each grid
WORSE: Final = (1.0, 2.0)  # times the errors that published forecasts have
OUTAGE_SHARE: Final = 0.3  # of readings that fail: worse than a service that is kept up
_TOLERANCE_SECONDS = 1.0  # of the clock


@dataclass(frozen=True, slots=True)
class Outcome:
    """A policy over a week: mean intensity of its jobs [gCO2e/kWh], and deadlines missed."""

    gco2e_per_kwh: float
    missed: int


@dataclass(frozen=True, slots=True)
class Week:
    """What the policies came to on one grid; shares are of starting at once.

    ``fixed_hour`` is the hour of the day that is the best in hindsight for all jobs of the week.
    ``broken`` is the green start where a share of all readings of the forecast fail, ``perfect``
    that of who knows what comes.
    """

    grid: str
    error_times: float
    duration_hours: float
    deadline_hours: float
    seed: int
    jobs: int
    at_once: float
    fixed_hour: int
    fixed_saved: float
    green_saved: float
    broken_saved: float
    perfect_saved: float
    missed: int
    broken_missed: int


def bench(_data: Path, *, quick: bool) -> None:
    """Simulate the weeks, print the table and write the record; no data are needed."""
    origin = provenance()
    weeks = run(SEEDS[:1] if quick else SEEDS)
    print(shown(weeks))
    body = {
        "what": __doc__,
        "shapes": [asdict(shape) for shape in SHAPES],
        "outage_share": OUTAGE_SHARE,
        "weeks": [asdict(week) for week in weeks],
    }
    write_record("green", origin | body, CACHE if quick else RESULTS)


def run(seeds: Sequence[int]) -> list[Week]:
    """Return all weeks: each grid with each size of errors and each kind of job, seed by seed."""
    return [
        week(simulated(shape, seed, worse), wish, seed, worse)
        for shape in SHAPES
        for worse in WORSE
        for wish in WISHES
        for seed in seeds
    ]


def week(grid: Grid, wish: Wish, seed: int, worse: float) -> Week:
    """Return what the policies come to for one kind of job on one grid."""
    truth = grid.truth
    asked = [BEGINS + hour * HOUR for hour in range(WEEK_HOURS)]
    random = np.random.default_rng(seed)

    def over(start: Callable[[float], float]) -> Outcome:
        return outcome(truth, wish, [(moment, start(moment)) for moment in asked])

    once = over(lambda moment: moment).gco2e_per_kwh
    fixed = [over(partial(fixed_start, wish, hour)).gco2e_per_kwh for hour in range(24)]
    green = over(partial(green_start, grid, wish, lambda: True))
    broken = over(partial(green_start, grid, wish, lambda: random.random() >= OUTAGE_SHARE))
    perfect = over(partial(perfect_start, truth, wish)).gco2e_per_kwh

    def saved(mean: float) -> float:
        return round(1 - mean / once, 6)

    return Week(
        grid.name,
        worse,
        wish.duration_seconds / HOUR,
        wish.deadline_seconds / HOUR,
        seed,
        len(asked),
        round(once, 3),
        fixed.index(min(fixed)),
        saved(min(fixed)),
        saved(green.gco2e_per_kwh),
        saved(broken.gco2e_per_kwh),
        saved(perfect),
        green.missed,
        broken.missed,
    )


def outcome(truth: Forecast, wish: Wish, starts: Sequence[tuple[float, float]]) -> Outcome:
    """Return what starts came to; each is (when asked for, when started) [POSIX s]."""
    means = [truth.mean(start, start + wish.duration_seconds) for _, start in starts]
    limit = wish.deadline_seconds - wish.duration_seconds + _TOLERANCE_SECONDS
    missed = sum(start - asked > limit for asked, start in starts)
    return Outcome(float(np.mean(means)), missed)


def fixed_start(wish: Wish, hour: int, asked: float) -> float:
    """Return the next time that it is so many o'clock, or at once where that is too late."""
    wait = (hour - (asked - BEGINS) / HOUR) % 24 * HOUR
    return asked + wait if wait + wish.duration_seconds <= wish.deadline_seconds else asked


def perfect_start(truth: Forecast, wish: Wish, asked: float) -> float:
    """Return the best start there is, which nobody can know."""
    job = Job(asked, wish.duration_seconds, asked + wish.deadline_seconds)
    return best_start(job, truth).at


def green_start(grid: Grid, wish: Wish, is_up: Callable[[], bool], asked: float) -> float:
    """Return when a job starts that waits by the forecasts as they are issued."""
    hands = _Hands(asked)
    source = _Issued(grid, hands, is_up)
    clock = Clock(lambda: hands.at, hands.sleep)
    return wait_for_green(wish, source, lambda _: None, clock).started


@dataclass(slots=True)
class _Hands:
    at: float

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass(frozen=True, slots=True)
class _Issued:
    grid: Grid
    hands: _Hands
    is_up: Callable[[], bool]

    def forecast(self) -> Forecast:
        if not self.is_up():
            raise BackendError("forecast", "simulated outage", "try later")
        return self.grid.issued(self.hands.at)


def shown(weeks: Sequence[Week]) -> str:
    """Return the table: means over the seeds."""
    header = (
        *("grid", "errors, times", "job [h]", "deadline [h]", "at once [gCO2e/kWh]"),
        *("best fixed hour saves", "green start saves", "least over fixed"),
        *("with outages", "perfect", "missed"),
    )
    kinds = dict.fromkeys(_kind(week) for week in weeks)
    return table(header, [_line([w for w in weeks if _kind(w) == kind]) for kind in kinds])


def _kind(week: Week) -> tuple[str, float, float, float]:
    return week.grid, week.error_times, week.duration_hours, week.deadline_hours


def _line(weeks: Sequence[Week]) -> tuple[object, ...]:
    def mean(name: str) -> float:
        return float(np.mean([getattr(week, name) for week in weeks]))

    grid, error, duration, deadline = _kind(weeks[0])
    return (
        *(grid, f"{error:g}", f"{duration:g}", f"{deadline:g}", f"{mean('at_once'):.0f}"),
        *(f"{mean('fixed_saved'):.1%}", f"{mean('green_saved'):.1%}"),
        f"{min(week.green_saved - week.fixed_saved for week in weeks):+.1%}",
        *(f"{mean('broken_saved'):.1%}", f"{mean('perfect_saved'):.1%}"),
        sum(week.missed + week.broken_missed for week in weeks),
    )
