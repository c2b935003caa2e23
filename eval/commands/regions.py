"""``rag-eval regions RECORD``: where the same work would emit least."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.commands.options import add_json, add_results, positive, record_named

if TYPE_CHECKING:
    from eval.records import Record
    from eval.regions import Ranked, Region
    from rag.types import Interval


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("regions", help="rank regions by what a record would emit there")
    parser.add_argument("record", metavar="RECORD", help="its file, or its name in --results")
    add_results(parser)
    parser.add_argument(
        "--intensities",
        type=Path,
        metavar="FILE",
        help="CSV: region, gco2e_per_kwh (default: what the installed packages know)",
    )
    parser.add_argument(
        "--traffic", type=positive, metavar="N", help="questions a day, for emissions a day"
    )
    add_json(parser)
    parser.set_defaults(run=regions_command)


def regions_command(options: argparse.Namespace) -> int:
    """Print the regions, least emissions first."""
    import json
    from dataclasses import asdict

    from eval.regions import ranked, ties

    record = record_named(options.record, options.results)
    found = ranked(record, _regions(options.intensities), options.traffic)
    if options.json:
        told = {"record": record.identity.key, "traffic": options.traffic, "ties": ties(found)}
        print(json.dumps(told | {"regions": [asdict(each) for each in found]}))
    else:
        print(_text(record, found))
    return 0


def _regions(path: Path | None) -> Sequence[Region]:
    """Return the regions of the file, else those that the packages know.

    Raises:
        UsageError: There is neither.
    """
    from eval.regions import Region, read_regions
    from rag.errors import UsageError
    from rag.grid.packaged import read_packaged
    from rag.types import Interval

    if path is not None:
        return read_regions(path)
    mixes = read_packaged().mixes.items()
    if not mixes:
        remedy = "give --intensities FILE, or install the extra: pip install 'frugal-rag[carbon]'"
        raise UsageError("no intensities by region", "no package that knows them", remedy)
    return [
        Region(zone, Interval(value, value), mix.intensity.source, mix.intensity.at)
        for zone, mix in mixes
        for value in (mix.intensity.gco2e_per_kwh,)
    ]


def _text(record: Record, found: Sequence[Ranked]) -> str:
    from eval.layout import text_table
    from eval.regions import ties

    header = ["", "region", "gCO2e/kWh", "gCO2e a question", "gCO2e a grounded answer"]
    if found[0].kilograms_per_day:
        header += ["kgCO2e a day", "kgCO2e a year"]
    rows = [
        [
            *(str(each.rank), each.region.name, _range(each.region.gco2e_per_kwh)),
            *(_range(each.per_question), _range(each.per_grounded_answer)),
            *map(_range, (each.kilograms_per_day, each.kilograms_per_year)),
        ][: len(header)]
        for each in found
    ]
    lines = [text_table(header, rows, (0, *range(2, len(header))))]
    lines += [f"not told apart: {', '.join(names)}" for names in ties(found)]
    machine = record.environment.get("machine") or {}
    lines.append(f"energy as measured on {machine.get('cpu', 'an unknown machine')}, the same in")
    lines.append("all regions; machines and overhead (PUE) may differ, and distance costs time")
    return "\n".join(lines)


def _range(value: Interval | None) -> str:
    if value is None:
        return "-"
    low, high = f"{value.low:.3g}", f"{value.high:.3g}"
    return low if low == high else f"{low} to {high}"
