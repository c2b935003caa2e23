"""What the exact key tells apart, and what it does not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.cache.keys import (
    chunk_name,
    context_digest,
    exact_key,
    normalised,
    question_key,
    scope_key,
)
from rag.cache.values import Asked, Scope
from rag.types import Filter

SCOPE = Scope(Filter("one", ("a", "b"), ("x", "y"), "2024", "2025"), 128, 0.1, "settings", "en")


def test_the_scope_is_told_apart_by_each_part() -> None:
    others = [
        replace(SCOPE, where=replace(SCOPE.where, tenant="two")),
        replace(SCOPE, where=replace(SCOPE.where, documents=("a",))),
        replace(SCOPE, where=replace(SCOPE.where, tags=("x",))),
        replace(SCOPE, where=replace(SCOPE.where, since=None)),
        replace(SCOPE, where=replace(SCOPE.where, until=None)),
        replace(SCOPE, budget_tokens=129),
        replace(SCOPE, frugality=0.2),
        replace(SCOPE, fingerprint="other"),
        replace(SCOPE, language=None),
    ]
    keys = {exact_key(Asked("why?", scope, "g")) for scope in (SCOPE, *others)}
    assert len(keys) == len({scope_key(scope) for scope in (SCOPE, *others)}) == 10


def test_the_order_of_a_filter_is_no_matter() -> None:
    turned = replace(SCOPE, where=replace(SCOPE.where, documents=("b", "a"), tags=("y", "x")))
    assert scope_key(turned) == scope_key(SCOPE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What  is it?", "what is it"),
        ("WHAT IS IT?!", "What is it"),
        ("It’s what?", "it's what"),
        ("caf\u00e9?", "cafe\u0301"),
    ],
)
def test_what_never_matters(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What does the US do?", "what does the us do?"),
        ("5!", "5"),
        ("10²", "102"),
        ("Maße", "Masse"),
        ("C++", "C"),
        (".NET", "net"),
        ("a b", "ab"),
        ("-5", "5"),
    ],
)
def test_what_matters(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text())
def test_normalising_once_is_enough_and_every_text_has_a_key(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
    assert len(question_key("one", text)) == 32


def test_a_chunk_has_another_name_where_anything_shown_of_it_changed(world: Any) -> None:
    context = world.context("Oslo is in Norway.")
    chunk = context.evidence[0].chunk
    changed = [
        replace(chunk, id="0" * 32),
        replace(chunk, title="Other"),
        replace(chunk, headings=()),
        replace(chunk, page=3),
        replace(chunk, date="2024"),
    ]
    contexts = [
        replace(context, evidence=(replace(context.evidence[0], chunk=each),)) for each in changed
    ]
    assert len({chunk_name(each) for each in (chunk, *changed)}) == 6
    assert len({context_digest(each) for each in (context, *contexts)}) == 6


def test_the_order_of_chunks_is_part_of_a_context(world: Any) -> None:
    one = world.context("Oslo is here.", "Bergen is there.")
    other = world.context("Bergen is there.", "Oslo is here.")
    assert context_digest(one) != context_digest(other)
