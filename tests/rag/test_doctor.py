"""Checks as values: each is made, each is bounded, and the worst decides."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.doctor import Check, Diagnosis, Examined, Finding, examine
from rag.errors import IndexStateError

OK = Finding("ok", "fine")
VERDICTS = st.lists(st.sampled_from(["ok", "warn", "fail"]), max_size=6)


def raising(error: Exception) -> Callable[[], Finding]:
    def look() -> Finding:
        raise error

    return look


@given(VERDICTS)
def test_the_worst_decides_and_only_a_failure_is_one(verdicts: list[str]) -> None:
    checks = tuple(Examined(str(n), Finding(v, "x", "y"), 0.0) for n, v in enumerate(verdicts))  # type: ignore[arg-type]
    diagnosis = Diagnosis(checks)
    order = ("ok", "warn", "fail")
    assert order.index(diagnosis.verdict) == max(map(order.index, verdicts), default=0)
    assert diagnosis.exit_code == int("fail" in verdicts)


@pytest.mark.parametrize("verdict", ["warn", "fail"])
def test_what_is_not_ok_has_a_remedy(verdict: str) -> None:
    with pytest.raises(ValueError, match="no remedy"):
        Finding(verdict, "something is wrong")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "found", "remedy"),
    [
        (IndexStateError("index is odd", 7, "mend it"), "index is odd: 7", "mend it"),
        (PermissionError(13, "no", "/x"), "[Errno 13] no: '/x'", "permissions"),
        (sqlite3.DatabaseError("malformed"), "malformed", "disk"),
        (ZeroDivisionError("by zero"), "unexpected ZeroDivisionError: by zero", "report"),
    ],
)
def test_an_error_is_a_finding_and_stops_nothing(error: Exception, found: str, remedy: str) -> None:
    diagnosis = examine([Check("broken", raising(error)), Check("next", lambda: OK)])
    assert [check.finding.verdict for check in diagnosis.checks] == ["fail", "ok"]
    assert diagnosis.checks[0].finding.found == found
    assert remedy in diagnosis.checks[0].finding.remedy


def test_a_check_that_hangs_is_left_behind() -> None:
    released = threading.Event()

    def hang() -> Finding:
        released.wait(10)
        return OK

    started = time.monotonic()
    diagnosis = examine([Check("hangs", hang, seconds=0.05), Check("next", lambda: OK)])
    assert time.monotonic() - started < 2
    released.set()
    first, second = diagnosis.checks
    assert (first.finding.verdict, second.finding.verdict) == ("warn", "ok")
    assert first.finding.found == "not finished within 0.05 s"
    assert first.seconds >= 0.05


def test_it_is_shown_as_a_table_and_as_json() -> None:
    bad = Finding("fail", "no space", "free some")
    diagnosis = examine([Check("disk", lambda: bad), Check("clock", lambda: OK)])
    assert diagnosis.to_text().splitlines() == [
        "fail  disk   no space",
        "             -> free some",
        "ok    clock  fine",
        "1 ok, 0 warn, 1 fail",
    ]
    state = json.loads(diagnosis.to_json())
    assert state["verdict"] == "fail"
    assert state["checks"][0]["remedy"] == "free some"
    assert state["checks"][1]["remedy"] is None
    assert "\n" not in diagnosis.to_json()
