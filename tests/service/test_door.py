"""Who comes in: the door before an application that tells whom it was called for."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import access
from rag.access import OPERATOR
from rag.errors import AccessError, SettingsError
from rag.keyring import Keyring, change_keys
from rag.keys import Grant, made_key
from rag.service.asgi import Message, Receive, Send
from rag.service.door import RIGHTS_OF, Door, Rule, check_binding
from rag.service.metrics import Metrics
from rag.settings import load_settings

ASKED = ("POST", "/v1/query")
OPEN = ["/", "/page/page.js", "/openapi.json", "/healthz", "/readyz"]


async def _inside(_: Message, receive: Receive, send: Send) -> None:
    """Tell who is asking, once the body is read."""
    await receive()
    try:
        name = access.caller().name
    except AccessError:
        name = "nobody"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": name.encode()})


@dataclass
class Told:
    """What came back, and whether the body was asked for."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    read: bool = False

    @property
    def problem(self) -> dict[str, object]:
        assert self.headers["content-type"] == "application/problem+json"
        return dict(json.loads(self.body))


@dataclass
class House:
    """A door with its keys; what is asked comes by 127.0.0.1 unless it is said otherwise."""

    path: Path
    given: Mapping[str, object] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)

    def key(self, *rights: str, **more: object) -> str:
        fields = {"rights": rights, "tenant": None, **more}
        key, token = made_key(Grant(**fields), datetime.now(UTC))  # type: ignore[arg-type]
        change_keys(self.path, lambda keys: (*keys, key))
        return token

    def ask(self, method: str, path: str, **headers: str) -> Told:
        settings = load_settings(data_dir=self.path.parent, **self.given)
        door = Door(_inside, Keyring(self.path), settings, self.metrics)
        named = {"host": "127.0.0.1:8080", **{k.replace("_", "-"): v for k, v in headers.items()}}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in named.items()],
        }
        return Context().run(_called, door, scope)


def _called(door: Door, scope: Message) -> Told:
    told = Told()

    async def receive() -> Message:
        told.read = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            told.status = message["status"]
            told.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        told.body += message.get("body", b"")

    asyncio.run(door(scope, receive, send))
    return told


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A service on loopback without keys."""
    return House(tmp_path / "keys.json")


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("keyed", [False, True])
def test_what_is_open_needs_nobody_and_has_nobody(house: House, path: str, keyed: bool) -> None:
    if keyed:
        house.key("query")
    told = house.ask("GET", path, host="elsewhere.example", authorization="Bearer wrong")
    assert (told.status, told.body) == (200, b"nobody")


def test_a_keys_holder_comes_in_as_that(house: House) -> None:
    token = house.key("query", tenant="acme", labels=("hr",))
    number = token.split("_")[1]
    for shown in ({"authorization": f"Bearer {token}"}, {"x_api_key": token}):
        told = house.ask(*ASKED, **shown)
        assert (told.status, told.body.decode()) == (200, number)
    told = house.ask(*ASKED, authorization=f"bearer  {token} ", host="any.example")
    assert told.body.decode() == number
    both = house.ask(*ASKED, authorization=f"Bearer {token}", x_api_key=token)
    assert both.status == 200
    proxied = house.ask(*ASKED, authorization="Basic dTpw", x_api_key=token)
    assert proxied.status == 200


@pytest.mark.parametrize(
    ("shown", "how"),
    [
        ({}, ""),
        ({"authorization": "Basic dTpw"}, ""),
        ({"authorization": "Bearer"}, ""),
        ({"authorization": "Bearer "}, ""),
        ({"authorization": "Bearer frag_0123456789_" + "A" * 43}, ', error="invalid_token"'),
        ({"x_api_key": "x" * 100_000}, ', error="invalid_token"'),
        ({"x_api_key": "\xff\r"}, ', error="invalid_token"'),
        ({"x_api_key": "a", "authorization": "Bearer b"}, ', error="invalid_request"'),
    ],
)
def test_without_a_good_key_nobody_comes_in(
    house: House, shown: Mapping[str, str], how: str
) -> None:
    house.key("query")
    told = house.ask(*ASKED, content_length="5", **shown)
    assert told.status == 401
    assert told.headers["www-authenticate"] == f'Bearer realm="frugal-rag"{how}'
    assert told.headers["connection"] == "close"
    assert told.problem["type"] == "urn:problem-type:frugal-rag:unauthorized"
    assert told.problem["remedy"]
    assert not told.read
    assert b'frugal_rag_refused_total{problem="unauthorized"} 1.0' in house.metrics.text()


def test_what_opens_is_told_apart_from_what_does_not_by_nothing(house: House) -> None:
    """Of unknown, revoked and expired keys the same is said."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired = house.key("query", expires=past)
    revoked = house.key("query")
    change_keys(
        house.path,
        lambda keys: tuple(k.revoke(past) if k.id in revoked else k for k in keys),
    )
    unknown = f"frag_0123456789_{'A' * 43}"
    told = [house.ask(*ASKED, x_api_key=token) for token in (expired, revoked, unknown)]
    assert {(each.status, each.body) for each in told} == {(401, told[0].body)}


def test_secrets_are_not_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house.key("query")
    wrong = "frag_0123456789_" + "S3cret" * 7 + "A"
    house.ask(*ASKED, x_api_key=wrong)
    house.ask(*ASKED, authorization="Bearer my-other-S3cret")
    fields = [record.__dict__["fields"] for record in caplog.records if hasattr(record, "fields")]
    refused = [each for each in fields if each.get("problem") == "unauthorized"]
    assert [each["key"] for each in refused] == ["0123456789", None]
    assert "S3cret" not in "".join(str(record.__dict__) for record in caplog.records)


def test_chat_clients_are_told_in_their_own_form(house: House) -> None:
    house.key("query")
    told = house.ask("POST", "/v1/chat/completions")
    error = json.loads(told.body)["error"]
    assert (told.status, error["code"]) == (401, "unauthorized")
    assert told.headers["x-should-retry"] == "false"
    assert told.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("right", access.RIGHTS)
def test_a_right_opens_what_it_is_for_and_nothing_else(house: House, right: str) -> None:
    token = house.key(right)
    for rule in RIGHTS_OF:
        path = _example(rule.path.pattern)
        assert rule.path.fullmatch(path)
        for method in rule.methods:
            told = house.ask(method, path, x_api_key=token)
            if not rule.rights:
                assert told.body == b"nobody"
            elif right in rule.rights:
                assert told.body.decode() == token.split("_")[1]
            else:
                assert told.status == 403, (method, path)
                assert not told.read


def _example(pattern: str) -> str:
    """Return an address that a pattern of the table stands for: the first alternative of each."""
    for written, plain in {
        r"/|/page/[^/]+|/openapi\.json": "/",
        r"/healthz|/readyz": "/healthz",
        r"(?:query|retrieve|chat/completions|sources)": "query",
        r"(?:/[^/]+(?:/output)?)?": "/a/output",
        r"(?:/[^/]+)?": "/a",
        r"[^/]+": "a",
        r".+": "a/b",
    }.items():
        pattern = pattern.replace(written, plain)
    return pattern


def test_what_is_lacking_is_said(house: House) -> None:
    token = house.key("query")
    told = house.ask("DELETE", "/v1/cache", x_api_key=token)
    assert told.problem["type"] == "urn:problem-type:frugal-rag:access"
    assert told.problem["value"] == token.split("_")[1]
    assert told.problem["remedy"] == "use a key with the right admin"


def test_what_does_not_stand_in_the_table_is_not_there(house: House) -> None:
    for keyed in (False, True):
        token = house.key(*access.RIGHTS) if keyed else "none"
        for path in ("/v1/secret", "/v1/query/", "/v1/query\n", "/V1/query", "//v1/query", "/docs"):
            told = house.ask("POST", path, x_api_key=token)
            assert told.status == 404, path
            assert not told.read
        told = house.ask("PUT", "/v1/cache", x_api_key=token)
        assert told.status == 405
        assert told.headers["allow"] == "DELETE, GET"


@given(
    st.text(min_size=1, max_size=60).map(lambda text: f"/{text}"), st.sampled_from(["GET", "POST"])
)
def test_one_rule_at_most_is_for_an_address(path: str, method: str) -> None:
    fitting = [r for r in RIGHTS_OF if r.path.fullmatch(path) and method in r.methods]
    assert len(fitting) <= 1


def test_a_route_has_one_rule() -> None:
    for rule in RIGHTS_OF:
        path = _example(rule.path.pattern)
        for method in rule.methods:
            others = [r for r in RIGHTS_OF if method in r.methods and r.path.fullmatch(path)]
            assert others == [rule]


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "127.1.2.3"]
)
def test_without_keys_this_machine_is_the_operator(house: House, host: str) -> None:
    told = house.ask(*ASKED, host=host, authorization="Bearer unused")
    assert (told.status, told.body.decode()) == (200, OPERATOR.name)


@pytest.mark.parametrize(
    "host",
    [
        *("rebound.example", "rebound.example:8080", "127.0.0.1.example", "localhost.example"),
        *(
            "",
            "0.0.0.0",  # noqa: S104
            "x@localhost",
            "localhost/x",
            "localhost, rebound.example",
            "[::1",
            "10.0.0.1",
        ),
    ],
)
def test_without_keys_other_names_are_kept_out(house: House, host: str) -> None:
    told = house.ask(*ASKED, host=host)
    assert told.status == 403
    assert not told.read
    assert house.ask("GET", "/healthz", host=host).status == 200


def test_keyless_answers_by_any_name(tmp_path: Path) -> None:
    house = House(tmp_path / "keys.json", {"keyless": True, "host": "0.0.0.0"})  # noqa: S104
    assert house.ask(*ASKED, host="rag.example").body.decode() == OPERATOR.name
    house.key("query")
    assert house.ask(*ASKED, host="rag.example").status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "same-origin", "origin": "http://127.0.0.1:8080"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"origin": "http://127.0.0.1:8080"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({}, 200),
    ],
)
def test_without_keys_pages_from_elsewhere_are_kept_out(
    house: House, headers: Mapping[str, str], status: int
) -> None:
    for method, path in (ASKED, ("POST", "/v1/documents"), ("GET", "/v1/cache")):
        assert house.ask(method, path, **headers).status == status
    token = house.key(*access.RIGHTS)  # which a page from elsewhere has not
    assert house.ask(*ASKED, x_api_key=token, **headers).status == 200


def test_a_file_that_goes_away_opens_nothing(house: House) -> None:
    house.key("query")
    settings = load_settings(data_dir=house.path.parent)
    keyring = Keyring(house.path, clock=_Ticking())
    door = Door(_inside, keyring, settings, house.metrics)
    assert not keyring.empty
    house.path.unlink()
    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "POST", "path": "/v1/query", "headers": headers}
    assert Context().run(_called, door, scope).status == 401


class _Ticking:
    """A clock on which two seconds pass between two looks."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def __call__(self) -> float:
        self._seconds += 2.0
        return self._seconds


def test_only_http_comes_in(house: House) -> None:
    settings = load_settings(data_dir=house.path.parent)
    door = Door(_inside, Keyring(house.path), settings, house.metrics)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    asyncio.run(door({"type": "websocket", "path": "/v1/query", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def _binding(folder: Path, **given: object) -> Callable[[], None]:
    settings = load_settings(data_dir=folder, **given)
    path = settings.keys_file or folder / "keys.json"
    return lambda: check_binding(settings, Keyring(path))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "rag.example"])  # noqa: S104
def test_other_addresses_need_keys_or_leave(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="others could ask without a key"):
        _binding(tmp_path, host=host)()
    _binding(tmp_path, host=host, keyless=True)()
    House(tmp_path / "keys.json").key("query")
    _binding(tmp_path, host=host)()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_keys(tmp_path: Path, host: str) -> None:
    _binding(tmp_path, host=host)()


def test_a_file_of_keys_that_is_named_must_be_there(tmp_path: Path) -> None:
    for keyless in (False, True):
        with pytest.raises(SettingsError, match="keys_file is not there"):
            _binding(tmp_path, keys_file=tmp_path / "nowhere.json", keyless=keyless)()


def test_a_damaged_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{}")
    for keyless in (False, True):
        with pytest.raises(SettingsError, match="damaged"):
            _binding(tmp_path, keyless=keyless)()


def test_the_table_of_rights_in_the_docs_is_that_of_the_code() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "access.md"
    rows = re.findall(r"^\| (`/.*) \| (`.*) \|(.*)\|$", page.read_text(), re.MULTILINE)
    told = set()
    for addresses, methods, rights in rows:
        for path in re.findall(r"`(/\S*)`", addresses):
            (rule,) = _rules(methods.strip("`").split("` `"), path)
            assert rule.rights == set(re.findall(r"`(\w+)`", rights)), path
            told |= {(rule.path, method) for method in methods.strip("`").split("` `")}
    assert told == {(rule.path, method) for rule in RIGHTS_OF for method in rule.methods}


def _rules(methods: list[str], path: str) -> list[Rule]:
    """Return the rules of an address that are for just these methods."""
    return [r for r in RIGHTS_OF if r.methods == set(methods) and r.path.fullmatch(path)]


@pytest.mark.parametrize("path", OPEN)
def test_what_is_open_is_done_for_nobody_even_right_after_somebodys(
    house: House, path: str
) -> None:
    settings = load_settings(data_dir=house.path.parent)
    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    with access.acting(OPERATOR):  # as where the server begins it within the one before
        told = _called(Door(_inside, Keyring(house.path), settings, house.metrics), scope)
        assert access.caller() is OPERATOR
    assert told.body == b"nobody"
