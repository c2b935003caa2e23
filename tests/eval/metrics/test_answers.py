"""Answers against results worked out by hand, and what must hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import answers
from rag.adapters.hash_embedder import HashEmbedder
from rag.build import build_analyzer

WORDS = st.text(alphabet="abc the, .'\"XY1-", max_size=40)
ANALYZER = build_analyzer()


@pytest.mark.parametrize(
    ("answer", "golds", "exact", "f1"),
    [
        ("the 45 days", ["45 days."], True, 1.0),
        ("45 days", ["30 days", "45"], False, 2 * 1 / 3),
        ("big big dog", ["big dog dog"], False, 2 * 2 / 6),
        ("cat", ["dog"], False, 0.0),
        ("the", ["a"], True, 1.0),
        ("", ["dog"], False, 0.0),
        ("dog", [], False, 0.0),
    ],
)
def test_exact_match_and_f1(answer: str, golds: list[str], exact: bool, f1: float) -> None:
    assert answers.exact_match(answer, golds) is exact
    assert answers.token_f1(answer, golds) == pytest.approx(f1)


@given(answer=WORDS, gold=WORDS)
def test_f1_is_symmetric_and_one_for_exact_matches(answer: str, gold: str) -> None:
    f1 = answers.token_f1(answer, [gold])
    assert 0 <= f1 <= 1
    assert f1 == answers.token_f1(gold, [answer])
    if answers.exact_match(answer, [gold]):
        assert f1 == 1


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        ([["pump covered 24 months"]], 1.0),
        ([["pumps cover 36 months"]], 3 / 4),
        ([["pump", "valve"]], 1 / 2),
        ([["24 months", "blue valve", "red pump"]], (1 + 0 + 1 / 2) / 3),
        ([["blue valve"], ["24 months"]], 1.0),  # any gold answer will do
        ([["It is"]], 1.0),  # no terms of its own: stands there as it is
        ([["It was"]], 0.0),
        ([[]], 0.0),
        ([], 0.0),
    ],
)
def test_key_point_coverage(alternatives: list[list[str]], expected: float) -> None:
    answer = "It is said that the pump is covered for 24 months."
    found = answers.key_point_coverage(answer, alternatives, ANALYZER)
    assert found == pytest.approx(expected)


@given(answer=WORDS, point=WORDS, more=WORDS)
def test_saying_more_never_covers_less(answer: str, point: str, more: str) -> None:
    before = answers.key_point_coverage(answer, [[point]], ANALYZER)
    after = answers.key_point_coverage(f"{answer} {more}", [[point]], ANALYZER)
    assert 0 <= before <= after <= 1


class Angle:
    """Embeds "90" as the unit vector at 90 degrees."""

    def embed_question(self, text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        radians = np.deg2rad(float(text))
        return np.array([np.cos(radians), np.sin(radians)], dtype=np.float32)


@pytest.mark.parametrize(("answer", "expected"), [("0", 1.0), ("60", 0.5), ("90", 0), ("180", 0)])
def test_relevancy_is_the_cosine_but_never_negative(answer: str, expected: float) -> None:
    assert answers.relevancy(answer, "0", Angle()) == pytest.approx(expected, abs=1e-6)


def test_relevancy_with_an_embedder_of_the_house() -> None:
    embedder, question = HashEmbedder(), "How long is the pump covered?"
    near = answers.relevancy("The pump is covered for 24 months.", question, embedder)
    far = answers.relevancy("Ask Ada about Tuesday.", question, embedder)
    assert 0 <= far < near <= 1
    assert answers.relevancy(question, question, embedder) == pytest.approx(1)
