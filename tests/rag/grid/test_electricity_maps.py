from typing import Any

import pytest

from rag.errors import BackendError, BackendRejectedError
from rag.grid.electricity_maps import ElectricityMaps
from rag.grid.http import Endpoint

NOON = 1_780_315_200.0  # 2026-06-01T12:00Z
LATEST = "/v3/carbon-intensity/latest"
FORECAST = "/v3/carbon-intensity/forecast"


def source(service: Any, now: Any = NOON + 1200, zone: Any = "DE") -> Any:
    return ElectricityMaps(Endpoint(f"{service.url}/v3", 5), zone, "a key", lambda: now)


def latest(**changes: Any) -> Any:
    """An answer as the service's reference shows it."""
    shown = {
        "zone": "DE",
        "carbonIntensity": 302,
        "datetime": "2026-06-01T12:00:00.000Z",
        "updatedAt": "2026-06-01T12:07:21.002Z",
        "emissionFactorType": "lifecycle",
        "isEstimated": True,
        "estimationMethod": "TIME_SLICER_AVERAGE",
    }
    return shown | changes


def test_the_present_intensity_holds_until_its_hour_ends(service: Any) -> None:
    service.says(LATEST, latest())
    reading = source(service).latest()
    assert reading.intensity.gco2e_per_kwh == 302
    assert (reading.intensity.kind, reading.intensity.fallback) == ("location", False)
    assert reading.intensity.source == "Electricity Maps DE, estimated"
    assert reading.intensity.at == "2026-06-01T12:00:00.000Z"
    assert reading.expires == NOON + 3600
    (asked,) = service.asked
    assert asked.query == {"zone": "DE"}
    assert asked.headers["auth-token"] == "a key"


def test_a_measured_value_is_not_called_estimated(service: Any) -> None:
    service.says(LATEST, latest(isEstimated=False))
    assert source(service).latest().intensity.source == "Electricity Maps DE"


def test_a_late_figure_is_soon_asked_for_again(service: Any) -> None:
    service.says(LATEST, latest())
    assert source(service, NOON + 2 * 3600).latest().expires == NOON + 2 * 3600 + 300


def test_an_old_figure_is_none(service: Any) -> None:
    service.says(LATEST, latest())
    with pytest.raises(BackendError, match=r"too old: 2026-06-01T12:00:00\.000Z"):
        source(service, NOON + 7 * 3600).latest()


@pytest.mark.parametrize("zone", ["FR", None])
def test_another_zone_than_the_one_asked_for_is_refused(service: Any, zone: Any) -> None:
    """The service falls back on where the caller seems to be."""
    service.says(LATEST, latest(zone=zone))
    with pytest.raises(BackendError, match="answered for another zone"):
        source(service).latest()


@pytest.mark.parametrize(
    "changes",
    [
        {"carbonIntensity": None},
        {"carbonIntensity": -3},
        {"carbonIntensity": "much"},
        {"carbonIntensity": True},
        {"carbonIntensity": 10**400},
        {"carbonIntensity": float("nan")},
        {"datetime": "yesterday"},
        {"datetime": "2026-06-01T12:00:00"},
        {"datetime": None},
        {"datetime": 3},
    ],
)
def test_nonsense_is_told(service: Any, changes: Any) -> None:
    service.says(LATEST, latest(**changes))
    with pytest.raises(BackendError, match="answer of Electricity Maps DE cannot be read"):
        source(service).latest()


def test_the_forecast(service: Any) -> None:
    rows = [
        {"carbonIntensity": 326, "datetime": "2026-06-01T13:00:00.000Z"},
        {"carbonIntensity": 297, "datetime": "2026-06-01T14:00:00.000Z"},
        {"carbonIntensity": 194, "datetime": "2026-06-01T15:00:00.000Z"},
    ]
    service.says(FORECAST, {"zone": "DE", "forecast": rows, "updatedAt": "2026-06-01T12:07:00Z"})
    forecast = source(service).forecast()
    assert forecast.points == tuple(
        (NOON + 3600 * (i + 1), v) for i, v in enumerate((326, 297, 194))
    )
    assert (forecast.step_seconds, forecast.source) == (3600, "Electricity Maps DE")


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"carbonIntensity": 1, "datetime": "2026-06-01T13:00Z"}],
        [{"carbonIntensity": 1, "datetime": f"2026-06-01T{h}:00Z"} for h in (13, 14, 16)],
        [{"carbonIntensity": 1}, {"carbonIntensity": 2}],
        [{"carbonIntensity": 10**400, "datetime": f"2026-06-01T{h}:00Z"} for h in (13, 14)],
        None,
    ],
)
def test_a_forecast_with_gaps_or_too_short_is_none(service: Any, rows: Any) -> None:
    service.says(FORECAST, {"zone": "DE", "forecast": rows})
    with pytest.raises(BackendError, match="cannot be read"):
        source(service).forecast()


def test_a_wrong_key_is_told_and_not_shown(service: Any) -> None:
    service.says(LATEST, {"error": "no"}, 401)
    with pytest.raises(BackendRejectedError, match="Check the key") as raised:
        source(service).latest()
    assert "a key" not in str(raised.value)
    assert "a key" not in repr(source(service))


def test_a_figure_of_the_future_holds_no_longer_than_others(service: Any) -> None:
    """One of the two clocks is wrong: without a bound it would be held for years."""
    service.says(LATEST, latest(datetime="2099-01-01T00:00:00Z"))
    assert source(service).latest().expires == NOON + 1200 + 3600


def test_an_answer_that_names_no_zone_is_refused(service: Any) -> None:
    service.says(LATEST, {name: value for name, value in latest().items() if name != "zone"})
    with pytest.raises(BackendError, match="answered for another zone: None"):
        source(service).latest()
