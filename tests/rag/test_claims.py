import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.build import build_analyzer, build_splitter
from rag.claims import MOST_WORDS, Word, grounded_share, statements, word_count, words

ANALYZER, SPLITTER = build_analyzer(), build_splitter()


def named(text: str) -> list[str]:
    return [word.text for word in words(text, ANALYZER) if word.name]


def negated(text: str) -> list[str]:
    return [word.text for word in words(text, ANALYZER) if word.negated]


def test_an_answer_is_split_without_bullets_and_source_marks() -> None:
    answer = "The pump is covered [1]. It weighs 35 kg [2, 3].\n\n1. Keep it dry.\n- Call us!\n---"
    assert statements(answer, SPLITTER) == (
        "The pump is covered .",
        "It weighs 35 kg .",
        "Keep it dry.",
        "Call us!",
    )


def test_what_says_nothing_is_no_statement() -> None:
    assert statements("... \n * [1] - !", SPLITTER) == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The house of Anna Keller stands.", ["anna", "keller"]),
        ("Anna Keller built it. Then it fell.", ["anna", "keller"]),
        ("Pumps are built in Hamburg.", ["hamburg"]),
        ("it inhibits CYP2D6 and p53", ["cyp2d6", "p53"]),
        ("there are 35 of them", []),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    assert named(text) == names


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("It does not cover frost damage.", ["cover", "frost", "damage"]),
        ("It doesn't cover frost.", ["cover", "frost"]),
        ("It does n't cover frost.", ["cover", "frost"]),
        ("There is no cover, but heat.", ["cover"]),
        ("It covers frost without any question.", ["any", "question"]),
        ("It covers frost.", []),
    ],
)
def test_what_a_negation_reaches(text: str, reached: list[str]) -> None:
    assert negated(text) == reached


def test_a_compound_keeps_the_terms_of_its_parts() -> None:
    (word,) = words("e-mail", ANALYZER)
    assert word.terms == (*ANALYZER.terms("e mail"), *ANALYZER.terms("email"))


def test_no_more_words_than_are_compared() -> None:
    assert len(words("word " * 1000, ANALYZER)) == MOST_WORDS


@given(st.text(max_size=100))
def test_words_stand_where_they_say(text: str) -> None:
    found: tuple[Word, ...] = words(text, ANALYZER)
    assert len(found) == word_count(text)
    for word in found:
        assert text[word.span.start : word.span.end].lower().startswith(word.text)


def test_the_grounded_share_weighs_by_words() -> None:
    said = ("one two three", "one")
    assert grounded_share(said, (1.0, 0.0)) == pytest.approx(0.75)
    assert grounded_share((), ()) == 0.0
