from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.access import RIGHTS
from rag.errors import ValueRangeError
from rag.keys import Grant, Key, id_in, key_of, made_key, opened_by

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SOME_RIGHTS = [c for n in (1, 2, 3, 4) for c in combinations(RIGHTS, n)]
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
GRANTS = st.builds(
    Grant,
    rights=st.sampled_from([c for c in SOME_RIGHTS if "metrics" not in c]),
    tenant=st.none() | NAMES,
    labels=st.none() | st.sets(NAMES, max_size=4).map(lambda names: tuple(sorted(names))),
    note=st.text(st.characters(categories=("L", "N", "P")), max_size=60),
    expires=st.none() | st.integers(1, 10**6).map(lambda s: NOW + timedelta(seconds=s)),
)


@given(GRANTS)
def test_a_key_is_the_same_after_a_file(grant: Grant) -> None:
    key, _ = made_key(grant, NOW)
    for each in (key, key.revoke(NOW + timedelta(days=1))):
        assert key_of(json.loads(json.dumps(each.fields()))) == each


@given(GRANTS)
def test_a_token_opens_its_own_key_and_no_other(grant: Grant) -> None:
    (key, token), (other, _) = made_key(grant, NOW), made_key(grant, NOW)
    keys = {each.id: each for each in (key, other)}
    assert opened_by(keys, token) == key
    assert id_in(token) == key.id
    secret = token.split("_", 2)[2]
    assert opened_by(keys, f"frag_{other.id}_{secret}") is None
    assert opened_by({other.id: other}, token) is None
    assert secret not in json.dumps(key.fields())
    assert secret not in repr(key)


@given(st.text(max_size=80) | st.from_regex(r"frag_[0-9a-f]{10}_[A-Za-z0-9_-]{43}", fullmatch=True))
def test_nothing_else_opens_anything(text: str) -> None:
    key, _ = made_key(Grant(("query",), None), NOW)
    assert opened_by({key.id: key}, text) is None


def test_one_character_more_or_other_is_another_token() -> None:
    key, token = made_key(Grant(("query",), None), NOW)
    keys = {key.id: key}
    for other in (token + "A", token[:-1], token.upper(), f" {token}", f"{token}\n"):
        assert opened_by(keys, other) is None
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert opened_by(keys, changed) is None


def test_tokens_are_never_the_same() -> None:
    grant = Grant(("query",), None)
    assert len({made_key(grant, NOW)[1] for _ in range(1000)}) == 1000


def test_a_key_is_good_until_it_ends_or_is_revoked() -> None:
    grant = Grant(("query",), None, expires=NOW + timedelta(hours=1))
    key, _ = made_key(grant, NOW)
    assert key.state(NOW) == "valid"
    assert key.state(NOW + timedelta(hours=1)) == "expired"
    revoked = key.revoke(NOW)
    assert revoked.state(NOW) == revoked.state(NOW + timedelta(days=9)) == "revoked"
    assert revoked.revoke(NOW + timedelta(days=1)) == revoked


def test_its_holder_is_named_by_its_id() -> None:
    key, _ = made_key(Grant(("query", "admin"), "acme", ("board", "hr")), NOW)
    caller = key.caller
    assert (caller.name, caller.tenant, caller.labels) == (key.id, "acme", ("board", "hr"))
    assert caller.rights == {"query", "admin"}


def test_whoever_names_no_labels_reads_what_has_none() -> None:
    assert Grant(("query",), "acme").labels == ()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rights": ()}, "rights cannot be used"),
        ({"rights": ("root",)}, "rights cannot be used"),
        ({"rights": ("ingest", "query")}, "rights cannot be used"),
        ({"rights": ("query", "query")}, "rights cannot be used"),
        ({"rights": ("metrics",), "tenant": "acme"}, "metrics for one tenant"),
        ({"tenant": "../x"}, "no name of a tenant"),
        ({"tenant": ""}, "no name of a tenant"),
        ({"tenant": "acme\n"}, "no name of a tenant"),
        ({"labels": ("hr ",)}, "label: "),
        ({"labels": ("hr\n",)}, "label: "),
        ({"labels": ("hr", "board")}, "labels are not sorted"),
        ({"labels": ("hr", "hr")}, "labels are not sorted"),
        ({"note": "a\nb"}, "the note cannot be kept"),
        ({"note": "\x1b[2J"}, "the note cannot be kept"),
        ({"note": "x" * 201}, "the note cannot be kept"),
    ],
)
def test_what_cannot_be_granted(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueRangeError, match=said):
        Grant(**{"rights": ("query",), "tenant": None, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "../../etc"),
        ("id", 7),
        ("sha256", "0" * 63),
        ("sha256", None),
        ("rights", "query"),
        ("rights", [["query"]]),
        ("tenant", 5),
        ("labels", {}),
        ("note", None),
        ("created", None),
        ("created", "yesterday"),
        ("created", "2026-11-22T12:00:00"),
        ("expires", 1e9),
        ("expires", "2026-11-22"),
        ("more", 1),
    ],
)
def test_a_key_that_was_meddled_with_is_none(name: str, value: object) -> None:
    key, _ = made_key(Grant(("query",), None), NOW)
    with pytest.raises((ValueError, TypeError)):
        key_of({**key.fields(), name: value})


@pytest.mark.parametrize("fields", [None, [], "key", {}, {"id": "0" * 10}])
def test_something_else_is_no_key(fields: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        key_of(fields)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueRangeError, match="without its zone"):
        Key("0" * 10, "0" * 64, Grant(("query",), None), datetime(2026, 1, 1))  # noqa: DTZ001
