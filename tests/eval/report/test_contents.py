"""Which records stand where on the page, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from eval.records import Record
from eval.report.contents import arranged, differing, short_names
from rag.errors import UsageError


def at(record: Record, key: str, **settings: object) -> Record:
    identity = replace(record.identity, fingerprint=key)
    return replace(record, identity=identity, settings={**record.settings, **settings})


def test_few_records_stand_side_by_side_in_their_order(
    ours: Record, theirs: Sequence[Record]
) -> None:
    contents = arranged((ours, at(ours, "b", tier="lexical"), *theirs))
    names = [entry.name for entry in contents.compared]
    assert names == ["frugal-rag, tier neural", "frugal-rag, tier lexical", "plain", "hybrid"]
    assert contents.swept == ()
    assert [entry.answers for entry in contents.compared] == [True, True, False, False]


def test_of_many_the_other_systems_stand_beside_and_the_rest_is_the_sweep(
    ours: Record, theirs: Sequence[Record]
) -> None:
    swept = [at(ours, str(k), candidates=k, tier="lexical") for k in (5, 6, 7)]
    contents = arranged((ours, *swept, *theirs))
    assert [entry.name for entry in contents.compared] == ["frugal-rag", "plain", "hybrid"]
    assert [entry.record.settings["candidates"] for entry in contents.swept] == [5, 6, 7]
    assert list(short_names(contents).values()) == ["5", "6", "7"]
    assert "frugal-rag, tier lexical, candidates 5" in short_names(contents)


def test_records_that_no_setting_tells_apart_are_told_by_their_keys(ours: Record) -> None:
    other = replace(ours, identity=replace(ours.identity, code="e" * 12))
    names = [entry.name for entry in arranged((ours, other)).compared]
    assert names == [f"frugal-rag {record.identity.key}" for record in (ours, other)]


def test_settings_that_differ_are_found_where_one_record_lacks_them(ours: Record) -> None:
    assert differing([ours, at(ours, "b", tier="lexical", extra=1)]) == ("tier", "extra")
    assert differing([ours, ours]) == ()


def test_nothing_and_other_questions_are_refused(ours: Record) -> None:
    with pytest.raises(UsageError, match="Run rag-eval run first"):
        arranged(())
    data = replace(ours, identity=replace(ours.identity, data_sha256="e" * 64))
    fewer = replace(ours, rows=ours.rows[:-1])
    for other in (data, fewer):
        with pytest.raises(UsageError, match="records of different questions"):
            arranged((ours, other))
