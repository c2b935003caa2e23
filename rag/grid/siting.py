"""From settings to the place that receipts are written for: once at start, then without waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from rag.errors import SettingsError
from rag.grid.file import GridFile, read_grid_file
from rag.grid.forecast import ForecastSource
from rag.grid.intensity import GridWater, Intensity, LiveGrid
from rag.grid.live import LiveIntensity
from rag.grid.packaged import Mix, PackagedGrid, read_packaged
from rag.impact import litres_per_kwh
from rag.metering.usable import usable_cpus
from rag.place import Embodied, Place
from rag.settings import Settings

_LOG = logging.getLogger(__name__)


class Live(LiveGrid, ForecastSource, Protocol):
    """A source of the intensity now and of its forecast."""


def sited(settings: Settings) -> Callable[[], Place]:
    """Return what tells the place of each request; it never waits.

    A live source is asked once before this returns, for ``grid_seconds`` at most a call (WattTime
    takes two: it logs in first); later on the side. Where it has nothing to say,
    ``grid_gco2e_per_kwh`` stands in, else the packaged value.

    Raises:
        SettingsError: ``grid_intensity_file`` or ``grid_url`` cannot be used.
        AssetError: The packaged data is damaged.
    """
    place = fixed_place(settings)
    source = live_source(settings)
    if source is None:
        return lambda: place
    live = LiveIntensity(source, place.intensity)
    live.refresh()
    return lambda: _at(place, live.now())


def fixed_place(settings: Settings) -> Place:
    """Return the place as far as it is known on this machine, without asking a live source.

    Raises:
        SettingsError: ``grid_intensity_file`` cannot be used, or has not the zone.
        AssetError: The packaged data is damaged.
    """
    zoned = settings.grid_zone or settings.grid_country
    packaged = read_packaged() if zoned else PackagedGrid()
    path, mix = settings.grid_intensity_file, _mix(settings, packaged)
    file = read_grid_file(path) if path else GridFile({}, {})
    intensity = _location(settings, packaged, file)
    grid_water = file.water.get(settings.grid_zone or "") or (mix.water if mix else None)
    return Place(
        gco2e_per_kwh=intensity.gco2e_per_kwh if intensity else None,
        litres_per_kwh=_litres(settings, grid_water),
        region=settings.region or settings.grid_zone,
        pue=settings.pue,
        intensity=intensity,
        market=_market(settings, file),
        grid_water=grid_water,
        site_litres_per_kwh=settings.water_site_litres_per_kwh,
        embodied=_embodied(settings),
    )


def live_source(settings: Settings) -> Live | None:
    """Return the live source that is configured, which forecasts too; None where none is.

    Raises:
        SettingsError: ``grid_url`` is no address.
    """
    if settings.grid_source not in ("electricitymaps", "watttime"):
        return None
    from rag.grid.electricity_maps import ELECTRICITY_MAPS_URL, ElectricityMaps
    from rag.grid.http import Endpoint
    from rag.grid.watttime import WATTTIME_URL, Login, WattTime

    zone, key = settings.grid_zone or "", settings.grid_api_key
    secret = key.get_secret_value() if key else ""
    if settings.grid_source == "electricitymaps":
        url = settings.grid_url or ELECTRICITY_MAPS_URL
        return ElectricityMaps(Endpoint(url, settings.grid_seconds), zone, secret)
    endpoint = Endpoint(settings.grid_url or WATTTIME_URL, settings.grid_seconds)
    return WattTime(endpoint, zone, Login(settings.grid_user or "", secret))


def _location(settings: Settings, packaged: PackagedGrid, file: GridFile) -> Intensity | None:
    """Return the intensity that the source gives, or that stands in for a live one."""
    source, said = settings.grid_source, settings.grid_gco2e_per_kwh
    if source == "file":
        return _in_file(settings, file)
    if source == "packaged":
        return _packaged(settings, packaged)
    if said is not None:
        return Intensity(said, "location", "setting grid_gco2e_per_kwh")
    mix = None if source == "setting" else _mix(settings, packaged)
    return mix.intensity if mix else None


def _mix(settings: Settings, packaged: PackagedGrid) -> Mix | None:
    return packaged.find(settings.grid_zone) or packaged.find(settings.grid_country)


def _packaged(settings: Settings, packaged: PackagedGrid) -> Intensity | None:
    mix = _mix(settings, packaged)
    if mix is None:
        remedy = (
            "set grid_zone or grid_country to a country such as DEU"
            if packaged.mixes
            else "install the extra: pip install 'frugal-rag[carbon]'"
        )
        zone = settings.grid_zone
        _LOG.warning("no packaged intensity for %s, carbon is unknown: %s", zone, remedy)
    return mix.intensity if mix else None


def _in_file(settings: Settings, file: GridFile) -> Intensity | None:
    found = file.find(settings.grid_zone or "")
    if found is None:
        value = f"{settings.grid_zone} in {settings.grid_intensity_file}"
        raise SettingsError("grid_intensity_file has not the zone", value, "add a row for it")
    return found


def _market(settings: Settings, file: GridFile) -> Intensity | None:
    said = settings.grid_market_gco2e_per_kwh
    if said is not None:
        return Intensity(said, "market", "setting grid_market_gco2e_per_kwh")
    return file.find(settings.grid_zone or "", "market")


def _litres(settings: Settings, water: GridWater | None) -> float | None:
    """Return the whole of the water, as a setting says or from its parts; unknown if one is."""
    if settings.water_litres_per_kwh is not None:
        return settings.water_litres_per_kwh
    grid = water.litres_per_kwh if water else None
    return litres_per_kwh(settings.water_site_litres_per_kwh, grid, settings.pue)


def _embodied(settings: Settings) -> Embodied | None:
    kilograms, years = settings.embodied_kgco2e, settings.machine_lifetime_years
    if kilograms is None or years is None:
        return None
    source = "setting embodied_kgco2e"
    return Embodied(kilograms, years, settings.embodied_share, source, usable_cpus())


def _at(place: Place, intensity: Intensity | None) -> Place:
    value = intensity.gco2e_per_kwh if intensity else None
    return replace(place, gco2e_per_kwh=value, intensity=intensity)
