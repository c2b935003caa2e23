"""The benchmark of the dial: its arithmetic, and one real index."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.bench import corpora, frugality, ours
from eval.bench.frugality import BUDGETS, VALUES, Law, Meaning, Packed, RememberedTokenizer
from eval.datasets import Case, Text
from eval.statistics import Estimate
from eval.systems.indexed import built_index, chunked
from rag.build import build_tokenizer
from rag.settings import load_settings
from rag.worth import price

TEXTS = [
    Text("A#0", "Apples", "Apples are red. Pears are green."),
    Text("A#1", "Apples", "The largest apple weighed 1.849 kg in Hirosaki."),
    Text("B#0", "Boats", "Boats float. The Vasa sank in 1628 after sailing 1300 metres."),
]
CASE = Case("q", "In which year did the Vasa sink?", ("1628",), (("B", 1),), True, {})


def meaning(value: float, lost: float, budget: int = 256) -> Meaning:
    return Meaning("c", "neural", budget, value, 0.9, Estimate(lost, lost, lost, 9), 50.0, 0.5)


def test_loss_and_saving_are_against_filling_the_same_budget() -> None:
    full = Packed("c", "neural", 256, 0.0, (True, True, True, False), (200, 200, 200, 200))
    other = Packed("c", "neural", 512, 0.0, (True, True, True, True), (400, 400, 400, 400))
    less = Packed("c", "neural", 256, 0.1, (True, False, True, False), (50, 50, 50, 50))
    (found,) = frugality.meanings([full, other, less])
    assert (found.loss.mean, found.recall, found.tokens, found.saved) == (0.25, 0.5, 50.0, 0.75)


def test_halves_share_no_question() -> None:
    packed = Packed("c", "neural", 256, 0.0, (True, False, True), (1, 2, 3))
    assert packed.half(0).tokens == (1, 3)
    assert packed.half(1).tokens == (2,)
    assert packed.half(1).hits == (False,)


@settings(max_examples=20, deadline=None)
@given(at=st.floats(0.3, 3), power=st.sampled_from((0.8, 1.0, 1.5)))
def test_a_law_is_found_again(at: float, power: float) -> None:
    true = Law(at * price(0.05) / 0.05**power, power, 0.0)
    measured = [meaning(v, true.loss(price(v))) for v in VALUES if true.loss(price(v)) < 0.9]
    found = frugality.fit(measured, (0.8, 1.0, 1.5))
    assert found.power == power
    assert found.scale == pytest.approx(true.scale, rel=0.03)


def test_a_law_that_expects_to_lose_everything_does_not_fit() -> None:
    assert frugality.misfit(Law(price(0.01), 1.0, 0.0), [meaning(0.5, 0.9)]) == float("inf")


def test_tables_name_every_value_once_a_budget() -> None:
    measured = [meaning(value, value, budget) for value in VALUES for budget in BUDGETS]
    rows = frugality.means_table(measured).splitlines()[2:]
    assert len(rows) == len(VALUES) * len(BUDGETS)
    assert len(frugality.meanings_table(measured).splitlines()) == len(rows) + 2
    assert re.search(r"\| 0\.02 \| 256 \| 0\.020 \| 0\.020 to 0\.020 \| 50% \|", "\n".join(rows))


def test_what_is_packed_once_ranked_is_what_a_question_gets(tmp_path: Path) -> None:
    configured = load_settings(tier="lexical")
    chunks = chunked(corpora.articles(TEXTS), configured)
    corpus = corpora.Corpus("c", (), (CASE,), "", "")
    with built_index(tmp_path / "index", chunks, None, configured.tenant) as index:
        packed = {
            (each.budget_tokens, each.frugality): (each.hits, each.tokens)
            for each in frugality.dialled(corpus, index, configured, None)
        }
        plain = ours.systems(index, configured, None, BUDGETS)
        for system in (*plain, *ours.stopping(plain, VALUES)):
            shown = system.show(CASE)
            found = packed[system.budget_tokens, system.frugality]
            assert found == (("1628" in shown.text,), (shown.tokens,))
    assert len(packed) == len(BUDGETS) * (1 + len(VALUES))


def test_a_remembered_count_is_the_count() -> None:
    plain = build_tokenizer(load_settings())
    remembered = RememberedTokenizer(plain)
    for text in ("", "a b", "a b", "naïve 4711"):
        assert remembered.count(text) == plain.count(text)
    assert remembered.name == plain.name
