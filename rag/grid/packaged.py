"""Intensity and water by country and cloud region, out of data that comes with public packages.

EcoLogits brings a year's average for each country, with the water of its power plants; CodeCarbon
the cloud regions that Google publishes. Only their data files are read: neither is imported.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag.errors import AssetError
from rag.grid.intensity import GridWater, Intensity
from rag.grid.untrusted import number, parsed_json

# Source: EcoLogits 0.11.3, ElectricityMix: gwp is in kgCO2eq/kWh; ours is in g.
_GRAMS_PER_KILOGRAM = 1000.0
_COUNTRIES = "ecologits/data/electricity_mixes.json"
_REGIONS = "codecarbon/data/cloud/impact.csv"
_WORLD_WATER = "electricity-mix-wue-world"


@dataclass(frozen=True, slots=True)
class Mix:
    """The electricity of one country or cloud region; ``water`` is None where nobody says."""

    zone: str
    intensity: Intensity
    water: GridWater | None


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that a package brings, and the release it is dated by."""

    path: Path
    release: str

    @classmethod
    def of_package(cls, package: str, name: str) -> DataFile | None:
        """Return a file of an installed package, or None; nothing of the package is imported."""
        from importlib.metadata import PackageNotFoundError, distribution

        try:
            found = distribution(package)
        except PackageNotFoundError:
            return None
        path = Path(str(found.locate_file(name)))
        return cls(path, f"{package} {found.version}") if path.is_file() else None


@dataclass(frozen=True, slots=True)
class PackagedGrid:
    """Countries by ISO 3166-1 alpha-3 code (``DEU``), cloud regions as ``gcp/europe-west3``."""

    mixes: Mapping[str, Mix] = field(default_factory=dict)

    def find(self, zone: str | None) -> Mix | None:
        """Return the electricity of a zone; None where the data does not have it."""
        return self.mixes.get(zone) if zone else None

    def zones(self) -> tuple[str, ...]:
        """Return every zone there is data for, sorted."""
        return tuple(sorted(self.mixes))


def read_packaged(
    countries: DataFile | None = None, regions: DataFile | None = None
) -> PackagedGrid:
    """Return what the installed packages know; empty without any.

    Args:
        countries: A file like EcoLogits'; by default that of the installed package.
        regions: A file like CodeCarbon's; by default that of the installed package.

    Raises:
        AssetError: A data file is not what it was.
    """
    countries = countries or DataFile.of_package("ecologits", _COUNTRIES)
    regions = regions or DataFile.of_package("codecarbon", _REGIONS)
    mixes = _read(countries, _countries)
    water = {zone: mix.water for zone, mix in mixes.items()}
    return PackagedGrid(mixes | _read(regions, lambda file: _regions(file, water)))


def _read(file: DataFile | None, rows: Callable[[DataFile], Iterator[Mix]]) -> dict[str, Mix]:
    if file is None:
        return {}
    try:
        return {mix.zone: mix for mix in rows(file)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as exc:
        remedy = "install the release that the lock file names"
        raise AssetError(f"grid data of {file.release} cannot be read", file.path, remedy) from exc


def _countries(file: DataFile) -> Iterator[Mix]:
    content = parsed_json(file.path.read_text(encoding="utf-8"))
    for row in content["electricity_mixes"]:
        zone = str(row["name"])
        grams = number(row["gwp"]) * _GRAMS_PER_KILOGRAM
        of_world = _WORLD_WATER in (row.get("warnings") or ())
        water_source = f"{file.release}, {'the world, for ' if of_world else ''}{zone}"
        yield Mix(
            zone,
            Intensity(grams, "location", f"{file.release}, {zone}, yearly average", file.release),
            GridWater(number(row["wue"]), water_source, file.release),
        )


def _regions(file: DataFile, water: Mapping[str, GridWater | None]) -> Iterator[Mix]:
    with file.path.open(encoding="utf-8-sig", newline="") as lines:
        for row in csv.DictReader(lines):
            zone = f"{row['provider']}/{row['region']}"
            source = f"{file.release}, {zone}, yearly average"
            intensity = Intensity(number(row["impact"]), "location", source, file.release)
            yield Mix(zone, intensity, water.get(row["countryIsoCode"]))
