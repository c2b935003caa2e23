"""Runs the application on a socket until it is told to stop; open questions are answered first."""

from __future__ import annotations

import math
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import uvicorn

from rag.errors import RagError
from rag.settings import Settings


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
) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get their deadline to end.

    Args:
        app: The ASGI application.
        bound: Where to listen, from ``listen``.
        settings: Whose deadline bounds the draining.
        announce: Is told the URL once requests are accepted.

    Raises:
        KeyboardInterrupt: It was stopped by SIGINT.
        SystemExit: It was stopped by SIGTERM; the status is 0.
    """
    config = uvicorn.Config(
        app,
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
    _Announcing(config, lambda: announce(url_of(bound))).run(sockets=[bound])


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()
