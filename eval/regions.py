"""Where to run: the regions in order of what a record's energy would emit there."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.records import Record
from eval.summary import per_grounded_answer, per_question
from rag.errors import LoadError, UsageError, ValueRangeError
from rag.impact import GRAMS_PER_KILOGRAM, JOULES_PER_KWH
from rag.types import Interval

_REMEDY = (
    "write CSV with a header: region (or zone), gco2e_per_kwh (or low and high), and if known "
    "source and at"
)


@dataclass(frozen=True, slots=True)
class Region:
    """A place with its grid's intensity [gCO2e/kWh], who says so, and as of when."""

    name: str
    gco2e_per_kwh: Interval
    source: str
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A region's place in the order, and what running there emits.

    ``rank`` is 1 more than the number of regions that surely emit less: regions that share one
    overlap. Of three in a chain the last may overlap the one before it and still stand behind.
    [gCO2e], ``per_day`` and ``per_year`` [kgCO2e] for the traffic, None without.
    ``per_grounded_answer`` is None where no answer is grounded.
    """

    rank: int
    region: Region
    per_question: Interval
    per_grounded_answer: Interval | None
    kilograms_per_day: Interval | None
    kilograms_per_year: Interval | None


def ranked(
    record: Record, regions: Sequence[Region], questions_per_day: float | None = None
) -> tuple[Ranked, ...]:
    """Return the regions, least emissions first, ties by name.

    The same machine and overhead are assumed everywhere, so that only the grid differs: the
    uncertainty of the energy is common to all and makes no tie.

    Raises:
        UsageError: The record's energy is unknown, or there is no region.
    """
    spent, grounded = per_question(record), per_grounded_answer(record)
    if spent is None or spent.joules is None:
        remedy = "name a record whose questions all have an energy"
        raise UsageError("energy of a question is unknown", record.identity.key, remedy)
    if not regions:
        raise UsageError("no regions to rank", record.identity.key, _REMEDY)
    found = [
        Ranked(
            1 + sum(_surely_less(other, region) for other in regions),
            region,
            emissions(spent.joules, region),
            emissions(grounded.joules, region) if grounded and grounded.joules else None,
            *_of_traffic(emissions(spent.joules, region), questions_per_day),
        )
        for region in regions
    ]
    return tuple(
        sorted(found, key=lambda each: (each.rank, _middle(each.region), each.region.name))
    )


def emissions(joules: Interval, region: Region) -> Interval:
    """Return what an energy [J] emits in a region [gCO2e]: ``E / 3.6e6 * I``.

    Source: Green Software Foundation, SCI specification (ISO/IEC 21031:2024), ``O = E * I``.
    """
    low, high = region.gco2e_per_kwh.low, region.gco2e_per_kwh.high
    return Interval(joules.low / JOULES_PER_KWH * low, joules.high / JOULES_PER_KWH * high)


def ties(found: Sequence[Ranked]) -> tuple[tuple[str, ...], ...]:
    """Return the names of the regions that share a rank."""
    by_rank: dict[int, list[str]] = {}
    for each in found:
        by_rank.setdefault(each.rank, []).append(each.region.name)
    return tuple(tuple(names) for names in by_rank.values() if len(names) > 1)


def read_regions(path: Path) -> tuple[Region, ...]:
    """Return the regions of a CSV file.

    Raises:
        UsageError: There is no such file.
        LoadError: It is not such a table.
    """
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
        found = tuple(_region(row, path.name) for row in rows if row.get("kind") != "market")
    except (FileNotFoundError, IsADirectoryError) as exc:
        raise UsageError("no such table of regions", path, _REMEDY) from exc
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as exc:
        raise LoadError("not a table of regions", f"{path} ({_said(exc)})", _REMEDY) from exc
    names = [region.name for region in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None or not found:
        what = f"{twice} stands there twice" if found else "no rows"
        raise LoadError("not a table of regions", f"{path} ({what})", _REMEDY)
    return found


def _region(row: Mapping[str, str | None], file: str) -> Region:
    name = (row.get("region") or row.get("zone") or "").strip()
    if not name:
        raise ValueError("a row without a region")
    value = row.get("gco2e_per_kwh")
    low, high = (value, value) if value else (row["low"], row["high"])
    bounds = float(low or "nan"), float(high or "nan")
    if not all(map(math.isfinite, bounds)):
        raise ValueError(f"no intensity of {name}")
    return Region(name, Interval(*bounds), row.get("source") or file, row.get("at") or None)


def _said(exc: Exception) -> str:
    if isinstance(exc, KeyError):
        return f"no column {exc}"
    return f"{exc.what} {exc.value}" if isinstance(exc, ValueRangeError) else str(exc)


def _surely_less(a: Region, b: Region) -> bool:
    return a.gco2e_per_kwh.high < b.gco2e_per_kwh.low


def _middle(region: Region) -> float:
    return (region.gco2e_per_kwh.low + region.gco2e_per_kwh.high) / 2


def _of_traffic(grams: Interval, questions_per_day: float | None) -> Iterator[Interval | None]:
    for days in (1.0, 365.0):
        factor = None if questions_per_day is None else questions_per_day * days
        yield None if factor is None else grams * Interval(*[factor / GRAMS_PER_KILOGRAM] * 2)
