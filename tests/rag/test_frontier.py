"""The file of an evaluation's points: read as it was written, or refused with what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.errors import SettingsError
from rag.frontier import Frontier, Measured, Spread, frontier_json, read_frontier
from rag.settings import load_settings

POINT = Measured(
    "frugal-rag", "r" * 12, None, "f" * 12, Spread(225, 216, 233), Spread(0.8, 0.7, 0.9), True
)
FRONTIER = Frontier("made", 120, "answer recall", "cl100k_base", (POINT,))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "frontier.json"
    path.write_text(frontier_json(FRONTIER), encoding="utf-8")
    assert read_frontier(path) == FRONTIER


def _put(value: object, *keys: str | int) -> Callable[[Any], None]:
    def put(state: Any) -> None:
        *way, last = keys
        for key in way:
            state = state[key]
        state[last] = value

    return put


@pytest.mark.parametrize(
    "change",
    [
        _put(2, "format"),
        _put([], "points"),
        _put("many", "questions"),
        _put({"low": 1, "high": 2}, "points", 0, "tokens"),
        _put(float("nan"), "points", 0, "quality", "mean"),
        _put(-1, "points", 0, "tokens", "low"),
        _put(300, "points", 0, "tokens", "low"),
        _put(1.5, "points", 0, "quality", "high"),
        _put(None, "points", 0, "tokens"),
        _put("x", "points", 0),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, change: Callable[[Any], None]) -> None:
    state = json.loads(frontier_json(FRONTIER))
    change(state)
    path = tmp_path / "frontier.json"
    path.write_text(json.dumps(state), encoding="utf-8")
    with pytest.raises(SettingsError, match="frontier cannot be used") as found:
        read_frontier(path)
    assert str(path) in str(found.value.value)
    assert found.value.remedy == "write it again with rag-eval frontier"


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b"[" * 100_000])
def test_junk_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "frontier.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError):
        read_frontier(path)
    with pytest.raises(SettingsError):
        read_frontier(tmp_path / "none.json")


def test_what_the_page_shows_is_no_part_of_the_fingerprint(tmp_path: Path) -> None:
    shown = load_settings(tier="lexical", frontier=tmp_path / "frontier.json")
    assert shown.fingerprint() == load_settings(tier="lexical").fingerprint()
