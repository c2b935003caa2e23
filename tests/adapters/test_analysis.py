import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters import analysis
from rag.adapters.analysis import EnglishAnalyzer

ANALYZER = EnglishAnalyzer()
words = st.sampled_from("Logs log kept keeping naïve NAIVE EU 4711 über the of is a-b x_1".split())


def same(first: str, second: str) -> bool:
    return ANALYZER.terms(first) == ANALYZER.terms(second) != []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("retention", "Retentions"),
        ("connected", "connecting"),
        ("policies", "policy"),
        ("café", "CAFE"),
        ("cafe\u0301", "café"),
        ("Ångström", "angstrom"),
        ("ﬁle", "file"),
        ("İstanbul", "istanbul"),
        ("Acme™", "acmetm"),
        ("snake_case", "snake-case"),
        ("10,000 or 1,234,567", "10000 or 1234567"),
        ("v2.4", "2.4"),
        ("app-v2.4", "App_2.4"),
        ("--verbose, `_private`.", "verbose private"),
        ("logs, kept!", "the logs; (kept)"),
    ],
)
def test_forms_of_a_word_are_one_term(first: str, second: str) -> None:
    assert same(first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("retention", "detention"),
        ("rfc2119", "rfc2118"),
        ("rfc822s", "rfc822"),  # what holds a digit is never stemmed
        ("area51s", "area51"),
        ("30", "300"),
        ("10-2", "102"),
        ("1.10", "1-10"),
        ("io.open", "ioopen"),
    ],
)
def test_identifiers_and_numbers_are_kept_apart(first: str, second: str) -> None:
    assert not same(first, second)


def test_stop_words_and_question_words_are_no_terms() -> None:
    assert ANALYZER.terms("What is it that the and of, when how why do they?") == []
    assert ANALYZER.terms("") == []
    assert len(ANALYZER.terms("How long are the logs kept?")) == 3


@pytest.mark.parametrize(
    ("written", "parts", "compound"),
    [
        ("kube-apiserver", "kube apiserver", "kubeapiserver"),
        ("max_wal_size", "max wal size", "maxwalsize"),
        ("E-mail", "e mail", "email"),
        ("COVID-19", "covid 19", "covid19"),
        ("state-of-the-art", "state art", "stateoftheart"),
        ("Crème-brûlée", "creme brulee", "cremebrulee"),
    ],
)
def test_a_compound_is_a_term_after_its_parts(written: str, parts: str, compound: str) -> None:
    assert ANALYZER.terms(written) == ANALYZER.terms(f"{parts} {compound}")


@pytest.mark.parametrize("written", ["2.4.1", "requirements.txt", "2024-01-31", "v1.2.0-rc.1"])
def test_what_no_plain_word_equals_is_one_term_more(written: str) -> None:
    parts = ANALYZER.terms(re.sub("[-.]", " ", written.removeprefix("v")))
    *first, compound = ANALYZER.terms(written)
    assert first == parts
    assert compound not in parts


def test_lists_of_numbers_are_no_thousands() -> None:
    assert ANALYZER.terms("1,2,300") == ANALYZER.terms("1 2 300")
    assert ANALYZER.terms("in 1990,1991") == ANALYZER.terms("in 1990 1991")
    assert ANALYZER.terms("1,000, 10,000.") == ANALYZER.terms("1000 10000")


def test_order_and_repeats_are_kept() -> None:
    log, keep = ANALYZER.terms("log keep")
    assert ANALYZER.terms("keep the log, log or keep") == [keep, log, log, keep]


def test_ids_do_not_change_between_releases() -> None:
    """An index outlives the process that made it."""
    assert ANALYZER.terms("Retention of logs: 30 days, naïve") == EnglishAnalyzer().terms(
        "retention logs 30 days naive"
    )
    assert ANALYZER.terms("retention log 30") == [1_695_497_052, 1_811_268_606, 749_129_358]


@given(st.text(st.characters()))
def test_ids_are_unsigned_32_bit_numbers_and_the_same_every_time(text: str) -> None:
    terms = ANALYZER.terms(text)
    assert all(0 <= term < 2**32 for term in terms)
    assert EnglishAnalyzer().terms(text) == terms


@given(st.lists(words))
def test_terms_of_a_text_are_those_of_its_words(parts: list[str]) -> None:
    alone = [term for part in parts for term in ANALYZER.terms(part)]
    assert ANALYZER.terms(" ".join(parts)) == alone


@given(st.text(st.characters(categories=["Lu", "Ll"]), max_size=20))
def test_composed_and_decomposed_text_is_the_same(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    decomposed = unicodedata.normalize("NFD", text)
    assert ANALYZER.terms(composed) == ANALYZER.terms(decomposed)


@given(st.text(st.characters(max_codepoint=127)))
def test_the_quick_way_for_ascii_finds_the_same_words(text: str) -> None:
    assert analysis._written(text) == analysis._WRITTEN.findall(text.lower())


@given(st.text(alphabet="av1é-_.,' \u0301", max_size=30))
def test_words_do_not_depend_on_what_stands_around_them(text: str) -> None:
    assert ANALYZER.terms(f"({text}) ½") == [*ANALYZER.terms(text), *ANALYZER.terms("½")]


def test_what_is_known_is_bounded() -> None:
    analyzer = EnglishAnalyzer()
    analyzer.terms("x" * 1000)
    assert not analyzer._known
    analyzer.terms("word. word, word")
    assert sorted(analyzer._known) == ["word", "word,", "word."]
