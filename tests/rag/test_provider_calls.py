import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import BackendError, BackendRejectedError, BackendTimeoutError
from rag.generating import Ended, Message, Prompt, Sampling, TokensUsed
from rag.provider_calls import (
    Bounded,
    Bounds,
    Counting,
    PassingError,
    RetryBudget,
    Retrying,
    Waits,
    plausible,
)
from rag.relay import Piece

PROMPT = Prompt((Message("user", "Why?"),), "1", 40)
END = Ended("stop", TokensUsed(44, 8, 2, reported=True), 0.5)


class Words:
    """Counts words."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


class Scripted:
    """A generator that plays one script a call: pieces, or errors to raise."""

    name = "scripted"

    def __init__(self, *scripts: Sequence[Piece | Exception]) -> None:
        self.scripts = list(scripts)
        self.asked: list[tuple[Sampling, float]] = []
        self.closed = 0

    def stream(self, _: Prompt, sampling: Sampling, deadline: float) -> Iterator[Piece]:
        self.asked.append((sampling, deadline))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            for each in script:
                if isinstance(each, Exception):
                    raise each
                yield each
        finally:
            self.closed += 1


def passing(seconds: float | None = None) -> PassingError:
    error = PassingError("busy", 429, "try again later")
    error.retry_after = seconds
    return error


def run(generator: Retrying | Counting | Bounded, seconds: float = 60.0) -> list[Piece]:
    return list(generator.stream(PROMPT, Sampling(10), time.monotonic() + seconds))


def retrying(
    inner: Scripted, budget: RetryBudget | None = None, waits: Waits | None = None
) -> tuple[Retrying, list[float]]:
    slept: list[float] = []
    return Retrying(inner, budget or RetryBudget(), waits, lambda: 1.0, slept.append), slept


def test_what_begins_well_is_passed_on() -> None:
    generator, slept = retrying(Scripted(["a", "b", END]))
    assert run(generator) == ["a", "b", END]
    assert not slept
    assert generator.name == "scripted"


def test_waits_double_up_to_a_bound() -> None:
    generator, slept = retrying(Scripted([passing()]), waits=Waits(6, 0.5, 3.0))
    with pytest.raises(PassingError):
        run(generator)
    assert slept == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_wait_that_is_asked_for_is_kept() -> None:
    generator, slept = retrying(Scripted([passing(7)], ["a", END]))
    assert run(generator) == ["a", END]
    assert slept == [7.5]


@pytest.mark.parametrize(("asked", "seconds"), [(30, 20), (None, 0.4), (1e9, 60)])
def test_no_wait_goes_past_the_deadline(asked: float | None, seconds: float) -> None:
    inner = Scripted([passing(asked)])
    generator, slept = retrying(inner)
    with pytest.raises(PassingError):
        run(generator, seconds)
    assert not slept
    assert len(inner.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        BackendError("no answer", 1, "do"),
        BackendRejectedError("no", 1, "do"),
        BackendTimeoutError("late", 1, "do"),
    ],
)
def test_other_failures_are_final(error: BackendError) -> None:
    inner = Scripted([error], ["a", END])
    with pytest.raises(type(error)):
        run(retrying(inner)[0])
    assert len(inner.asked) == 1


def test_what_was_begun_is_not_begun_again() -> None:
    inner = Scripted(["a", passing()], ["a", END])
    with pytest.raises(PassingError):
        run(retrying(inner)[0])
    assert len(inner.asked) == 1


def test_a_piece_that_is_empty_begins_nothing() -> None:
    inner = Scripted(["", passing()], ["", "a", END])
    generator, slept = retrying(inner)
    assert run(generator) == ["", "", "a", END]
    assert len(slept) == 1


def test_whoever_waits_for_the_next_try_can_leave() -> None:
    inner = Scripted([passing(30)], ["a", END])
    generator = Retrying(inner, RetryBudget())
    pieces = generator.stream(PROMPT, Sampling(), time.monotonic() + 60)
    started = time.monotonic()
    assert next(pieces) == ""
    pieces.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 5
    assert len(inner.asked) == 1


def test_an_outage_is_not_multiplied() -> None:
    inner = Scripted([passing()])
    generator, _ = retrying(inner, RetryBudget(share=0.1, most=10))
    for _ in range(500):
        with pytest.raises(PassingError):
            run(generator)
    assert 500 + 40 <= len(inner.asked) <= 500 + 10 + 50


@given(st.lists(st.booleans(), max_size=200))
def test_a_budget_never_gives_more_than_it_was_given(calls: list[bool]) -> None:
    budget = RetryBudget(share=0.25, most=4)
    given_out, earned = 0, 4.0
    for earns in calls:
        if earns:
            budget.earn()
            earned += 0.25
        else:
            given_out += budget.spend()
    assert given_out <= earned


@pytest.mark.parametrize("wrapper", ["retrying", "counting", "bounded"])
def test_closing_closes_what_is_inside(wrapper: str) -> None:
    inner = Scripted(["a", "b", "c", END])
    generator: Retrying | Counting | Bounded = {
        "retrying": Retrying(inner, RetryBudget()),
        "counting": Counting(inner, Words()),
        "bounded": Bounded(inner, Bounds(60, 100, 1000)),
    }[wrapper]
    pieces = generator.stream(PROMPT, Sampling(), time.monotonic() + 60)
    assert next(pieces) == "a"
    assert inner.closed == 0
    pieces.close()  # type: ignore[attr-defined]
    assert inner.closed == 1


def test_a_report_that_can_be_true_is_kept() -> None:
    assert run(Counting(Scripted(["a ", "b", END]), Words()))[-1] == END


def test_without_a_report_tokens_are_counted() -> None:
    end = run(Counting(Scripted(["a ", "b c", Ended("length", None, 0.5)]), Words()))[-1]
    assert end == Ended("length", TokensUsed(40, None, 3, reported=False), 0.5)


def test_pieces_that_are_parts_of_words_are_not_taken_for_words() -> None:
    pieces = ["x"] * 5000
    assert run(Counting(Scripted([*pieces, END]), Words()))[:-1] == pieces


def test_a_text_without_end_is_cut() -> None:
    inner = Scripted(["a "] * 1000)
    *pieces, end = run(Counting(inner, Words()))
    assert len(pieces) == 2 * 10 + 16 + 1
    assert end == Ended("length", TokensUsed(40, None, len(pieces), reported=False))
    assert inner.closed == 1


COUNTED = TokensUsed(100, None, 20, reported=False)


@pytest.mark.parametrize(
    ("prompt", "cached", "completion", "believed"),
    [
        (100, None, 20, True),
        (130, 128, 25, True),
        (25, 0, 5, True),
        (464, 0, 96, True),
        (100, 0, 160, True),  # hidden reasoning within max_tokens
        (24, 0, 20, False),
        (465, 0, 20, False),
        (100, 101, 20, False),
        (100, -1, 20, False),
        (-100, 0, 20, False),
        (100, 0, -1, False),
        (100, 0, 0, False),
        (100, 0, 4, False),
        (100, 0, 161, False),
    ],
)
def test_what_a_report_may_say(
    prompt: int, cached: int | None, completion: int, *, believed: bool
) -> None:
    reported = TokensUsed(prompt, cached, completion, reported=True)
    assert plausible(reported, COUNTED, Sampling()) is believed


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_our_own_count_is_always_plausible(prompt: int, completion: int) -> None:
    counted = TokensUsed(prompt, None, completion, reported=False)
    assert plausible(counted, counted, Sampling())


def test_a_call_is_held_to_the_bounds() -> None:
    inner = Scripted(["a", END])
    before = time.monotonic()
    run(Bounded(inner, Bounds(5, 7, 1000)))
    ((sampling, deadline),) = inner.asked
    assert sampling.max_tokens == 7
    assert before + 5 <= deadline <= time.monotonic() + 5


def test_an_earlier_deadline_and_a_smaller_answer_stay() -> None:
    inner = Scripted(["a", END])
    run(Bounded(inner, Bounds(500, 70, 1000)), 2)
    ((sampling, deadline),) = inner.asked
    assert sampling.max_tokens == 10
    assert deadline <= time.monotonic() + 2


def test_an_answer_fits_beside_its_prompt() -> None:
    inner = Scripted(["a", END])
    run(Bounded(inner, Bounds(5, 70, 40 + 64 + 3)))
    assert inner.asked[0][0].max_tokens == 3


def test_a_prompt_without_room_is_not_sent() -> None:
    inner = Scripted(["a", END])
    with pytest.raises(BackendRejectedError, match="40 of 104"):
        run(Bounded(inner, Bounds(5, 70, 104)))
    assert not inner.asked


@pytest.mark.parametrize(
    ("bounds", "answer", "longest"),
    [
        (Bounds(30, 512, 2048), 160, 2048 - 64 - 160),
        (Bounds(30, 99, 2048), 160, 2048 - 64 - 99),
        (Bounds(30, 512, 2048), 9999, 2048 - 64 - 512),
        (Bounds(30, 9999, 2048), 9999, 2048 - 64 - 512),
    ],
)
def test_a_prompt_leaves_room_for_the_answer(bounds: Bounds, answer: int, longest: int) -> None:
    assert bounds.prompt_tokens(answer) == longest


def test_a_huge_piece_is_taken_in_parts() -> None:
    huge = "word " * 1_000_000
    *pieces, end = run(Counting(Scripted([huge, END]), Words()))
    text = "".join(map(str, pieces))
    assert huge.startswith(text)
    assert len(text) == 4_000
    assert end == Ended("length", TokensUsed(40, None, 800, reported=False))


def test_counting_stops_at_the_deadline() -> None:
    class Slow(Words):
        def count(self, text: str) -> int:
            time.sleep(0.1)
            return 0 * len(text)

    started = time.monotonic()
    with pytest.raises(BackendTimeoutError):
        run(Counting(Scripted(["x" * 400_000, END]), Slow()), 0.3)
    assert time.monotonic() - started < 2


@given(st.lists(st.sampled_from(["word ", " a b c ", "x" * 900, " "]), max_size=60))
def test_a_long_text_is_counted_once_and_right(pieces: list[str]) -> None:
    counted = 0

    class Watched(Words):
        def count(self, text: str) -> int:
            nonlocal counted
            counted += len(text)
            return super().count(text)

    sampling = Sampling(20_000)
    stream = Counting(Scripted([*pieces, Ended("stop", None)]), Watched()).stream(
        PROMPT, sampling, time.monotonic() + 60
    )
    end = list(stream)[-1]
    assert isinstance(end, Ended)
    assert end.used is not None
    text = "".join(pieces)
    blocks = len(text) // 4_000
    assert abs(end.used.completion - len(text.split())) <= blocks
    assert counted <= 3 * len(text) + 4_000


def test_a_budget_never_holds_more_than_its_most() -> None:
    budget = RetryBudget(share=0.5, most=2.0)
    for _ in range(100):
        budget.earn()
    assert [budget.spend() for _ in range(4)] == [True, True, False, False]


def test_a_budget_is_spent_once_by_several_threads() -> None:
    budget = RetryBudget(share=0.0, most=100.0)
    spent: list[bool] = []

    def spend() -> None:
        spent.extend(budget.spend() for _ in range(50))

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(spent) == 100
