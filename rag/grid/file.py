"""Intensities out of a local file, JSON or CSV, that its owner keeps."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import SettingsError
from rag.grid.intensity import GridWater, Intensity, Kind
from rag.grid.untrusted import bounded_text, number, parsed_json

_FILE_BYTES = 4_000_000  # bound on work: some 40,000 zones
_KINDS: tuple[Kind, Kind] = ("location", "market")
_REMEDY = (
    "write a JSON list of objects, or CSV with a header: zone, gco2e_per_kwh, and if known kind "
    "(location or market), source, at, litres_per_kwh"
)


@dataclass(frozen=True, slots=True)
class GridFile:
    """What a file says of zones: at most one intensity of each kind for each, and the water."""

    intensities: Mapping[tuple[str, Kind], Intensity]
    water: Mapping[str, GridWater]

    def find(self, zone: str, kind: Kind = "location") -> Intensity | None:
        """Return the intensity of a zone, or None."""
        return self.intensities.get((zone, kind))


def read_grid_file(path: Path) -> GridFile:
    """Return what a file says.

    Raises:
        SettingsError: It cannot be read, is too large, or a row is not what it should be.
    """
    try:
        return _grid(_rows(bounded_text(path, _FILE_BYTES)), path.name)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as exc:
        detail = f"{type(exc).__name__} {exc}"[:200]
        raise SettingsError(
            f"grid_intensity_file {path.name} cannot be used", detail, _REMEDY
        ) from exc


def _rows(text: str) -> Iterator[Mapping[str, Any]]:
    if text.lstrip().startswith("["):
        yield from parsed_json(text)
    else:
        yield from csv.DictReader(io.StringIO(text))


def _grid(rows: Iterator[Mapping[str, Any]], name: str) -> GridFile:
    intensities: dict[tuple[str, Kind], Intensity] = {}
    water: dict[str, GridWater] = {}
    for row in rows:
        zone, kind = str(row["zone"] or "").strip(), _kind(row)
        if not zone or (zone, kind) in intensities:
            raise ValueError(f"zone {zone!r} stands there without a name, or twice")
        source, at = str(row.get("source") or f"{name}, {zone}"), row.get("at")
        at = str(at) if at else None  # JSON may say 2026 as a number
        intensities[zone, kind] = Intensity(number(row["gco2e_per_kwh"]), kind, source, at)
        if row.get("litres_per_kwh") not in (None, ""):
            water[zone] = GridWater(number(row["litres_per_kwh"]), source, at)
    return GridFile(intensities, water)


def _kind(row: Mapping[str, Any]) -> Kind:
    given = row.get("kind") or "location"
    if given not in _KINDS:
        raise ValueError(f"kind {given!r}")
    return "market" if given == "market" else "location"
