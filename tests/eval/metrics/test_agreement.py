"""How far two agree: by hand, at the edges, and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.agreement import Agreement, agreement


def test_kappa_by_hand() -> None:
    # p_o = 35 / 50; the person says yes to 25 of 50, the program to 30: p_e = 0.3 + 0.2.
    counts = Agreement(both_yes=20, person_only=5, automatic_only=10, both_no=15)
    assert counts.raw == pytest.approx(0.7)
    assert counts.kappa == pytest.approx(0.4)
    assert counts.to_text() == (
        "50 judged, agreement 0.70, kappa 0.40 (both yes 20, person only 5, automatic only 10, "
        "both no 15)"
    )


def test_kappa_where_chance_explains_all_or_nothing_was_judged() -> None:
    assert agreement([(True, True)] * 5).kappa is None
    assert "undefined" in agreement([(True, True)] * 5).to_text()
    assert (agreement([]).raw, agreement([]).kappa) == (None, None)
    assert agreement([]).to_text() == "nothing judged by both"


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_kappa_is_bounded_symmetric_and_one_only_for_full_agreement(
    pairs: list[tuple[bool, bool]],
) -> None:
    ours, turned = agreement(pairs), agreement((b, a) for a, b in pairs)
    assert ours.n == len(pairs)
    assert ours.kappa == turned.kappa or ours.kappa == pytest.approx(turned.kappa)
    if ours.kappa is not None:
        assert -1 <= ours.kappa <= 1
        assert (ours.kappa == pytest.approx(1)) == all(a == b for a, b in pairs)
