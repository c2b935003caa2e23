from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rag.access import OPERATOR
from rag.errors import SettingsError
from rag.keyring import Keyring, change_keys, keys_path, read_keys
from rag.keys import Grant, Key, made_key
from rag.settings import load_settings

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GRANT = Grant(("query",), "acme")


@dataclass
class Clock:
    """A clock that is set by hand [s]."""

    seconds: float = 0.0
    started: datetime = field(default=NOW)

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.started + timedelta(seconds=self.seconds)


@dataclass
class Shelf:
    """A file of keys and a service's keyring over it, whose time passes by hand."""

    path: Path
    clock: Clock
    keyring: Keyring

    def add(self, grant: Grant = GRANT) -> tuple[Key, str]:
        key, token = made_key(grant, self.clock.now())
        change_keys(self.path, lambda keys: (*keys, key))
        self.wait()
        return key, token

    def revoke(self, key: Key) -> None:
        now = self.clock.now()
        change_keys(
            self.path, lambda keys: tuple(k.revoke(now) if k.id == key.id else k for k in keys)
        )

    def wait(self, seconds: float = 1.0) -> None:
        self.clock.seconds += seconds


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """No file yet."""
    clock, path = Clock(), tmp_path / "keys.json"
    return Shelf(path, clock, Keyring(path, clock.now, clock))


def test_without_a_file_nobody_has_to_show_a_key(shelf: Shelf) -> None:
    assert shelf.keyring.empty
    assert shelf.keyring.problem is None
    assert shelf.keyring.valid(OPERATOR.name)
    assert shelf.keyring.find("frag_0123456789_" + "A" * 43) is None


def test_a_first_key_closes_a_running_service(shelf: Shelf) -> None:
    assert shelf.keyring.empty
    key, token = shelf.add()
    assert not shelf.keyring.empty
    assert shelf.keyring.find(token) == key.caller
    assert shelf.keyring.valid(key.id)
    assert not shelf.keyring.valid(OPERATOR.name)


def test_revoking_needs_no_restart_and_opens_nothing(shelf: Shelf) -> None:
    key, token = shelf.add()
    other, others = shelf.add()
    assert shelf.keyring.find(token) == key.caller
    shelf.revoke(key)
    assert shelf.keyring.find(token) == key.caller  # looked at less than a second ago
    shelf.wait()
    assert shelf.keyring.find(token) is None
    assert not shelf.keyring.valid(key.id)
    assert shelf.keyring.find(others) == other.caller
    shelf.revoke(other)
    shelf.wait()
    assert shelf.keyring.find(others) is None
    assert not shelf.keyring.empty


def test_a_key_ends_at_its_time(shelf: Shelf) -> None:
    key, token = shelf.add(Grant(("query",), None, expires=NOW + timedelta(seconds=60)))
    assert shelf.keyring.find(token) == key.caller
    shelf.wait(59)
    assert shelf.keyring.find(token) is None
    assert not shelf.keyring.valid(key.id)


def _writable_by_others(path: Path) -> None:
    path.chmod(0o620)


def _removed(path: Path) -> None:
    path.unlink()


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _meddled(**fields: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, **fields}))

    return change


def _says(text: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_bytes(text)

    return change


def _twice(path: Path) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "keys": content["keys"] * 2}))


DAMAGES = {
    "others may write it": _writable_by_others,
    "removed": _removed,
    "a folder": _a_folder,
    "empty": _says(b""),
    "half of it": _says(b'{"format": 1, "keys": [{"id'),
    "no UTF-8": _says(b'{"format": 1, "keys": ["\xff"]}'),
    "deep": _says(b"[" * 100_000),
    "a later format": _meddled(format=2),
    "more fields": _meddled(more=1),
    "no list": _meddled(keys={}),
    "no keys": _meddled(keys=[7]),
    "an id twice": _twice,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_lets_nobody_in_until_it_is_mended(
    shelf: Shelf, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    key, token = shelf.add()
    assert shelf.keyring.find(token) == key.caller
    whole = shelf.path.read_bytes()
    DAMAGES[damage](shelf.path)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            shelf.wait()
            assert shelf.keyring.find(token) is None
            assert not shelf.keyring.valid(key.id)
            assert not shelf.keyring.empty
            assert not shelf.keyring.valid(OPERATOR.name)
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
    assert said == ["keys-unusable"]
    assert isinstance(shelf.keyring.problem, SettingsError)
    assert token not in caplog.text
    if shelf.path.is_dir():
        shelf.path.rmdir()
    shelf.path.write_bytes(whole)
    shelf.path.chmod(0o600)
    shelf.wait()
    assert shelf.keyring.find(token) == key.caller
    assert shelf.keyring.problem is None


def test_a_service_that_starts_on_a_damaged_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("{}")
    keyring = Keyring(path)
    assert not keyring.empty
    assert "no file of keys" in str(keyring.problem)


def test_a_file_is_its_owners_alone(shelf: Shelf) -> None:
    shelf.add()
    assert shelf.path.stat().st_mode & 0o777 == 0o600
    shelf.path.chmod(0o640)  # whoever runs the service may read it
    shelf.add()
    assert shelf.path.stat().st_mode & 0o777 == 0o640
    assert sorted(each.name for each in shelf.path.parent.iterdir()) == ["keys.json"]


def test_no_secret_is_in_the_file(shelf: Shelf) -> None:
    _, token = shelf.add()
    text = shelf.path.read_text()
    assert token not in text
    assert token.split("_", 2)[2] not in text


def test_a_link_stays_a_link(shelf: Shelf, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere" / "keys.json"
    shelf.path.symlink_to(there)
    _, token = shelf.add()
    assert shelf.path.is_symlink()
    assert there.is_file()
    assert shelf.keyring.find(token)


def test_what_was_left_by_one_who_died_is_no_hindrance(shelf: Shelf) -> None:
    (shelf.path.parent / ".keys.json.fresh").write_text("half")
    _, token = shelf.add()
    assert shelf.keyring.find(token)


def test_keys_made_at_once_are_all_there(shelf: Shelf) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: shelf.add()[0].id, range(24)))
    assert sorted(key.id for key in read_keys(shelf.path)) == sorted(made)


def test_a_file_that_cannot_be_used_is_not_changed(shelf: Shelf) -> None:
    shelf.add()
    shelf.path.chmod(0o622)
    before = shelf.path.read_bytes()
    with pytest.raises(SettingsError, match="others can write it"):
        shelf.add()
    assert shelf.path.read_bytes() == before


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be written"):
        change_keys(tmp_path / "file" / "keys.json", lambda keys: keys)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_the_file_to_whom_it_belongs(shelf: Shelf) -> None:
    os.chown(shelf.path.parent, 65532, 65532)
    shelf.add()
    assert shelf.path.stat().st_uid == 65532
    os.chown(shelf.path, 1234, 1234)
    shelf.add()
    assert (shelf.path.stat().st_uid, shelf.path.stat().st_gid) == (1234, 1234)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_elses_file_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add()
    os.chown(shelf.path, 1234, 1234)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(SettingsError, match="somebody else's"):
        read_keys(shelf.path)
    os.chown(shelf.path, 0, 0)  # as a mounted secret is
    assert len(read_keys(shelf.path)) == 1


def test_where_the_keys_are(tmp_path: Path) -> None:
    assert keys_path(load_settings(data_dir=tmp_path)) == tmp_path / "keys.json"
    other = tmp_path / "secret" / "keys.json"
    assert keys_path(load_settings(data_dir=tmp_path, keys_file=other)) == other
