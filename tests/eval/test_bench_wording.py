import random

from hypothesis import given
from hypothesis import strategies as st

from eval.bench import forms
from eval.bench.identifiers import Apart, questions
from eval.bench.wording import mistyped
from eval.systems.indexed import chunked
from rag.build import build_analyzer
from rag.settings import load_settings
from rag.spelling import edits
from rag.types import Block, Document


@given(st.integers(0, 10_000))
def test_a_typo_is_one_edit_in_one_content_word(seed: int) -> None:
    clean = "How long does the gateway keep its access logs?"
    typo = mistyped(clean, random.Random(seed))  # noqa: S311 -- not a secret
    changed = [
        (old, new) for old, new in zip(clean.split(), typo.split(), strict=True) if old != new
    ]
    assert len(changed) <= 1  # a letter may be exchanged for itself
    for old, new in changed:
        assert old.strip("?") in ("long", "gateway", "keep", "access", "logs")
        assert new.lower() in edits(old.lower())


def test_the_same_seed_makes_the_same_typos_and_short_questions_stay() -> None:
    text = "Which department keeps the records of the audit?"
    once, again, other = (random.Random(5) for _ in range(3))  # noqa: S311 -- not a secret
    assert mistyped(text, once) == mistyped(text, again) != text
    assert mistyped("What is it?", other) == "What is it?"


def test_questions_on_identifiers_name_one_and_know_who_holds_it() -> None:
    text = "Set max_wal_size in postgres.conf before replication starts. It is 4.2 by default."
    document = Document("d", "Notes", text, (Block(0, len(text), "paragraph"),), "text/plain")
    chunks = chunked([document], load_settings(tier="lexical"))
    asked = questions(chunks, 5, random.Random(0))  # noqa: S311 -- not a secret
    named = {each.text for each in asked if each.text.startswith("What is")}
    assert named == {"What is max_wal_size?", "What is postgres.conf?", "What is 4.2?"}
    assert {each.gold for each in asked} == {frozenset({0})}
    assert len(asked) == 5  # only one word beside 4.2 is long enough


def test_the_terms_of_words_apart_hold_no_compound() -> None:
    analyzer = build_analyzer()
    assert Apart(analyzer).terms("max_wal_size 4.2") == analyzer.terms("max wal size 4 2")


def test_questions_on_acronyms_use_the_form_that_their_chunk_lacks() -> None:
    texts = (
        "The Ministry of Public Works (MPW) was founded early.",
        "Bridges of the MPW are painted green every summer.",
        "A ministry of public works builds harbours with stone.",
    )
    documents = [
        Document(f"d{n}", "", text, (Block(0, len(text), "paragraph"),), "text/plain")
        for n, text in enumerate(texts)
    ]
    _, short, long = chunks = chunked(documents, load_settings(tier="lexical"))
    first, second = forms.questions(chunks, random.Random(0))  # noqa: S311 -- not a secret
    assert (first.gold, second.gold) == (short.id, long.id)
    assert first.text.startswith("What of the ministry of public works and ")
    assert second.text.startswith("What of the MPW and ")
