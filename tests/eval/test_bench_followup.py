"""The benchmark of follow-ups on two conversations written here."""

from __future__ import annotations

from pathlib import Path

from eval.bench.followup import _half, _history, _Looking, _rows
from eval.datasets import Case, Text
from eval.systems.indexed import built_index, chunked, single
from rag.generating import Message
from rag.settings import load_settings

SETTINGS = load_settings(tier="lexical", tokenizer="cl100k_base")
HISTORY = [
    {"speaker": "user", "text": "What is the warranty of the X200 pump?"},
    {"speaker": "agent", "text": "It is 24 months."},
]


def case(number: int, text: str, gold: str) -> Case:
    return Case(f"c{number}<::>2", text, (), ((gold, 1),), True, {"history": HISTORY})


CASES = [case(0, "And its price?", "pump"), case(1, "Who founded Nordwind GmbH?", "firm")]


def test_follow_ups_find_more_with_what_they_lean_on(tmp_path: Path) -> None:
    texts = [Text("pump", "", "The X200 pump is dear."), Text("firm", "", "Nordwind GmbH is old.")]
    texts += [Text(f"other-{i}", "", f"The price of ticket {i} is low.") for i in range(9)]
    chunks = chunked(map(single, texts), SETTINGS)
    with built_index(tmp_path, chunks, None, SETTINGS.tenant) as index:
        rows = {row.way: row for row in _rows("half", CASES, _Looking(index, SETTINGS))}
    alone, ours = rows["the last question alone"], rows["standalone"]
    assert (alone.recall, alone.changed, alone.recall_of_changed) == (0.5, 0, None)
    assert (ours.recall, ours.changed) == (1.0, 1)
    assert (ours.recall_of_changed, ours.alone_of_changed) == (1.0, 0.0)


def test_a_conversation_lies_in_one_half() -> None:
    turns = [case(7, "a", "x"), case(7, "b", "x")]
    assert _half(turns[0]) == _half(turns[1])
    assert {_half(case(number, "a", "x")) for number in range(20)} == {0, 1}


def test_a_conversation_is_read_with_its_speakers() -> None:
    assert _history(CASES[0])[1] == Message("assistant", "It is 24 months.")
