import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.build import build_analyzer
from rag.followup import is_of, standalone
from rag.generating import Message

ANALYZER = build_analyzer()
PUMP = (
    Message("user", "What is the warranty of the X200 pump in France?"),
    Message("assistant", "It is 24 months, says Nordwind GmbH."),
)


def asked(question: str, history: tuple[Message, ...] = PUMP) -> str:
    return standalone(question, history, ANALYZER).text


TAKEN = "(warranty X200 pump France Nordwind GmbH)"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("and in Germany?", f"and in Germany? {TAKEN}"),
        ("What about 2023?", f"What about 2023? {TAKEN}"),
        (
            "How long does it last?",
            "How long does it last? (warranty X200 pump France Nordwind GmbH)",
        ),
        ("Price", f"Price {TAKEN}"),
        ("Does its pump break?", "Does its pump break? (warranty X200 France Nordwind GmbH)"),
    ],
)
def test_a_follow_up_takes_up_what_it_leans_on(question: str, expected: str) -> None:
    assert asked(question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "How many employees does Nordwind GmbH have?",
        "Who founded Nordwind?",
        "Which documents do I need for a passport?",
        "What is the capital of France?",
    ],
)
def test_a_question_that_stands_alone_is_left_as_it_is(question: str) -> None:
    found = standalone(question, PUMP, ANALYZER)
    assert (found.text, found.changed, found.how) == (question, False, "stands alone")


def test_the_first_question_is_left_as_it_is() -> None:
    found = standalone("And it?", (), ANALYZER)
    assert (found.text, found.changed, found.how) == ("And it?", False, "the first question")


def test_where_there_is_nothing_to_take_up_nothing_is_made_up() -> None:
    found = standalone("And it?", (Message("user", "So is it?"),), ANALYZER)
    assert (found.text, found.changed) == ("And it?", False)
    assert found.how == "points back ('it'); there is nothing to take up"


def test_the_trace_says_what_was_done() -> None:
    found = standalone("and in Germany?", PUMP, ANALYZER)
    assert found.changed
    assert found.how == "goes on ('and'): takes up 'warranty X200 pump France Nordwind GmbH'"


def test_a_chain_of_follow_ups_reaches_back_to_the_question_that_stood_alone() -> None:
    history = (
        Message("user", "How tall is the lighthouse of Sandholm?"),
        Message("user", "What is the warranty of the X200 pump?"),
        Message("user", "and in Germany?"),
    )
    text = asked("and what about Spain?", history)
    assert text == "and what about Spain? (Germany warranty X200 pump)"


def test_only_the_last_reply_is_looked_at_and_only_for_names() -> None:
    history = (
        Message("user", "Who wrote the report on harbours?"),
        Message("assistant", "The report was written by Anna Keller in spring."),
    )
    assert asked("When was she born?", history).endswith("(wrote report harbours Anna Keller)")


def test_a_model_s_rewriting_may_use_no_words_of_its_own() -> None:
    assert is_of(
        "What is the warranty of the X200 pump in Germany?", "and Germany?", PUMP, ANALYZER
    )
    assert not is_of("What is the price in Germany?", "and Germany?", PUMP, ANALYZER)
    assert not is_of("", "and Germany?", PUMP, ANALYZER)


MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant"]), st.text(max_size=80)), max_size=5
)


@given(st.text(max_size=80), MESSAGES)
def test_words_are_only_taken_from_the_conversation(question: str, history: list[Message]) -> None:
    found = standalone(question, history, ANALYZER)
    assert found.text.startswith(question)
    assert found.changed == (found.text != question)
    added = found.text.removeprefix(question).strip(" ()").split()
    said = " ".join(message.text for message in history)
    assert all(word in said for word in added)
    assert len(added) <= 16


def test_a_long_conversation_takes_bounded_time() -> None:
    history = [Message("user", "and it? " * 50_000), Message("assistant", "Anna " * 50_000)] * 500
    started = time.process_time()
    found = standalone("and it?", history, ANALYZER)
    assert time.process_time() - started < 3
    assert len(found.text) < 200


@pytest.mark.parametrize(
    "question", ["Und in Deutschland?", "Et en Allemagne ?", "¿Y en Alemania?", "Qu’en est-il ici?"]
)
def test_a_follow_up_in_another_language(question: str) -> None:
    assert asked(question) == f"{question} {TAKEN}"


def test_only_so_many_questions_are_looked_back_at() -> None:
    first = Message("user", "What is the warranty of the X200 pump?")
    leaning = Message("user", "And it?")
    assert standalone("And then?", (first, *[leaning] * 5), ANALYZER).changed
    assert not standalone("And then?", (first, *[leaning] * 6), ANALYZER).changed
