"""The judging of drafts, with a person who types what is written here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.collecting.review import Progress, review, shown, sources
from eval.collecting.sheet import Draft

LONG = Draft("q1", "How long?", "24 months", ("a.txt", "b.txt"), "[1] For 24 months.", 0.9, 0.8)
NONE = Draft("q2", "Who is the queen?", source=("c.txt",), quote="[1] Nothing.")


class Typed:
    """A terminal at which somebody types given lines and goes away."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines: Iterator[str] = iter(lines)
        self.screen: list[str] = []

    def show(self, text: str) -> None:
        self.screen.append(text)

    def ask(self, prompt: str) -> str | None:
        self.screen.append(prompt)
        return next(self.lines, None)


def typed(*lines: str, drafts: tuple[Draft, ...] = (LONG, NONE)) -> tuple[Progress, list[Draft]]:
    saved: list[Draft] = []
    return review(drafts, Typed(lines), saved.append), saved


def test_each_key_is_kept_at_once() -> None:
    progress, saved = typed("g", "H ", "a", "u")
    grounded = replace(LONG, grounded=True)
    helpful = replace(grounded, helpful=True)
    assert saved == [
        grounded,
        helpful,
        replace(helpful, verdict="accept", answerable=True),
        replace(NONE, verdict="unanswerable", answerable=False),
    ]
    assert progress == Progress(2, 0)


def test_a_judgement_can_be_taken_back_until_the_question_is_decided() -> None:
    _, saved = typed("g", "n", "h", "x", "s")
    assert (saved[-1].grounded, saved[-1].helpful, saved[-1].verdict) == (False, False, "skip")


def test_a_correction_needs_an_answer_and_a_place() -> None:
    _, saved = typed("c", "two years | 24 months", "2", "c", " ", "c", "Anna", "d.txt | e.txt")
    assert saved == [
        replace(
            LONG,
            verdict="correct",
            corrected_answer="two years | 24 months",
            source=("b.txt",),
            answerable=True,
        ),
        replace(
            NONE,
            verdict="correct",
            corrected_answer="Anna",
            source=("d.txt", "e.txt"),
            answerable=True,
        ),
    ]


def test_a_number_that_is_none_of_the_sources_is_asked_again() -> None:
    _, saved = typed("c", "two years", "3", "q")
    assert saved == []


def test_where_there_is_no_draft_there_is_nothing_to_accept_or_ground() -> None:
    terminal = Typed(["a", "g", "n", "q"])
    assert review([NONE], terminal, lambda _: pytest.fail("saved")) == Progress(0, 1)
    assert "There is no draft to accept" in "\n".join(terminal.screen)


def test_an_unknown_key_shows_the_keys() -> None:
    terminal = Typed(["?", "", "q"])
    review([LONG], terminal, lambda _: pytest.fail("saved"))
    assert sum("One of these keys" in text for text in terminal.screen) == 2


@pytest.mark.parametrize("end", [(), ("q",), ("c",), ("c", "two years")])
def test_it_goes_on_where_it_was_left(end: tuple[str, ...]) -> None:
    progress, saved = typed("a", *end)
    assert progress == Progress(1, 1)
    assert [draft.id for draft in saved] == ["q1"]
    progress, more = typed("u", drafts=(saved[-1], NONE))
    assert progress == Progress(2, 0)
    assert [draft.id for draft in more] == ["q2"]


def test_what_is_shown() -> None:
    text = shown(replace(LONG, grounded=False))
    for part in ("How long?", "24 months", "[2] is b.txt", "0.90", "grounded 0.80", "grounded no"):
        assert part in text
    assert "(none)" in shown(NONE)


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ("", ("a", "7")),
        ("1, 2 1", ("a", "7")),
        ("7", ("7",)),
        ("3", ()),
        ("0", ()),
        ("x y.txt", ("x y.txt",)),
        (r"x | y\|z", ("x", "y|z")),
    ],
)
def test_how_sources_are_named(told: str, named: tuple[str, ...]) -> None:
    assert sources(told, ("a", "7")) == named


@given(st.lists(st.sampled_from([*"acusghnxq?", "1", "two years", ""]), max_size=30))
def test_whatever_is_typed_the_last_save_of_each_is_what_was_said(keys: list[str]) -> None:
    kept = {draft.id: draft for draft in (LONG, NONE)}
    progress = review(list(kept.values()), Typed(keys), lambda d: kept.__setitem__(d.id, d))
    judged = sum(draft.judged for draft in kept.values())
    assert (progress.judged, progress.left) == (judged, 2 - judged)
    for draft in kept.values():
        assert draft.verdict not in ("accept", "correct") or (draft.answers and draft.source)
