import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from rag.errors import AssetError
from rag.grid.packaged import DataFile, PackagedGrid, read_packaged


def installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


@pytest.fixture
def countries(tmp_path: Path) -> DataFile:
    rows = [
        {"name": "AAA", "gwp": 0.1, "wue": 2.5, "warnings": ["electricity-mix-of-2020"]},
        {"name": "BBB", "gwp": 0.7125, "wue": 3.0, "warnings": ["electricity-mix-wue-world"]},
        {"name": "CCD", "gwp": 0.1, "wue": 1.0, "warnings": None},
    ]
    path = tmp_path / "mixes.json"
    path.write_text(json.dumps({"electricity_mixes": rows}))
    return DataFile(path, "a package 1.2.3")


@pytest.fixture
def regions(tmp_path: Path) -> DataFile:
    path = tmp_path / "impact.csv"
    lines = "provider,region,countryIsoCode,impact\nbig,north1,AAA,42\nbig,south1,ZZZ,600\n"
    path.write_text("\ufeff" + lines, encoding="utf-8")
    return DataFile(path, "another 4.5")


def test_countries_with_their_water(countries: DataFile, regions: DataFile) -> None:
    mix = read_packaged(countries, regions).find("AAA")
    assert mix is not None
    assert mix.intensity.gco2e_per_kwh == pytest.approx(100)
    assert (mix.intensity.kind, mix.intensity.fallback) == ("location", False)
    assert mix.intensity.source == "a package 1.2.3, AAA, yearly average"
    assert mix.intensity.at == "a package 1.2.3"
    assert mix.water is not None
    assert (mix.water.litres_per_kwh, mix.water.source) == (2.5, "a package 1.2.3, AAA")


def test_what_stands_in_for_a_country_is_named(countries: DataFile, regions: DataFile) -> None:
    mix = read_packaged(countries, regions).find("BBB")
    assert mix is not None
    assert mix.water is not None
    assert mix.water.source == "a package 1.2.3, the world, for BBB"


def test_a_cloud_region_has_its_own_carbon_and_its_countrys_water(
    countries: DataFile, regions: DataFile
) -> None:
    grid = read_packaged(countries, regions)
    north, south = grid.find("big/north1"), grid.find("big/south1")
    assert north is not None
    assert north.intensity.gco2e_per_kwh == 42
    assert north.intensity.source == "another 4.5, big/north1, yearly average"
    assert north.water is not None
    assert north.water.litres_per_kwh == 2.5
    assert south is not None
    assert south.water is None
    assert grid.zones() == ("AAA", "BBB", "CCD", "big/north1", "big/south1")


def test_what_is_not_there_is_unknown(countries: DataFile, regions: DataFile) -> None:
    grid = read_packaged(countries, regions)
    assert grid.find("CCC") is None
    assert grid.find(None) is None
    assert grid.find("") is None
    assert PackagedGrid().zones() == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"electricity_mixes": [{}]}',
        '{"electricity_mixes": [{"name": "A", "gwp": -1, "wue": 1}]}',
        '{"electricity_mixes": [{"name": "A", "gwp": true, "wue": 1}]}',
        f'{{"electricity_mixes": [{{"name": "A", "gwp": {10**400}, "wue": 1}}]}}',
        "[" * 200_000,
    ],
)
def test_damaged_data_is_told(text: str, countries: DataFile) -> None:
    countries.path.write_text(text)
    with pytest.raises(AssetError, match=r"grid data of a package 1\.2\.3 cannot be read"):
        read_packaged(countries)


def test_a_package_that_is_not_there() -> None:
    assert DataFile.of_package("no-such-package", "data.json") is None
    assert DataFile.of_package("pytest", "no/such/file.json") is None


def test_a_file_of_a_package_is_found_without_importing_it() -> None:
    found = DataFile.of_package("pytest", "pytest/py.typed")
    assert found is not None
    assert found.release == f"pytest {version('pytest')}"


@pytest.mark.skipif(not installed("ecologits"), reason="the extra carbon is not installed")
def test_the_installed_package() -> None:
    grid = read_packaged()
    assert len(grid.zones()) >= 200
    by_carbon = {zone: mix.intensity.gco2e_per_kwh for zone, mix in grid.mixes.items()}
    assert by_carbon["SWE"] < by_carbon["FRA"] < by_carbon["DEU"] < by_carbon["IND"]
    assert 20 < by_carbon["SWE"] < 100
    assert 300 < by_carbon["DEU"] < 500
    germany = grid.find("DEU")
    assert germany is not None
    assert germany.intensity.at == f"ecologits {version('ecologits')}"
    assert germany.water is not None
    assert 0.5 < germany.water.litres_per_kwh < 5
    assert "ecologits" not in sys.modules


@pytest.mark.skipif(not installed("codecarbon"), reason="codecarbon is not installed")
def test_the_cloud_regions_of_the_installed_package() -> None:
    mix = read_packaged().find("gcp/europe-west9")
    assert mix is not None
    assert mix.intensity.gco2e_per_kwh < 100
    assert "codecarbon" not in sys.modules


@pytest.mark.parametrize("impact", ["", "much", "nan", "5" * 200_000])
def test_damaged_regions_are_told(impact: str, countries: DataFile, regions: DataFile) -> None:
    regions.path.write_text(f"provider,region,countryIsoCode,impact\na,b,c,{impact}\n")
    with pytest.raises(AssetError, match=r"grid data of another 4\.5 cannot be read"):
        read_packaged(countries, regions)
