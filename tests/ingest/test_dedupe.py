import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.dedupe import NearDuplicates
from rag.errors import ValueRangeError

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in ("l", "mp", "rst", "nd")]


def passage(seed: int, words: int = 120) -> list[str]:
    return [str(word) for word in np.random.default_rng(seed).choice(VOCABULARY, words)]


def jaccard(one: str, other: str) -> float:
    """The definition, written out: an independent oracle for texts of lower-case words."""

    def shingles(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        size = min(3, len(words))
        return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}

    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def test_planted_pairs_are_found_and_unrelated_texts_are_not() -> None:
    near = NearDuplicates(0.9)
    for seed in range(400):
        assert near.add(f"original-{seed}", " ".join(passage(seed))) is None
    found = 0
    for seed in range(400):
        words = passage(seed)
        words[np.random.default_rng(seed).integers(120)] = "changed"
        found += near.add(f"copy-{seed}", " ".join(words)) == f"original-{seed}"
    assert found >= 398


def test_every_reported_pair_is_above_the_threshold() -> None:
    near = NearDuplicates(0.7)
    texts = {}
    reported = 0
    for number in range(600):
        words = passage(number % 60)
        for _ in range(number // 60):
            words[np.random.default_rng(number).integers(len(words))] = VOCABULARY[number % 90]
            words = words[3:]
        texts[str(number)] = " ".join(words)
        earlier = near.add(str(number), texts[str(number)])
        if earlier is not None:
            reported += 1
            assert jaccard(texts[str(number)], texts[earlier]) >= 0.7
    assert reported > 50


PAIRS = [
    ("{} costs 49 a month", "{} costs 59 a month"),
    ("{} valid from 2024-01-01 on", "{} valid from 2025-01-01 on"),
    ("{} and costs $10", "{} and costs €10"),
    ("{} and costs $ 10", "{} and costs € 10"),
    ("{} below -5 degrees", "{} below 5 degrees"),
    ("{} 1.5 bar", "{} 15 bar"),
    ("{} from 3 to 5", "{} from 5 to 3"),
    ("{} applies to EU customers", "{} applies to US customers"),
    ("{} in EUR", "{} in USD"),
    ("{} is covered", "{} is not covered"),
    ("{} does apply", "{} doesn't apply"),
    ("{} version v2", "{} version v3"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_different_number_code_or_negation_makes_texts_different(one: str, other: str) -> None:
    shared = " ".join(passage(7, 300))
    near = NearDuplicates(0.5)
    assert near.add("one", one.format(shared)) is None
    assert near.add("other", other.format(shared)) is None
    assert near.add("again", other.format(shared)) == "other"


def test_layout_case_and_punctuation_do_not_matter() -> None:
    near = NearDuplicates(1.0)
    near.add("a", "Press the 2 buttons, then wait.")
    assert near.add("b", "press   the 2\nbuttons then wait") == "a"


def test_the_order_of_words_matters_even_in_short_texts() -> None:
    near = NearDuplicates(0.9)
    near.add("a", "alpha beats beta")
    assert near.add("b", "beta beats alpha") is None
    near.add("c", "alpha beta")
    assert near.add("d", "beta alpha") is None
    near.add("e", "gamma")
    assert near.add("f", "Gamma!") == "e"


def test_a_text_without_words_is_never_a_duplicate() -> None:
    near = NearDuplicates(0.9)
    assert [near.add(str(i), text) for i, text in enumerate(["", " ", "...", "..."])] == [None] * 4
    assert len(near) == 0


def test_the_most_similar_earlier_text_is_named_and_duplicates_are_not_remembered() -> None:
    near = NearDuplicates(0.5)
    words = passage(3)
    near.add("far", " ".join(passage(1)))
    near.add("half", " ".join(words[:90] + passage(2, 30)))
    near.add("kept", " ".join(words[:60] + passage(4, 60)))
    assert near.add("copy", " ".join(words)) == "half"
    assert len(near) == 3


def test_memory_is_bounded_by_forgetting_the_oldest() -> None:
    near = NearDuplicates(0.9, capacity=10)
    for seed in range(30):
        near.add(str(seed), " ".join(passage(seed)))
    assert len(near) == 10
    assert near.add("new", " ".join(passage(29))) == "29"
    assert near.add("forgotten", " ".join(passage(0))) is None


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=12), st.floats(0.05, 1.0))
def test_any_text_is_accepted_and_repeats_name_an_earlier_one(
    texts: list[str], similarity: float
) -> None:
    first, second = NearDuplicates(similarity), NearDuplicates(similarity)
    for number, text in enumerate(texts):
        earlier = first.add(str(number), text)
        assert earlier == second.add(str(number), text)
        assert earlier is None or int(earlier) < number
        if earlier is None and len(first):
            repeated = first.add("repeat", text)
            assert repeated is None if not any(c.isalnum() or c == "_" for c in text) else repeated


@pytest.mark.parametrize("similarity", [0.0, -1.0, 1.01, float("nan")])
def test_a_similarity_outside_its_bounds_is_refused(similarity: float) -> None:
    with pytest.raises(ValueRangeError):
        NearDuplicates(similarity)


def test_a_capacity_of_nothing_is_refused() -> None:
    with pytest.raises(ValueRangeError):
        NearDuplicates(0.9, capacity=0)
