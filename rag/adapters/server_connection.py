"""The HTTP connection below qdrant-client: it ends what it does when the call's time is over."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rag.adapters.server_calls import Deadline
from rag.adapters.server_config import ServerConfig

if TYPE_CHECKING:
    import httpx
    from qdrant_client import QdrantClient

# Source: RFC 6298, section 2: an unanswered SYN is sent again after 1 s. Who has not answered the
# second is gone, and there is time for another node.
_CONNECT_SECONDS = 2.0


def connect(config: ServerConfig, current: Callable[[], Deadline]) -> QdrantClient:
    """Return a client; ``current`` tells the deadline of the call that this thread is in.

    qdrant-client itself knows whole seconds only, and per attempt instead of per call.
    """
    from qdrant_client import QdrantClient

    context = ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)
    client = QdrantClient(
        url=config.url,
        headers=config.headers(),
        timeout=math.ceil(config.write_timeout_seconds),
        check_compatibility=False,
        verify=context,
        event_hooks={"response": [_limited(current)]},
    )

    def keep_deadline(
        request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]
    ) -> httpx.Response:
        left = max(current().remaining(), 0.001)
        steps = dict.fromkeys(("read", "write", "pool"), left)
        steps["connect"] = min(left, _CONNECT_SECONDS)
        request.extensions = {**request.extensions, "timeout": steps}
        return send(request)

    client.http.client.add_middleware(keep_deadline)
    return client


def _limited(current: Callable[[], Deadline]) -> Callable[[httpx.Response], None]:
    """Return a hook that ends an answer whose bytes come one by one when the time is over."""
    import httpx

    class Limited(httpx.SyncByteStream):
        def __init__(self, stream: httpx.SyncByteStream, deadline: Deadline) -> None:
            self._stream = stream
            self._deadline = deadline

        def __iter__(self) -> Iterator[bytes]:
            for piece in self._stream:
                if self._deadline.remaining() <= 0:
                    raise httpx.ReadTimeout("the answer came too slowly")
                yield piece

        def close(self) -> None:
            self._stream.close()

    def hook(response: httpx.Response) -> None:
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = Limited(response.stream, current())

    return hook
