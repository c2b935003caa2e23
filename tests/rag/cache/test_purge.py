"""What a purge deletes, on the disk too, and what it leaves."""

from pathlib import Path
from typing import Any

import pytest

from rag.cache.values import Cost, Limits
from rag.errors import RagError


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_a_question_goes_in_all_its_scopes_and_wordings(world: Any) -> None:
    world.keep("What is the harbour of Oslo?")
    world.keep("the harbour of Oslo")
    world.keep("What is the harbour of Bergen?")
    world.keep("What is the harbour of Oslo?", tenant="two")
    assert world.cache.purge.question("one", "what is the  harbour of Oslo") == 2
    assert world.exact("the harbour of Oslo") is None
    assert world.exact("What is the harbour of Bergen?")
    assert world.exact("What is the harbour of Oslo?", tenant="two")


def test_a_document_goes_with_all_it_had_a_part_in(world: Any) -> None:
    for number, doc_id in enumerate(("a", "b", "a")):
        context = world.context("It is so.", doc_id=doc_id)
        asked = world.asked(f"Question {number}", tenant=("one", "one", "two")[number])
        world.cache.keep(asked, world.clue(), world.said(context), Cost(None))
    assert world.cache.purge.document("one", "a") == 1
    assert world.exact("Question 0") is None
    assert world.exact("Question 1")
    assert world.exact("Question 2", tenant="two")
    assert world.cache.purge.document("one", "offered") == 1
    assert world.cache.purge.document("one", "unknown") == 0


def test_a_tenant_goes_alone_and_everything_with_all(world: Any) -> None:
    for tenant in ("one", "two", "three"):
        world.keep("Who?", tenant=tenant)
    assert world.cache.purge.tenant("two") == 1
    assert world.exact("Who?", tenant="two") is None
    assert world.exact("Who?", tenant="one")
    assert world.cache.purge.everything() == 2
    assert world.cache.state().entries == world.cache.state().bytes == 0


def test_nothing_of_it_is_left_on_the_disk(world: Any) -> None:
    world.keep("Where is Xyzzyplugh?")
    assert b"Xyzzyplugh" in _bytes(world.folder)
    world.cache.purge.question("one", "Where is Xyzzyplugh?")
    assert b"Xyzzyplugh" not in _bytes(world.folder)


def test_what_another_process_purged_is_never_served(world: Any) -> None:
    context = world.keep("the harbour of Oslo")
    assert world.similar("What is the harbour of Oslo?", context)  # is in memory now
    other = world.opened()
    assert other.purge.tenant("one") == 1
    assert world.exact("the harbour of Oslo") is None
    assert world.similar("What is the harbour of Oslo?", context) is None
    asked = world.asked("the harbour of Oslo")
    other.keep(asked, world.clue(), world.said(context), Cost(None))
    assert world.similar("What is the harbour of Oslo?", context)  # and what it added is found
    other.close()


def test_memory_follows_what_others_delete(world: Any) -> None:
    context = world.context("It is so.")
    for number in range(20):
        world.keep(f"the harbour of town {number}", "It is so.")
    assert world.similar("What is the harbour of town 7?", context)
    other = world.opened(Limits())
    other.purge.everything()
    world.keep("the harbour of Oslo", "It is so.")
    assert world.similar("What is the harbour of Oslo?", context)
    other.close()


def test_a_purge_that_cannot_be_done_says_so(world: Any) -> None:
    world.folder.parent.mkdir(exist_ok=True)
    world.folder.write_text("a file where the folder should be")
    with pytest.raises(RagError, match="cannot be purged"):
        world.cache.purge.everything()
