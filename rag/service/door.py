"""The door: who comes in, and what for. Nothing behind it runs for somebody it does not know.

It stands before the bodies are read. Every address of the service is in ``RIGHTS_OF``, with what
its caller must be allowed to do; what does not stand there is not there for anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from rag import access
from rag.access import OPERATOR, Caller, Right
from rag.errors import AccessError, SettingsError
from rag.keyring import Keyring
from rag.keys import id_in
from rag.loopback import is_loopback
from rag.service import problems, refusals
from rag.service.asgi import App, Message, Receive, Send
from rag.service.metrics import Metrics
from rag.service.problems import Problem
from rag.settings import Settings

_POLICY_VIOLATION: Final = 1008  # Source: RFC 6455, section 7.4.1
_HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?")
_BEARER: Final = "bearer "
_REALM: Final = 'Bearer realm="frugal-rag"'


@dataclass(frozen=True, slots=True)
class Rule:
    """Addresses and methods for which one of some rights is needed; none: open to everybody."""

    methods: frozenset[str]
    path: re.Pattern[str]
    rights: frozenset[Right]


def _rule(methods: str, path: str, *rights: Right) -> Rule:
    return Rule(frozenset(methods.split()), re.compile(path), frozenset(rights))


RIGHTS_OF: Final[tuple[Rule, ...]] = (
    _rule("GET HEAD", r"/|/page/[^/]+|/openapi\.json"),
    _rule("GET", r"/healthz|/readyz"),
    _rule("POST", r"/v1/(?:query|retrieve|chat/completions|sources)", "query"),
    _rule("GET", r"/v1/models(?:/[^/]+)?", "query"),
    _rule("POST", r"/v1/batch", "query"),
    _rule("GET", r"/v1/batch(?:/[^/]+(?:/output)?)?", "query", "admin"),
    _rule("DELETE", r"/v1/batch/[^/]+", "query", "admin"),
    _rule("GET", r"/v1/jobs(?:/[^/]+)?", "query", "ingest", "admin"),
    _rule("DELETE", r"/v1/jobs/[^/]+", "query", "ingest", "admin"),
    _rule("GET POST", r"/v1/documents", "ingest"),
    _rule("GET DELETE", r"/v1/documents/.+", "ingest"),
    _rule("GET DELETE", r"/v1/cache", "admin"),
    _rule("GET", r"/v1/impact", "admin"),
    _rule("GET", r"/v1/frontier", "admin"),
    _rule("GET", r"/metrics", "metrics"),
)


def check_binding(settings: Settings, keyring: Keyring) -> None:
    """Check that only those can ask whom somebody let in on purpose.

    Raises:
        SettingsError: Others could reach a service without keys, or its keys cannot be used.
    """
    if keyring.problem is not None:
        raise keyring.problem
    if not keyring.empty:
        return
    if settings.keys_file is not None:
        remedy = "make a first key with rag keys add, or leave keys_file unset"
        raise SettingsError("keys_file is not there", settings.keys_file, remedy)
    if not settings.keyless and not is_loopback(settings.host):
        remedy = (
            "make a key with rag keys add, bind 127.0.0.1, or set keyless = true where a network "
            "policy or a proxy says who may ask"
        )
        raise SettingsError("others could ask without a key", f"host {settings.host}", remedy)


class Door:
    """ASGI wrapper: lets callers in with a key, or without one where there are none.

    Whoever comes in is who ``rag.access`` names in all that is done for the request. Without keys
    that is the operator, so then only this machine's own programs, and pages of this service, may
    ask: a page from elsewhere that a browser here has open is kept out, also where its name was
    made to lead here (DNS rebinding).
    """

    def __init__(self, app: App, keyring: Keyring, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._keyring = keyring
        self._keyless = settings.keyless
        self._metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            admitted = self._admitted(scope)
            if isinstance(admitted, Problem):
                await self._refuse(admitted, scope, receive, send)
            else:
                # For nobody too: a request that was sent right after another one, on the same
                # connection, begins within what was done for that.
                with access.acting(admitted):
                    await self._app(scope, receive, send)

    def _admitted(self, scope: Message) -> Caller | Problem | None:
        """Return who may ask this, None where everybody may, or why nobody may."""
        rules = [rule for rule in RIGHTS_OF if rule.path.fullmatch(scope["path"])]
        fitting = [rule for rule in rules if scope["method"] in rule.methods]
        if not fitting:
            return _not_there(scope["path"], rules)
        (rule,) = fitting
        if not rule.rights:
            return None
        came = self._keyless_comer(scope) if self._keyring.empty else self._key_holder(scope)
        if isinstance(came, Problem) or came.rights & rule.rights:
            return came
        remedy = f"use a key with the right {' or '.join(sorted(rule.rights))}"
        return _forbidden("the key does not allow this", came.name, remedy)

    def _key_holder(self, scope: Message) -> Caller | Problem:
        tokens = set(_tokens(scope))
        if len(tokens) == 1:
            caller = self._keyring.find(tokens.pop())
            return caller or _unauthorized("the API key is not valid", "invalid_token")
        if tokens:
            return _unauthorized("several API keys are shown", "invalid_request")
        return _unauthorized("this needs an API key", None)

    def _keyless_comer(self, scope: Message) -> Caller | Problem:
        host = _value(scope, b"host")
        if not self._keyless and not is_loopback(_name_in(host)):
            remedy = "ask 127.0.0.1 or localhost, or make keys with rag keys add"
            return _forbidden("without keys only this machine is answered", host, remedy)
        if _is_from_elsewhere(scope, host):
            remedy = "make keys with rag keys add; a proxy must keep the Host header"
            return _forbidden("another site's page may not ask without a key", host, remedy)
        return OPERATOR

    async def _refuse(self, problem: Problem, scope: Message, receive: Receive, send: Send) -> None:
        named = filter(None, (id_in(token) for token in _tokens(scope)))
        refusals.note(problem, self._metrics, {"key": next(named, None)})
        if _value(scope, b"content-length") not in {"", "0"} or _value(scope, b"transfer-encoding"):
            # The body is not waited for, however long it takes to come.
            problem = replace(problem, headers={**problem.headers, "Connection": "close"})
        await refusals.response_to(scope["path"], problem)(scope, receive, send)


def _not_there(path: str, rules: list[Rule]) -> Problem:
    if not rules:
        return problems.from_status(HTTPStatus.NOT_FOUND, path, {})
    allowed = ", ".join(sorted({method for rule in rules for method in rule.methods}))
    return problems.from_status(HTTPStatus.METHOD_NOT_ALLOWED, path, {"allow": allowed})


def _unauthorized(detail: str, error: str | None) -> Problem:
    """Return the problem of a caller without a key that opens; ``error`` as RFC 6750 names it.

    Whether the key is unknown, revoked or expired is not said.
    """
    return Problem(
        "unauthorized",
        HTTPStatus.UNAUTHORIZED,
        detail,
        "send one as Authorization: Bearer; whoever runs the service makes them with rag keys add",
        field="Authorization",
        headers={"WWW-Authenticate": f'{_REALM}, error="{error}"' if error else _REALM},
    )


def _forbidden(what: str, value: str, remedy: str) -> Problem:
    return problems.from_error(AccessError(what, value, remedy))


def _tokens(scope: Message) -> Iterator[str]:
    """Yield the tokens that a request shows; other schemes than bearer are a proxy's."""
    for text in _values(scope, b"authorization"):
        if text.lower().startswith(_BEARER):
            yield text[len(_BEARER) :].strip()
    yield from _values(scope, b"x-api-key")


def _is_from_elsewhere(scope: Message, host: str) -> bool:
    """Return whether a browser says that a page of another site asks.

    Source: W3C, Fetch Metadata Request Headers; where a browser sends none, RFC 6454.
    """
    site = _value(scope, b"sec-fetch-site")
    if site:
        return site not in {"same-origin", "none"}
    origin = _value(scope, b"origin")
    return bool(origin) and origin.partition("://")[2].lower() != host.lower()


def _name_in(host: str) -> str:
    """Return the name or the address in a Host header, without the port; empty if it is none."""
    match = _HOST.fullmatch(host.lower())
    return (match[1] or match[2]) if match else ""


def _value(scope: Message, name: bytes) -> str:
    """Return a header's text; of several, which is nobody's right, all of them."""
    return ", ".join(_values(scope, name))


def _values(scope: Message, name: bytes) -> Iterator[str]:
    return (value.decode("latin-1").strip() for key, value in scope["headers"] if key == name)
