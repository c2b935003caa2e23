"""Runs the application on a socket until it is told to stop; open questions are answered first."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from rag.errors import RagError
from rag.service import problems
from rag.service.asgi import App, Message, Receive, Send
from rag.service.connections import bounded
from rag.service.problems import Problem
from rag.service.refusals import response_to
from rag.settings import Settings

_ALIVE: Final = frozenset(("/healthz", "/metrics"))
_POLL_SECONDS: Final = 0.05
# How long a thread may compute while the event loop waits for the interpreter [s]. The usual 5 ms,
# for each of the threads, is what a refusal would take. Source: eval/bench/load.py.
_SWITCH_SECONDS: Final = 0.0005


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; port 0 picks a free one.

    Raises:
        RagError: The address is taken, not ours, or no address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off: 44 ms less per response.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as exc:
        bound.close()
        reason = exc.strerror or str(exc)
        remedy = "choose another with --host and --port, or stop what has it"
        raise RagError("cannot listen", f"{host}:{port} ({reason})", remedy) from exc
    return bound


def serve(
    app: Callable[..., Any],
    bound: socket.socket,
    settings: Settings,
    announce: Callable[[str], None],
    refused: Callable[[Problem], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get their deadline to end.

    Until they have, new ones are told that the service stops, and so are probes of readiness.

    Args:
        app: The ASGI application.
        bound: Where to listen, from ``listen``.
        settings: Whose deadline bounds the draining.
        announce: Is told the URL once requests are accepted.
        refused: Is told of requests that do not come to the application.

    Raises:
        KeyboardInterrupt: It was stopped by SIGINT.
        SystemExit: It was stopped by SIGTERM; the status is 0.
    """
    draining = Draining(app, refused)
    config = uvicorn.Config(
        draining,
        http=bounded(settings.max_connections, refused),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=math.ceil(settings.deadline_seconds) + 1,
    )
    if threading.current_thread() is threading.main_thread():
        # The server raises the signal again when it has drained; the default action would then
        # report a killed process.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.setswitchinterval(_SWITCH_SECONDS)
    _Served(config, draining, lambda: announce(url_of(bound))).run(sockets=[bound])


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Draining:
    """ASGI wrapper that refuses all but to tell how it is, once ``begin`` was called."""

    def __init__(self, app: App, refused: Callable[[Problem], None] | None = None) -> None:
        self._app = app
        self._refused = refused
        self._begun = False

    def begin(self) -> None:
        """Refuse from now on."""
        self._begun = True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if not self._begun or scope["type"] != "http" or scope["path"] in _ALIVE:
            await self._app(scope, receive, send)
            return
        problem = problems.stopping()
        if self._refused is not None:
            self._refused(problem)
        await response_to(scope["path"], problem)(scope, receive, send)


class _Served(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, draining: Draining, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._draining = draining
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Bring open requests to their end while new ones are refused; then close."""
        self._draining.begin()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        most = self.config.timeout_graceful_shutdown or 0
        until = time.monotonic() + most
        open_requests = set(self.server_state.tasks)
        while not all(task.done() for task in open_requests):
            if self.force_exit or time.monotonic() >= until:
                break
            await asyncio.sleep(_POLL_SECONDS)
        self.config.timeout_graceful_shutdown = max(1, math.ceil(until - time.monotonic()))
        await super().shutdown(sockets=sockets)
