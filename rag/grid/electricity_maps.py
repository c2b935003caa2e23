"""Intensity now and to come, from a service shaped as Electricity Maps, version 3."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rag.errors import BackendError
from rag.grid.answers import forecast_of, malformed, outdated, posix_seconds
from rag.grid.forecast import Forecast
from rag.grid.http import Call, Endpoint, get_json
from rag.grid.intensity import Intensity, Reading
from rag.grid.untrusted import number

# Source: portal.electricitymaps.com/developer-hub/api/reference (read 2026-11): base address.
ELECTRICITY_MAPS_URL = "https://api.electricitymaps.com/v3"
# Source: the same page: temporalGranularity is hourly unless asked otherwise.
_PERIOD_SECONDS = 3600.0
# A figure can be late: it is held for a while, then asked for again [s].
# Source: the same page: the finest granularity that is offered is 5 minutes.
_RETRY_SECONDS = 300.0
_OLDEST_SECONDS = 6 * 3600.0  # half a day's swing of the sun; an older figure is not "now"


@dataclass(frozen=True, slots=True)
class ElectricityMaps:
    """One zone, such as ``DE`` or ``US-CAL-CISO``; life-cycle emissions of what is consumed."""

    endpoint: Endpoint
    zone: str
    key: str = field(repr=False)
    clock: Callable[[], float] = time.time

    @property
    def name(self) -> str:
        """What it is called in receipts and warnings."""
        return f"Electricity Maps {self.zone}"

    def latest(self) -> Reading:
        """Return the present intensity.

        Raises:
            BackendError: It did not answer in time, refused, or answered nonsense.
        """
        body = self._ask("latest")
        try:
            start = posix_seconds(body["datetime"])
            source = self.name + (", estimated" if body.get("isEstimated") else "")
            value = Intensity(number(body["carbonIntensity"]), "location", source, body["datetime"])
        except (KeyError, TypeError, ValueError) as exc:
            raise malformed(self.name, exc) from exc
        now = self.clock()
        if now - start > _OLDEST_SECONDS:
            raise outdated(self.name, body["datetime"])
        # A start that is still to come tells of a wrong clock: it holds for no longer than others.
        return Reading(value, max(min(start, now) + _PERIOD_SECONDS, now + _RETRY_SECONDS))

    def forecast(self) -> Forecast:
        """Return what is to come, hour by hour.

        Raises:
            BackendError: It did not answer in time, refused, or answered nonsense.
        """
        body = self._ask("forecast")
        try:
            points = [(p["datetime"], p["carbonIntensity"]) for p in body["forecast"]]
            return forecast_of(points, self.name)
        except (KeyError, TypeError, ValueError) as exc:
            raise malformed(self.name, exc) from exc

    def _ask(self, what: str) -> dict[str, Any]:
        call = Call(f"carbon-intensity/{what}", {"zone": self.zone}, {"auth-token": self.key})
        body = get_json(self.endpoint, call)
        # The service answers for where the caller is if it does not know the zone.
        if body.get("zone") != self.zone:
            raise BackendError(
                f"{self.endpoint.host} answered for another zone",
                repr(body.get("zone")),
                f"set grid_zone to one it knows, not {self.zone}",
            )
        return body
