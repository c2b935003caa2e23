import base64
from collections.abc import Callable
from typing import Any

import pytest

from rag.errors import BackendError, BackendRejectedError
from rag.grid.http import Endpoint
from rag.grid.watttime import GRAMS_PER_KWH, Login, WattTime

START = 1_657_843_200.0  # 2022-07-15T00:00Z
FORECAST = "/v3/forecast"


def source(service: Any, clock: Callable[[], float] = lambda: START + 60) -> WattTime:
    return WattTime(Endpoint(service.url, 5), "CAISO_NORTH", Login("me", "pass word"), clock)


def body(values: tuple[Any, ...] = (870.0, 880.0, 890.0), **meta: Any) -> Any:
    """An answer as the service's documentation shows it."""
    rows = [
        {"point_time": f"2022-07-15T00:{5 * i:02d}:00+00:00", "value": v}
        for i, v in enumerate(values)
    ]
    shown = {
        "data_point_period_seconds": 300,
        "region": "CAISO_NORTH",
        "warnings": [],
        "signal_type": "co2_moer",
        "model": {"date": "2023-03-01"},
        "units": "lbs_co2_per_mwh",
        "generated_at_period_seconds": 300,
        "generated_at": "2022-07-15T00:00:00+00:00",
    }
    return {"data": rows, "meta": shown | meta}


@pytest.fixture
def logged_in(service: Any) -> Any:
    service.says("/login", {"token": "the token"})
    service.says(FORECAST, body())
    return service


def test_pounds_per_megawatt_hour_become_grams_per_kilowatt_hour() -> None:
    assert pytest.approx(453.59237) == 1000 * GRAMS_PER_KWH


def test_the_first_point_is_the_present(logged_in: Any) -> None:
    reading = source(logged_in).latest()
    assert reading.intensity.gco2e_per_kwh == pytest.approx(870 * 0.45359237)
    assert reading.intensity.source == "WattTime CAISO_NORTH, marginal CO2"
    assert reading.intensity.at == "2022-07-15T00:00:00+00:00"
    assert reading.expires == START + 60 + 300
    login, forecast = logged_in.asked
    assert login.path == "/login"
    assert (
        base64.b64decode(login.headers["Authorization"].removeprefix("Basic ")) == b"me:pass word"
    )
    assert forecast.headers["Authorization"] == "Bearer the token"
    expected = {"region": "CAISO_NORTH", "signal_type": "co2_moer", "horizon_hours": "0"}
    assert forecast.query == expected


def test_the_forecast(logged_in: Any) -> None:
    forecast = source(logged_in).forecast()
    assert [start for start, _ in forecast.points] == [START, START + 300, START + 600]
    assert forecast.points[2][1] == pytest.approx(890 * 0.45359237)
    assert (forecast.step_seconds, forecast.source) == (300, "WattTime CAISO_NORTH, marginal CO2")
    assert logged_in.asked[-1].query == {"region": "CAISO_NORTH", "signal_type": "co2_moer"}


def test_a_token_serves_until_shortly_before_it_expires(logged_in: Any) -> None:
    now = [START]
    grid = source(logged_in, lambda: now[0])
    for minutes in (0, 10, 24):
        now[0] = START + 60 * minutes
        grid.latest()
    assert logged_in.paths().count("/login") == 1
    now[0] = START + 60 * 26
    grid.latest()
    assert logged_in.paths().count("/login") == 2


def test_a_withdrawn_token_is_fetched_anew_once(logged_in: Any) -> None:
    grid = source(logged_in)
    grid.latest()
    logged_in.says(FORECAST, {}, 401)
    with pytest.raises(BackendRejectedError, match="status 401"):
        grid.latest()
    assert logged_in.paths() == ["/login", FORECAST, FORECAST, "/login", FORECAST]


def test_other_refusals_do_not_log_in_again(logged_in: Any) -> None:
    grid = source(logged_in)
    logged_in.says(FORECAST, {}, 500)
    with pytest.raises(BackendRejectedError, match="status 500"):
        grid.latest()
    assert logged_in.paths() == ["/login", FORECAST]


@pytest.mark.parametrize("token", [None, 3, "two\nlines", "ü"])
def test_a_login_without_a_token(service: Any, token: Any) -> None:
    service.says("/login", {"token": token})
    with pytest.raises(BackendError, match="login gave no token"):
        source(service).latest()


@pytest.mark.parametrize(
    "answer",
    [
        *({}, body(units="percentile"), body(()), body((-1.0,)), body((None,))),
        *({"data": 3, "meta": {}}, body((True, 1.0)), body((10**400, 1))),
    ],
)
def test_nonsense_and_other_units_are_told(logged_in: Any, answer: Any) -> None:
    logged_in.says(FORECAST, answer)
    with pytest.raises(BackendError, match="cannot be read"):
        source(logged_in).latest()
    with pytest.raises(BackendError, match="cannot be read"):
        source(logged_in).forecast()


def test_an_old_forecast_is_not_the_present(logged_in: Any) -> None:
    with pytest.raises(BackendError, match="too old"):
        source(logged_in, lambda: START + 3700).latest()


def test_neither_name_nor_password_nor_token_is_shown(logged_in: Any) -> None:
    grid = source(logged_in)
    grid.latest()
    assert not [word for word in ("me", "pass", "token") if f"'{word}" in repr(grid)]
    assert "the token" not in repr(grid)


@pytest.mark.parametrize("step", [float("nan"), float("inf"), -5, 0, 1e12, None, True])
def test_a_period_that_cannot_be_is_told(logged_in: Any, step: Any) -> None:
    """It would be asked for again at once, or never."""
    logged_in.says(FORECAST, body(data_point_period_seconds=step))
    with pytest.raises(BackendError, match="cannot be read"):
        source(logged_in).latest()


def test_a_point_of_the_future_holds_no_longer_than_others(logged_in: Any) -> None:
    assert source(logged_in, lambda: START - 7200).latest().expires == START - 7200 + 300


def test_a_wrong_password_is_sent_once(service: Any) -> None:
    service.says("/login", {}, 401)
    with pytest.raises(BackendRejectedError, match="status 401"):
        source(service).latest()
    assert service.paths() == ["/login"]
