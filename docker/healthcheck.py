# ruff: noqa: INP001 -- a script that the image runs by its path
"""Exit with 0 if the service answers GET /healthz, else with 1: the image's health check.

Run by the image's own Python, as there is no other HTTP client in it; a bare socket, because this
runs every half minute and the modules for more take longer to import than the answer takes.
"""

import os
import socket
import sys

_SECONDS = 2.0
_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def is_healthy(port: int) -> bool:
    """Return whether the service on this port of this machine says 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            connection.sendall(_REQUEST)
            status = connection.makefile("rb").readline()
    except OSError:
        return False
    return status.split()[1:2] == [b"200"]


if __name__ == "__main__":
    sys.exit(0 if is_healthy(int(os.environ.get("RAG_PORT", "8080"))) else 1)
