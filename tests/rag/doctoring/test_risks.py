"""Risky settings are named; the defaults have none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.doctoring.risks import check_settings
from rag.errors import SettingsError
from rag.keyring import change_keys
from rag.keys import Grant, made_key
from rag.settings import load_settings


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_not_risky() -> None:
    assert check_settings(load_settings()).verdict == "ok"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"host": "0.0.0.0"}, "host 0.0.0.0"),  # noqa: S104
        ({"host": "::"}, "host ::"),
        ({"keyless": True}, "keyless: whoever reaches 127.0.0.1 may read and delete"),
        ({"question_log": "/var/log/questions"}, "question_log"),
        ({"deadline_seconds": 300}, "deadline_seconds 300"),
        ({"index": "server", "server_url": "http://db:6333"}, "plain http to db"),
        ({"index": "server", "server_url": "https://db:6333"}, "without a key"),
    ],
)
def test_each_risk_is_named_with_a_remedy(given: dict[str, object], named: str) -> None:
    finding = check_settings(load_settings(**given))
    assert finding.verdict == "warn"
    assert named in finding.found


def test_two_risks_are_both_named() -> None:
    finding = check_settings(load_settings(host="10.0.0.1", question_log="q.txt"))
    assert "10.0.0.1" in finding.found
    assert "q.txt" in finding.found


def test_a_service_that_asks_for_keys_may_be_reached(tmp_path: Path) -> None:
    settings = load_settings(host="10.0.0.1", data_dir=tmp_path)
    key, _ = made_key(Grant(("query",), None), datetime.now(UTC))
    change_keys(tmp_path / "keys.json", lambda keys: (*keys, key))
    assert check_settings(settings).verdict == "ok"
    (tmp_path / "keys.json").chmod(0o644)
    finding = check_settings(settings)
    assert finding.verdict == "warn"
    assert "others may read who has which rights" in finding.found
    (tmp_path / "keys.json").chmod(0o666)
    with pytest.raises(SettingsError, match="others can write it"):
        check_settings(settings)


def test_a_key_that_others_may_read_is_named_but_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "rag.toml"
    path.write_text('server_api_key = "abc123"\n', encoding="utf-8")
    path.chmod(0o644)
    finding = check_settings(load_settings())
    assert finding.verdict == "warn"
    assert "chmod 600" in finding.remedy
    assert "abc123" not in finding.found + finding.remedy
    path.chmod(0o600)
    assert check_settings(load_settings()).verdict == "ok"
