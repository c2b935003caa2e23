import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.analysis import EnglishAnalyzer
from rag.kinds import aim, asked_kind, asks_for_several, asks_for_verdict, holder

ANALYZER = EnglishAnalyzer()


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When was it founded?", "date"),
        ("In which year did it end?", "date"),
        ("What time does the office open?", "date"),
        ("How many days are logs kept?", "number"),
        ("how much does it cost", "number"),
        ("What percentage is kept?", "number"),
        ("Which port does it listen on?", "number"),
        ("Who signs the contract?", "name"),
        ("To whom do I report?", "name"),
        ("Whose laptop is it?", "name"),
        ("Why are logs kept?", "account"),
        ("How is it kept?", "account"),
        ("Where are logs kept?", "place"),
        ("What is the cost of it?", "number"),
        ("Is it known what plan B costs?", "number"),
        ("Which of the two costs more?", "number"),
        ("What happens when it ends?", None),
        ("What is kept?", None),
        ("Is the whole team invited?", None),
        ("Tell me about Whoville", None),
        ("", None),
    ],
)
def test_the_kind_a_question_asks_for(question: str, kind: str | None) -> None:
    assert asked_kind(question) == kind


@pytest.mark.parametrize(
    ("kind", "sentence", "question", "expected"),
    [
        ("date", "It was founded in 1998.", "When was it founded?", True),
        ("date", "Founded in 1998, it grew.", "When, after 1998, did it grow?", False),
        ("date", "It opens at 9:30.", "When does it open?", True),
        ("date", "Reports are due monthly.", "When are reports due?", True),
        ("date", "It was founded long ago.", "When was it founded?", False),
        ("date", "It has 12 members.", "When was it founded?", False),
        ("number", "Logs are kept for thirty days.", "How long are logs kept?", True),
        ("number", "Logs are kept for 30 days.", "How long are logs kept?", True),
        ("number", "Logs are kept.", "How long are logs kept?", False),
        ("number", "Plan 3 is for teams.", "How much does plan 3 cost?", False),
        ("name", "The contract is signed by Ada Lovelace.", "Who signs the contract?", True),
        ("name", "Ada Lovelace signs.", "What did Ada Lovelace do, and who else?", False),
        ("name", "it is signed by the manager.", "Who signs it?", False),
    ],
)
def test_whether_a_sentence_holds_what_was_asked_for(
    kind: str, sentence: str, question: str, expected: bool
) -> None:
    assert holder(kind, question)(sentence) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "noun"),
    [
        ("Which company owns the pump?", "company owns"),
        ("What year was it?", "year"),
        ("How many free days are there?", "free days"),
        ("What is the name of the office in Bern?", "office"),
        ("what type of metal is it", "metal"),
        ("Whose laptop is it?", "laptop"),
        ("Who is it?", ""),
    ],
)
def test_the_noun_asked_for(question: str, noun: str) -> None:
    assert aim(question, ANALYZER).head == frozenset(ANALYZER.terms(noun))


@pytest.mark.parametrize(
    ("question", "verdict"),
    [
        ("Is overtime paid?", True),
        ("Aspirin after a fall: does it help?", True),
        ("May I bring a dog?", True),
        ("Is it red or blue?", False),
        ("Is it known who did it?", False),
        ("Island of plenty", False),
        ("", False),
    ],
)
def test_questions_for_a_verdict(question: str, verdict: bool) -> None:
    assert asks_for_verdict(question) is verdict


@pytest.mark.parametrize(
    ("question", "several"),
    [
        ("Which documents are needed?", True),
        ("What are the three steps?", True),
        ("List the offices", True),
        ("Which extra fees do guests pay?", True),
        ("Which document is needed?", False),
        ("Which process can fail?", False),
        ("What is it?", False),
    ],
)
def test_questions_for_several_things(question: str, several: bool) -> None:
    assert asks_for_several(question) is several


@given(st.text(max_size=80))
def test_every_question_is_understood_somehow(question: str) -> None:
    wanted = aim(question, ANALYZER)
    assert wanted.kind == asked_kind(question)
    assert not (asks_for_verdict(question) and wanted.kind)
