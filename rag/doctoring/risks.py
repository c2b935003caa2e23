"""Settings in force that are allowed but risky, said aloud."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rag.doctor import Finding
from rag.keyring import Keyring, keys_path
from rag.loopback import is_loopback
from rag.settings import Settings

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LONG_SECONDS: Final = 60.0  # Source: our choice; the usual limit of proxies before a service


def check_settings(settings: Settings) -> Finding:
    """Look for settings that open the service, its texts or its secrets to others.

    Raises:
        SettingsError: The file of API keys cannot be used, so that nobody comes in.
    """
    risks = [*_callers(settings), *_network(settings), *_texts(settings), *_secrets()]
    if not risks:
        return Finding("ok", f"nothing risky; fingerprint {settings.fingerprint()}")
    found, remedies = zip(*risks, strict=True)
    return Finding("warn", "; ".join(found), "; ".join(remedies))


def _callers(settings: Settings) -> list[tuple[str, str]]:
    path = keys_path(settings)
    keyring = Keyring(path)
    if keyring.problem is not None:
        raise keyring.problem
    if keyring.empty:
        return _without_keys(settings)
    if path.stat().st_mode & stat.S_IROTH:
        return [(f"{path}: others may read who has which rights", f"chmod 600 {path}")]
    return []


def _without_keys(settings: Settings) -> list[tuple[str, str]]:
    if settings.keyless:
        found = f"keyless: whoever reaches {settings.host} may read and delete all that is there"
        return [(found, "make keys with rag keys add, and unset keyless")]
    if is_loopback(settings.host):
        return []
    found = f"host {settings.host}, and there are no keys: rag serve will not start"
    return [(found, "make keys with rag keys add, or bind 127.0.0.1")]


def _network(settings: Settings) -> list[tuple[str, str]]:
    risks = []
    address = urlsplit(settings.server_url)
    if settings.index == "server" and not is_loopback(address.hostname or ""):
        if address.scheme == "http":
            risks.append((f"server_url is plain http to {address.hostname}", "use https"))
        if settings.server_api_key is None:
            remedy = "set RAG_SERVER_API_KEY"
            risks.append((f"{address.hostname} is asked without a key", remedy))
    if settings.deadline_seconds > _LONG_SECONDS:
        found = f"deadline_seconds {settings.deadline_seconds:g}: slow questions hold their threads"
        risks.append((found, f"stay below {_LONG_SECONDS:g}"))
    return risks


def _texts(settings: Settings) -> list[tuple[str, str]]:
    if settings.question_log is None:
        return []
    found = f"question_log keeps the text of all questions in {settings.question_log}"
    return [(found, "unset it when it is not needed, and delete the file in time")]


def _secrets() -> list[tuple[str, str]]:
    path = Path(os.environ.get("RAG_CONFIG", "rag.toml"))
    try:
        open_to_others = bool(path.stat().st_mode & _OTHERS)
        text = path.read_text(encoding="utf-8", errors="replace") if open_to_others else ""
    except OSError:
        return []
    keys = [line.partition("=")[0].strip() for line in text.splitlines() if "=" in line]
    if any(key.endswith("api_key") for key in keys):
        return [(f"{path} holds a key and others may read it", f"chmod 600 {path}")]
    return []
