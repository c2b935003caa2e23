"""What ``rag mcp`` does: an agent's tools over the collection's published documents."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rag.errors import UsageError

if TYPE_CHECKING:
    from rag.settings import Settings


def serve_agents(settings: Settings, about: str, most_tokens: int) -> None:
    """Serve the client on stdin and stdout until it leaves; logs go to stderr.

    Args:
        settings: Whose documents, and the budget of a call that names none.
        about: What the documents are about, for agents to read; empty says nothing.
        most_tokens: The largest budget of a call [tokens].

    Raises:
        UsageError: The extra is not installed, or a budget cannot be used.
        KeyboardInterrupt: It was stopped by SIGINT.
    """
    from rag import logs
    from rag.build import build_answering, build_cache, build_ledger, build_live_index

    try:
        from rag.mcp_server import Offer, create_server, serve
    except ModuleNotFoundError as exc:
        remedy = "run pip install 'frugal-rag[mcp]'"
        raise UsageError("a package is not installed", exc.name, remedy) from exc
    offer = Offer(about, most_tokens)
    logs.configure(sys.stderr)
    with ExitStack() as kept:
        ledger, cache = build_ledger(settings), build_cache(settings)
        for store in (ledger, cache):
            if store is not None:
                kept.callback(store.close)
        live = build_live_index(settings)
        kept.callback(live.close)
        live.refresh()  # so that the first call finds the documents
        live.follow()
        answering = build_answering(settings, live, ledger, cache)
        serve(create_server(settings, answering, offer), settings)
