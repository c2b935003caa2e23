"""The service that may be running on the configured address: is it ready, is anything unwritten."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Final

from rag.doctor import Finding
from rag.generation import POINTER
from rag.settings import Settings

_SECONDS: Final = 2.0
_MOST_BYTES: Final = 10_000_000
_NUMBER: Final = r"^frugal_rag_ledger_{}(?:\{{\}})? (\S+)$"


def check_service(settings: Settings, fingerprint: str) -> Finding:
    """Ask the service on the configured port whether it is ready, and what its ledger waits for.

    None running is no fault.

    Args:
        settings: Where it would be.
        fingerprint: That of all that shapes an answer under these settings.
    """
    url = _url(settings)
    try:
        status, ready = _get(f"{url}/readyz")
    except OSError:
        return Finding("ok", f"none running at {url}")
    if status != 200:
        found = f"{url} is not ready: {_reason(ready)}"
        published = (settings.data_dir / settings.collection / POINTER).exists()
        return Finding("fail" if published else "warn", found, "see its log and the checks above")
    served = _field(ready, "fingerprint")
    if served is None:
        return Finding("ok", f"something else listens at {url}")
    unwritten, lost = _unwritten(url)
    if unwritten or lost:
        found = f"{url}: {unwritten:g} entries of its ledger are not written, {lost:g} are lost"
        remedy = "free disk space or fix permissions while it runs: it writes them then"
        return Finding("fail", found, remedy)
    if served != fingerprint:
        found = f"{url} is ready with other settings ({served}) than these"
        return Finding("warn", found, "restart it, or use its settings here")
    known = "ledger unknown: /metrics is not open" if unwritten is None else "nothing unwritten"
    return Finding("ok", f"{url} is ready, {known}")


def _url(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _get(url: str) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    try:
        with opener.open(url, timeout=_SECONDS) as response:
            return response.status, response.read(_MOST_BYTES).decode("utf-8", "replace")
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read(_MOST_BYTES).decode("utf-8", "replace")


def _unwritten(url: str) -> tuple[float | None, float]:
    try:
        status, text = _get(f"{url}/metrics")
    except OSError:
        return None, 0.0
    if status != 200:
        return None, 0.0
    return _number(text, "unwritten"), _number(text, "lost") or 0.0


def _number(text: str, name: str) -> float | None:
    match = re.search(_NUMBER.format(name), text, re.MULTILINE)
    try:
        return float(match[1]) if match else None
    except ValueError:
        return None


def _field(text: str, name: str) -> str | None:
    try:
        value = json.loads(text).get(name)
    except (ValueError, AttributeError):
        return None
    return str(value)[:100] if value else None


def _reason(text: str) -> str:
    return _field(text, "detail") or _field(text, "title") or "no reason given"
