from rag.build import build_analyzer
from rag.opposites import opposites, turned

ANALYZER = build_analyzer()
KNOWN = opposites(ANALYZER)


def count(said: str, near: str) -> int:
    return turned(ANALYZER.terms(said), frozenset(ANALYZER.terms(near)), KNOWN)


def test_a_contrary_is_found_in_any_form() -> None:
    assert count("pressure decreases", "the pressure increased") == 1
    assert count("pressure increased", "decreasing pressure") == 1


def test_what_stands_there_itself_is_not_turned() -> None:
    assert count("it rises", "it rises and falls") == 0
    assert count("it glows", "it falls") == 0


def test_opposites_go_both_ways_and_never_to_themselves() -> None:
    assert len(KNOWN) > 80
    for term, others in KNOWN.items():
        assert term not in others
        assert all(term in KNOWN[other] for other in others)
