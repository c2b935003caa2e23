"""The cache as the pipeline uses it."""

import logging
import sqlite3
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from rag.cache.store import NAME
from rag.cache.values import Clue, Cost, Limits, Said
from rag.results import Answer, Impact, Receipt, Usage
from rag.types import Interval

OSLO = "Oslo has 700 boats."
_SUMS = ("entries", "bytes", "exact_hits", "semantic_hits", "joules_saved", "tokens_saved")


def test_a_question_comes_back_with_all_that_was_said(world: Any) -> None:
    assert world.exact("How many boats has Oslo?") is None
    context = world.keep("How many boats has Oslo?", OSLO)
    found = world.exact("how many boats has  oslo")
    assert found.said == world.said(context)
    assert (found.level, found.fresh, found.generation) == ("exact", True, "g1")
    assert (found.cost, found.created) == (Cost(Interval(2.0, 2.0), 10), world.clock.now)


def test_it_survives_closing(world: Any) -> None:
    context = world.keep("How many boats has Oslo?", OSLO)
    world.cache.close()
    assert world.exact("How many boats has Oslo?") is None
    world.cache = world.opened()
    assert world.exact("How many boats has Oslo?").said.context == context
    assert world.similar("how many boats does Oslo have?", context) is None
    assert world.similar("Hi, how many boats has Oslo?", context).level == "semantic"


def test_an_answer_is_what_was_said_and_a_receipt(world: Any) -> None:
    usage = Usage(1, 2, None, None, None, "t")
    impact = Impact(None, None, None, None, "estimated", None)
    receipt = Receipt(usage, impact, None, "exact", (), "f", 1, 0.1)
    said = world.said(world.context(OSLO))
    assert Said.of(said.answer(receipt)) == said
    kept = {field.name for field in fields(Said)}
    assert kept == {field.name for field in fields(Answer)} - {"receipt"}


def test_other_words_need_the_same_evidence(world: Any) -> None:
    context = world.keep("What is the harbour of Oslo?", OSLO)
    assert world.similar("Can you tell me what the harbour of Oslo is?", context)
    assert world.similar("Can you tell me what the harbour of Oslo is?", world.context()) is None
    for other in (
        world.context("Oslo has 701 boats."),
        world.context("Oslo is old.", OSLO),
        world.context(OSLO, title="New title"),
    ):
        assert world.similar("Can you tell me what the harbour of Oslo is?", other) is None
    more = world.context(OSLO, "Oslo is old.")
    assert world.similar("the harbour of Oslo", more)
    assert world.similar("the harbour of Oslo", more, generation="g2") is None
    assert world.similar("the harbour of Oslo", context, generation="g2")
    assert world.similar("What is the harbour of Bergen?", context) is None


def test_far_vectors_and_other_dimensions_are_no_candidates(world: Any) -> None:
    context = world.keep("What is the harbour of Oslo?", OSLO)
    asked = world.asked("the harbour of Oslo")
    assert world.cache.similar(asked, world.clue(0.0, 1.0, 0.0), context) is None
    assert world.cache.similar(asked, world.clue(1.0, 0.0), context) is None
    assert world.cache.similar(asked, Clue(None, (1, 2), {1: 1.0}), context) is None


def test_the_lexical_tier_finds_by_terms(world: Any) -> None:
    context, clue = world.context(OSLO), Clue(None, (1, 2, 3), {1: 3.0, 2: 2.0})
    asked = world.asked("What is the harbour of Oslo?")
    assert world.cache.keep(asked, clue, world.said(context), Cost(None))
    again = world.asked("harbour of Oslo")
    assert world.cache.similar(again, Clue(None, (2, 1), {1: 3.0, 2: 2.0}), context)
    assert world.cache.similar(again, Clue(None, (9,), {9: 3.0}), context) is None
    assert world.cache.similar(again, Clue(None), context) is None


def test_another_generation_needs_the_same_context(world: Any) -> None:
    context = world.keep("Who rows?", OSLO)
    stale = world.exact("Who rows?", generation="g2")
    assert not stale.fresh
    assert world.cache.revalidate(stale, context, "g2")
    assert world.exact("Who rows?", generation="g2").fresh
    assert not world.exact("Who rows?", generation="g1").fresh
    stale = world.exact("Who rows?", generation="g3")
    assert not world.cache.revalidate(stale, world.context("Oslo has 3 boats."), "g3")
    assert world.exact("Who rows?", generation="g3") is None
    assert not world.cache.revalidate(stale, context, "g3")


def test_abstentions_are_found_by_their_own_words_only(world: Any) -> None:
    context = world.context(OSLO)
    asked = world.asked("What is the harbour of Oslo?")
    assert world.cache.keep(asked, world.clue(), world.said(context, None), Cost(None))
    assert world.exact("What is the harbour of Oslo?").said.abstained
    assert world.similar("harbour of Oslo", context) is None


def test_sparing_questions_are_answered_but_not_kept(world: Any) -> None:
    world.keep("Who rows?", OSLO)
    sparing = replace(world.asked("Who rows?"), sparing=True)
    assert world.cache.exact(sparing)
    other = replace(world.asked("Who else rows?"), sparing=True)
    said = world.said(world.context(OSLO))
    assert not world.cache.keep(other, world.clue(), said, Cost(None))
    assert world.exact("Who else rows?") is None


def test_what_is_no_text_is_not_kept(world: Any) -> None:
    said = world.said(world.context(OSLO))
    assert not world.cache.keep(world.asked("\ud800"), world.clue(), said, Cost(None))
    assert world.exact("\ud800") is None
    assert world.cache.purge.question("one", "\ud800") == 0


def test_entries_grow_old(world: Any) -> None:
    context = world.keep("the harbour of Oslo", OSLO)
    world.clock.now += Limits().ttl_seconds - 1
    assert world.exact("the harbour of Oslo")
    assert world.similar("What is the harbour of Oslo?", context)
    world.clock.now += 1
    assert world.exact("the harbour of Oslo") is None
    assert world.similar("What is the harbour of Oslo?", context) is None
    world.keep("Who else?", OSLO)
    assert world.cache.state().entries == 1


def test_the_least_worth_per_byte_leaves_first(world: Any) -> None:
    world.keep("dear", OSLO, joules=90.0)
    size = world.cache.state().bytes
    world.cache.close()
    world.cache = world.opened(Limits(most_bytes=4 * size + 50))
    world.keep("cheap", OSLO, joules=1.0)
    world.keep("cheap but asked for", OSLO, joules=1.5)
    for _ in range(3):
        world.cache.used(world.exact("cheap but asked for"))
    world.keep("middling", OSLO, joules=3.0)
    world.keep("newest", OSLO, joules=3.0)
    assert world.cache.state().bytes <= 4 * size + 50
    assert world.exact("cheap") is None
    assert all(map(world.exact, ("dear", "cheap but asked for", "middling", "newest")))
    for number in range(200):  # what is asked no longer fades, however dear it was
        world.keep(f"number {number}", OSLO, joules=5.0)
    assert world.exact("dear") is None
    assert world.cache.state().bytes <= 4 * size + 50


def test_what_is_larger_than_the_cache_is_not_kept(world: Any) -> None:
    cache = world.opened(Limits(most_bytes=300))
    said = world.said(world.context(OSLO))
    assert not cache.keep(world.asked("Who?"), world.clue(), said, Cost(None))
    cache.close()


def test_what_hits_save_is_added_up(world: Any) -> None:
    context = world.keep("the harbour of Oslo", OSLO, joules=2.0)
    world.cache.used(world.exact("the harbour of Oslo"), 0.25)
    world.cache.used(world.similar("What is the harbour of Oslo?", context), 0.5)
    state = world.cache.state()
    assert (state.exact_hits, state.semantic_hits, state.tokens_saved) == (1, 1, 20)
    assert state.joules_saved == pytest.approx(3.25)
    world.cache.purge.everything()
    assert world.cache.state() == replace(state, **dict.fromkeys(_SUMS, 0))


def test_the_semantic_level_switches_itself_off(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    context = world.context(OSLO)
    wrong = replace(world.said(context), short=None, text="No.", citations=())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            world.keep("the harbour of Oslo", OSLO)
            hit = world.similar("What is the harbour of Oslo?", context)
            assert not world.cache.shadow(hit, wrong) if hit else True
    assert [record.message for record in caplog.records] == ["cache-semantic-off"]
    assert world.similar("What is the harbour of Oslo?", context) is None
    assert world.exact("the harbour of Oslo")
    report = world.cache.state().shadow
    assert (report.checked, report.false, report.on) == (1, 1, False)
    world.cache.close()
    world.cache = world.opened()
    assert world.similar("What is the harbour of Oslo?", context) is None
    assert world.cache.purge.everything() == 1
    assert world.cache.state().shadow.checked == 0
    world.keep("the harbour of Oslo", OSLO)
    assert world.similar("What is the harbour of Oslo?", context)


def test_one_fault_among_many_checks_keeps_it_on_and_drops_the_entry(world: Any) -> None:
    context = world.keep("the harbour of Oslo", OSLO)
    hit = world.similar("What is the harbour of Oslo?", context)
    assert all(world.cache.shadow(hit, hit.said) for _ in range(9))
    assert world.cache.shadow(hit, world.said(context, None)) is None
    wrong = replace(hit.said, short=None, text="No.", citations=())
    assert not world.cache.shadow(hit, wrong)
    report = world.cache.state().shadow
    assert (report.checked, report.false, report.undecided, report.on) == (10, 1, 1, True)
    assert report.low == pytest.approx(0.002528579, abs=1e-6)
    assert world.exact("the harbour of Oslo") is None


def test_the_share_answered_anew_is_kept_over_restarts(world: Any) -> None:
    due = []
    for _ in range(4):
        world.cache = world.opened(Limits(shadow_share=0.1))
        due += [world.cache.shadow_due() for _ in range(25)]
        world.cache.close()
    assert sum(due) == 10


def test_a_damaged_file_is_begun_anew(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    world.keep("Who rows?", OSLO)
    world.cache.close()
    (world.folder / NAME).write_bytes(b"not a database at all" * 100)
    world.cache = world.opened()
    assert world.exact("Who rows?") is None
    world.keep("Who rows?", OSLO)
    assert world.exact("Who rows?")
    assert [record.message for record in caplog.records] == ["cache-damaged"]


def test_a_damaged_entry_is_dropped(world: Any) -> None:
    world.keep("Who rows?", OSLO)
    with sqlite3.connect(world.folder / NAME) as other:
        other.execute("UPDATE entries SET answer = x'00'")
    other.close()
    assert world.exact("Who rows?") is None
    assert world.cache.state().entries == 0


def test_a_folder_that_cannot_be_used_never_fails_a_question(
    world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    world.folder.parent.mkdir(exist_ok=True)
    world.folder.write_text("a file where the folder should be")
    for _ in range(3):
        assert world.exact("Who rows?") is None
    said = world.said(world.context(OSLO))
    assert not world.cache.keep(world.asked("Who?"), world.clue(), said, Cost(None))
    assert world.cache.state() is None
    assert [record.message for record in caplog.records] == ["cache-unusable"]


def test_a_file_that_was_deleted_is_begun_anew(world: Any) -> None:
    context = world.keep("the harbour of Oslo", OSLO)
    assert world.similar("What is the harbour of Oslo?", context)
    for path in world.folder.iterdir():
        path.unlink()
    assert world.exact("the harbour of Oslo") is None
    world.keep("the harbour of Oslo", OSLO)
    assert world.similar("What is the harbour of Oslo?", context)


@pytest.mark.parametrize("bad", [{"ttl_seconds": -1}, {"shadow_share": 2}, {"most_false": -0.1}])
def test_limits_have_bounds(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Use"):
        Limits(**bad)  # type: ignore[arg-type]


def test_many_questions_are_still_told_apart(world: Any) -> None:
    draw = np.random.default_rng(0)
    contexts = {}
    for number in range(60):
        context = world.context(f"Fact {number}.")
        clue = Clue(draw.standard_normal(8).astype(np.float32))
        asked = world.asked(f"What is the size of ship {number}?")
        world.cache.keep(asked, clue, world.said(context, f"It is {number}."), Cost(None))
        contexts[number] = (context, clue)
    for number, (context, clue) in contexts.items():
        unit = Clue(clue.vector / np.linalg.norm(clue.vector))
        found = world.cache.similar(world.asked(f"size of ship {number}"), unit, context)
        assert found.said.text == f"It is {number}."
