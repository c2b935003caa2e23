from __future__ import annotations

import pytest

from ingest.load.dates import iso_date


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024-02-29T10:00:00Z", "2024-02-29"),
        ("2024/02/29", "2024-02-29"),
        ("D:20240229100000+01'00'", "2024-02-29"),
        ("05-Jul-2001", "2001-07-05"),
        ("July 5, 2001", "2001-07-05"),
        ("2023-02-29", None),
        ("03/04/2024", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_days(text: str | None, day: str | None) -> None:
    assert iso_date(text) == day
