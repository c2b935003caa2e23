import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.worth import LEXICAL, NEURAL, Worth, price, shares

share = st.floats(0, 1)
worths = st.builds(
    Worth,
    passage=share,
    cosine=st.one_of(st.none(), st.floats(-1, 1)),
    coverage=share,
    kind=st.sampled_from((-1.0, 0.0, 1.0)),
    link=st.sampled_from((0.0, 1.0)),
    siblings=st.integers(1, 200),
)
PLAIN = Worth(passage=0.5, cosine=0.5, coverage=0.5, kind=0.0)


@given(st.lists(worths, min_size=1, max_size=30))
def test_shares_are_a_distribution(offered: list[Worth]) -> None:
    found = shares(offered)
    assert math.isclose(sum(found), 1.0, abs_tol=1e-9)
    assert all(0 <= one <= 1 for one in found)


def test_nothing_offered_has_no_shares() -> None:
    assert shares([]) == []


@pytest.mark.parametrize("lexical", [True, False])
@pytest.mark.parametrize(
    "better",
    [
        {"passage": 0.9},
        {"coverage": 0.9},
        {"kind": 1.0},
        {"link": 1.0},
        {"siblings": 1},
        {"cosine": 0.9},
    ],
)
def test_more_of_anything_is_worth_more(better: dict[str, float], *, lexical: bool) -> None:
    if lexical and "cosine" in better:
        pytest.skip("the lexical tier has no cosines")
    usual = PLAIN._replace(siblings=4, cosine=None if lexical else 0.5)
    first, second = shares([usual._replace(**better), usual])  # type: ignore[arg-type]
    assert first > second


def test_coverage_says_less_where_the_model_has_understood() -> None:
    def lead(best_cosine: float) -> float:
        plain = PLAIN._replace(cosine=min(0.5, best_cosine))
        covering, other = plain._replace(coverage=1.0), plain._replace(coverage=0.0)
        sure = PLAIN._replace(cosine=best_cosine)
        first, second, _ = shares([covering, other, sure])
        return first / second

    assert lead(0.9) < lead(0.6)
    assert lead(-0.9) == pytest.approx(lead(0.0)), "no understanding is no more than doubt"


def test_only_the_best_cosine_tells_how_well_the_model_has_understood() -> None:
    covering, other = PLAIN._replace(coverage=1.0), PLAIN._replace(coverage=0.0)

    def lead(*cosines: float) -> float:
        rest = [PLAIN._replace(cosine=cosine) for cosine in cosines]
        first, second, *_ = shares([covering, other, *rest])
        return first / second

    assert lead(0.9) == pytest.approx(lead(0.9, -0.5, 0.0))


@pytest.mark.parametrize("name", ["passage", "cosine", "coverage", "kind", "link"])
@pytest.mark.parametrize("lexical", [True, False])
def test_each_sign_counts_by_the_weight_of_its_tier(name: str, *, lexical: bool) -> None:
    if lexical and name == "cosine":
        pytest.skip("the lexical tier has no cosines")
    usual = Worth(passage=0.0, cosine=None if lexical else 0.0, coverage=0.0, kind=0.0)
    first, second = shares([usual._replace(**{name: 0.5}), usual])
    weight = getattr(LEXICAL if lexical else NEURAL, name)
    assert math.log(first / second) == pytest.approx(0.5 * weight)


def test_a_sentence_without_a_vector_is_taken_to_be_usual() -> None:
    low, high = PLAIN._replace(cosine=0.2), PLAIN._replace(cosine=0.8)
    first, unknown, last = shares([low, PLAIN._replace(cosine=None), high])
    assert first < unknown < last


def test_no_frugality_asks_no_price() -> None:
    assert price(0.0) == 0.0
    assert price(0.01) < price(0.1)
    assert price(0.7) == pytest.approx(0.01), "as fitted: fit it again rather than change this"
