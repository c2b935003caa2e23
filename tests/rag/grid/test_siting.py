import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rag.adapters.memory_index import MemoryIndex
from rag.build import build_pipeline
from rag.errors import SettingsError
from rag.grid import siting
from rag.grid.intensity import GridWater, Intensity
from rag.grid.packaged import Mix, PackagedGrid
from rag.grid.siting import fixed_place, live_source, sited
from rag.metering.usable import usable_cpus
from rag.receipts import receipt_line
from rag.results import Question
from rag.service.bodies import RetrieveBody
from rag.service.schemas import retrieve_response
from rag.settings import load_settings
from rag.types import Filter

LATEST = "/carbon-intensity/latest"
GERMANY = Mix(
    "DEU",
    Intensity(330.0, "location", "a package 1, DEU, yearly average", "a package 1"),
    GridWater(2.0, "a package 1, DEU", "a package 1"),
)


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siting, "read_packaged", lambda: PackagedGrid({"DEU": GERMANY}))


def live_settings(service: Any, **more: object) -> Any:
    given = {"grid_zone": "DE", "grid_country": "DEU", "grid_seconds": 2.0, "grid_api_key": "k"}
    return load_settings(grid_source="electricitymaps", grid_url=service.url, **given | more)


def says(service: Any, grams: float) -> None:
    when = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime())
    service.says(LATEST, {"zone": "DE", "carbonIntensity": grams, "datetime": when})


def test_nothing_is_known_unless_told() -> None:
    place = sited(load_settings())()
    unknown = (place.gco2e_per_kwh, place.litres_per_kwh, place.intensity, place.market)
    assert unknown == (None, None, None, None)
    assert (place.embodied, place.region, place.pue) == (None, None, 1.0)


def test_what_the_settings_say() -> None:
    settings = load_settings(
        grid_gco2e_per_kwh=100,
        grid_market_gco2e_per_kwh=0,
        water_litres_per_kwh=3,
        embodied_kgco2e=1200,
        machine_lifetime_years=4,
        embodied_share=0.5,
        pue=1.2,
        region="here",
    )
    place = fixed_place(settings)
    assert (place.gco2e_per_kwh, place.litres_per_kwh, place.region) == (100, 3, "here")
    assert place.intensity == Intensity(100, "location", "setting grid_gco2e_per_kwh")
    assert place.market == Intensity(0, "market", "setting grid_market_gco2e_per_kwh")
    assert place.embodied is not None
    assert (place.embodied.kgco2e, place.embodied.share) == (1200, 0.5)
    assert place.embodied.cpus == usable_cpus()


@pytest.mark.parametrize("half", [{"embodied_kgco2e": 1200}, {"machine_lifetime_years": 4}])
def test_half_of_a_machine_is_unknown(half: Any) -> None:
    assert fixed_place(load_settings(**half)).embodied is None


@pytest.mark.usefixtures("packaged")
def test_the_packaged_value_of_the_zone() -> None:
    place = fixed_place(load_settings(grid_source="packaged", grid_zone="DEU"))
    assert place.intensity == GERMANY.intensity
    assert (place.gco2e_per_kwh, place.region) == (330.0, "DEU")
    assert place.litres_per_kwh is None  # the site's part is not known
    assert place.grid_water == GERMANY.water
    settings = load_settings(
        grid_source="packaged", grid_zone="DEU", water_site_litres_per_kwh=1.2, pue=1.5
    )
    assert fixed_place(settings).litres_per_kwh == pytest.approx(1.2 / 1.5 + 2.0)


@pytest.mark.parametrize(
    ("grid", "remedy"),
    [(PackagedGrid(), "install the extra"), (PackagedGrid({"DEU": GERMANY}), "such as DEU")],
)
def test_without_a_packaged_value_it_is_unknown_and_said_how_to_mend(
    grid: PackagedGrid,
    remedy: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(siting, "read_packaged", lambda: grid)
    with caplog.at_level(logging.WARNING):
        place = fixed_place(load_settings(grid_source="packaged", grid_zone="XXX"))
    assert place.gco2e_per_kwh is None
    assert remedy in caplog.text


def test_a_file_of_intensities(tmp_path: Path) -> None:
    path = tmp_path / "grid.csv"
    rows = "DE,location,300,1.5\nDE,market,20,\n"
    path.write_text(f"zone,kind,gco2e_per_kwh,litres_per_kwh\n{rows}")
    given = {"grid_source": "file", "grid_intensity_file": path}
    place = fixed_place(load_settings(grid_zone="DE", water_site_litres_per_kwh=0, **given))
    assert (place.gco2e_per_kwh, place.litres_per_kwh) == (300, 1.5)
    assert place.market is not None
    assert place.market.gco2e_per_kwh == 20
    with pytest.raises(SettingsError, match="has not the zone: FR"):
        fixed_place(load_settings(grid_zone="FR", **given))


@pytest.mark.usefixtures("packaged")
def test_a_live_value_is_there_from_the_start(service: Any) -> None:
    says(service, 123)
    place = sited(live_settings(service, water_site_litres_per_kwh=0))()
    assert place.gco2e_per_kwh == 123
    assert place.intensity is not None
    assert (place.intensity.source, place.intensity.fallback) == ("Electricity Maps DE", False)
    assert place.litres_per_kwh == 2.0
    assert len(service.asked) == 1


@pytest.mark.usefixtures("packaged")
def test_the_packaged_value_stands_in_and_says_so(service: Any) -> None:
    service.says(LATEST, {}, 500)
    place = sited(live_settings(service))()
    assert place.intensity is not None
    assert place.intensity.fallback
    expected = "a package 1, DEU, yearly average, in place of Electricity Maps DE"
    assert (place.gco2e_per_kwh, place.intensity.source) == (330.0, expected)


@pytest.mark.usefixtures("packaged")
def test_the_setting_stands_in_before_the_package(service: Any) -> None:
    place = sited(live_settings(service, grid_gco2e_per_kwh=77))()
    assert place.intensity is not None
    assert (place.gco2e_per_kwh, place.intensity.fallback) == (77, True)


def test_without_anything_to_stand_in_it_is_unknown(service: Any) -> None:
    place = sited(live_settings(service, grid_country="QQQ"))()
    assert (place.gco2e_per_kwh, place.intensity) == (None, None)


@pytest.mark.usefixtures("packaged")
def test_a_receipt_has_the_live_carbon_and_questions_ask_nobody(service: Any) -> None:
    says(service, 250)
    pipeline = build_pipeline(live_settings(service, tier="lexical"), MemoryIndex(), lambda: 1)
    for _ in range(5):
        question = Question("anything?", Filter("default"), 64, time.monotonic() + 60)
        impact = pipeline.answer(question).receipt.impact
        assert impact.gco2e is not None
        assert impact.joules is not None
        assert impact.gco2e.high == pytest.approx(impact.joules.high / 3.6e6 * 250)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"grid_source": "packaged"}, "grid_zone"),
        ({"grid_source": "file", "grid_zone": "DE"}, "grid_intensity_file"),
        ({"grid_source": "electricitymaps", "grid_zone": "DE"}, "grid_api_key"),
        ({"grid_source": "watttime", "grid_zone": "X"}, "grid_user and grid_api_key"),
    ],
)
def test_a_source_needs_what_it_needs(given: Any, missing: str) -> None:
    with pytest.raises(SettingsError, match=f"needs {missing}"):
        load_settings(**given)


def test_the_sources_forecast_too() -> None:
    assert live_source(load_settings()) is None
    given = {"grid_zone": "X", "grid_user": "u", "grid_api_key": "k"}
    for name in ("electricitymaps", "watttime"):
        source = live_source(load_settings(grid_source=name, **given))
        assert source is not None
        assert callable(source.forecast)
        assert "X" in source.name


def test_where_it_runs_changes_no_answer_and_no_key_is_shown() -> None:
    given = {"grid_source": "electricitymaps", "grid_zone": "DE", "grid_api_key": "secret"}
    settings = load_settings(embodied_kgco2e=3, water_site_litres_per_kwh=1, **given)
    assert settings.fingerprint() == load_settings().fingerprint()
    assert "secret" not in repr(settings)


def test_nothing_for_the_network_is_loaded_where_it_is_not_used() -> None:
    program = "import sys, rag.grid.siting; print('rag.grid.http' in sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.usefixtures("packaged")
def test_the_receipt_names_what_stands_in(service: Any) -> None:
    pipeline = build_pipeline(live_settings(service, tier="lexical"), MemoryIndex(), lambda: 1)
    question = Question("anything?", Filter("default"), 64, time.monotonic() + 60)
    retrieved = pipeline.retrieve(question)
    grid = retrieved.receipt.impact.grid
    assert grid is not None
    assert (grid.gco2e_per_kwh, grid.fallback) == (330.0, True)
    response = retrieve_response(RetrieveBody(question="anything?"), retrieved)
    expected = "gCO2e (a package 1, DEU, yearly average, in place of Electricity Maps DE)"
    assert expected in receipt_line(response)
    assert response.impact.grid is not None
    assert response.impact.grid.model_dump() == {
        "gco2e_per_kwh": 330.0,
        "kind": "location",
        "source": grid.source,
        "at": "a package 1",
        "fallback": True,
    }


@pytest.mark.usefixtures("packaged")
def test_nothing_is_a_figure_and_not_unknown() -> None:
    given = {"grid_gco2e_per_kwh": 0, "water_litres_per_kwh": 0, "water_site_litres_per_kwh": 1}
    place = fixed_place(load_settings(grid_country="DEU", **given))
    assert (place.gco2e_per_kwh, place.litres_per_kwh) == (0, 0)
    assert place.intensity == Intensity(0, "location", "setting grid_gco2e_per_kwh")
