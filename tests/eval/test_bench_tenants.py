"""A few of the 10,000 random operations over five tenants, and that a leak would be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.bench.tenants import Plan, run
from eval.bench.tenants_world import MARKS, Holder, leaks


@pytest.mark.slow
def test_no_tenant_sees_anything_of_another(tmp_path: Path) -> None:
    told = run(Plan(operations=150, ingest_share=0.02), tmp_path)
    assert told.faults == []
    assert told.operations["ingest"] == 3
    assert sum(told.answers.values()) > 50


def test_what_is_anothers_or_hidden_is_found_in_what_was_said() -> None:
    holder = Holder("acme", label=False, token="t")  # noqa: S106
    own = MARKS["acme"].encode()
    assert leaks(holder, [own + b"-3", b"acme"]) == []
    assert leaks(holder, [MARKS["hooli"].upper().encode()]) == [MARKS["hooli"]]
    assert leaks(holder, [b"globex"]) == ["globex"]
    assert leaks(holder, [own + b"hidden-1"]) == [MARKS["acme"] + "hidden"]
    assert leaks(Holder("acme", label=True, token="t"), [own + b"hidden-1"]) == []  # noqa: S106
