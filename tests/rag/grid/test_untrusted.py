"""What files and services say: bounded, parsed, or refused with a ValueError."""

import os
from io import BytesIO
from pathlib import Path

import pytest

from rag.grid.untrusted import bounded_text, number, parsed_json


def test_a_text_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffü".encode())
    assert bounded_text(path, 5) == "ü"
    with pytest.raises(ValueError, match="over 4 bytes"):
        bounded_text(path, 4)


def test_no_more_is_read_than_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size == 11
            return super().read(size)

    path = tmp_path / "text"
    path.touch()
    monkeypatch.setattr(Path, "open", lambda *_: Watched(b"x" * 100))
    with pytest.raises(ValueError, match="over 10 bytes"):
        bounded_text(path, 10)


def test_what_may_never_end_is_not_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(ValueError, match="not a regular file"):
            bounded_text(path, 10)
    with pytest.raises(FileNotFoundError):
        bounded_text(tmp_path / "none", 10)


@pytest.mark.parametrize("text", ["[" * 200_000, "{", "", b"\xff"])
def test_what_is_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"nested|Expecting|codec"):
        parsed_json(text)


@pytest.mark.parametrize(("value", "expected"), [(3, 3.0), ("2.5", 2.5), (0, 0.0)])
def test_numbers(value: object, expected: float) -> None:
    assert number(value) == expected


@pytest.mark.parametrize("value", [True, None, [1], "much", 10**400, ""])
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"number|float"):
        number(value)
