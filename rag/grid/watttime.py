"""Marginal intensity now and to come, from a service shaped as WattTime, version 3."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rag.errors import BackendError, BackendRejectedError
from rag.grid.answers import forecast_of, malformed, outdated, posix_seconds
from rag.grid.forecast import Forecast
from rag.grid.http import Call, Endpoint, get_json
from rag.grid.intensity import Intensity, Reading
from rag.grid.untrusted import number

# Source: docs.watttime.org (read 2026-11): base address; /login stands beside /v3.
WATTTIME_URL = "https://api.watttime.org"
# Grams per kilowatt-hour in one pound per megawatt-hour [(g/kWh) / (lb/MWh)].
# Source: NIST SP 811 (2008), appendix B.8: 1 lb = 0.453 592 37 kg; and 1 MWh = 1000 kWh.
GRAMS_PER_KWH = 453.59237 / 1000
_UNITS = "lbs_co2_per_mwh"
_SIGNAL = "co2_moer"
_LOGGED_OUT = "status 401"
# Source: docs.watttime.org (read 2026-11): a token expires after 30 minutes; 5 are left over [s].
_TOKEN_SECONDS = 25 * 60.0
_OLDEST_SECONDS = 3600.0  # twelve periods of five minutes; an older figure is not "now"


@dataclass(frozen=True, slots=True)
class Login:
    """Name and password of an account; neither is shown."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """The value of the header that logs in."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(slots=True)
class WattTime:
    """One region, such as ``CAISO_NORTH``: what one more kilowatt-hour makes the grid emit.

    That is CO2 without other gases, and marginal: fit to choose a time by, not to be compared with
    averages. So the name in receipts says it.
    """

    endpoint: Endpoint
    region: str
    login: Login
    clock: Callable[[], float] = time.time
    _token: str = field(default="", repr=False)
    _token_until: float = 0.0

    @property
    def name(self) -> str:
        """What it is called in receipts and warnings."""
        return f"WattTime {self.region}, marginal CO2"

    def latest(self) -> Reading:
        """Return the present intensity: the first point of the forecast.

        Raises:
            BackendError: It did not answer in time, refused, or answered nonsense.
        """
        body = self._ask({"horizon_hours": "0"})
        try:
            (when, grams), *_ = _points(body)
            step = _step(body)
            start, value = posix_seconds(when), Intensity(grams, "location", self.name, when)
        except (KeyError, TypeError, ValueError) as exc:
            raise malformed(self.name, exc) from exc
        now = self.clock()
        if now - start > _OLDEST_SECONDS:
            raise outdated(self.name, when)
        return Reading(value, now + step)

    def forecast(self) -> Forecast:
        """Return what is to come in the next day.

        Raises:
            BackendError: It did not answer in time, refused, or answered nonsense.
        """
        body = self._ask({})
        try:
            return forecast_of([*_points(body)], self.name)
        except (KeyError, TypeError, ValueError) as exc:
            raise malformed(self.name, exc) from exc

    def _ask(self, more: dict[str, str]) -> dict[str, Any]:
        query = {"region": self.region, "signal_type": _SIGNAL, **more}
        token = self._valid_token()
        try:
            return self._forecast(query, token)
        except BackendRejectedError as exc:
            if exc.value != _LOGGED_OUT:
                raise
            self._token = ""  # it was withdrawn before its time
        return self._forecast(query, self._valid_token())

    def _forecast(self, query: dict[str, str], token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        return get_json(self.endpoint, Call("v3/forecast", query, headers))

    def _valid_token(self) -> str:
        if not self._token or self.clock() >= self._token_until:
            headers = {"Authorization": self.login.header}
            token = get_json(self.endpoint, Call("login", {}, headers)).get("token")
            if not isinstance(token, str) or not token.isascii() or not token.isprintable():
                remedy = "check grid_url"
                raise BackendError("login gave no token", type(token).__name__, remedy)
            self._token, self._token_until = token, self.clock() + _TOKEN_SECONDS
        return self._token


def _points(body: dict[str, Any]) -> list[tuple[str, float]]:
    """Return (start, gCO2/kWh) of an answer.

    Raises:
        ValueError: It is in other units.
    """
    if body["meta"]["units"] != _UNITS:
        raise ValueError(f"units {body['meta']['units']}")
    return [(p["point_time"], number(p["value"]) * GRAMS_PER_KWH) for p in body["data"]]


def _step(body: dict[str, Any]) -> float:
    """Return how long a point holds [s].

    Raises:
        ValueError: That cannot be: it would be asked for at once again, or never.
    """
    step = number(body["meta"]["data_point_period_seconds"])
    if not 0 < step <= _OLDEST_SECONDS:
        raise ValueError(f"period of {step} s")
    return step
