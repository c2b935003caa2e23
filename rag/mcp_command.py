"""What ``rag mcp`` does: an agent's tools over the collection's published documents."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rag.errors import UsageError

if TYPE_CHECKING:
    from rag.answering import Answering
    from rag.audit import AuditLog
    from rag.settings import Settings


def serve_agents(settings: Settings, about: str, most_tokens: int) -> None:
    """Serve the client on stdin and stdout until it leaves; logs go to stderr.

    Args:
        settings: Whose documents, and the budget of a call that names none.
        about: What the documents are about, for agents to read; empty says nothing.
        most_tokens: The largest budget of a call [tokens].

    Raises:
        UsageError: The extra is not installed, or a budget cannot be used.
        SettingsError: The audit log cannot be appended to, or traces cannot be sent.
        KeyboardInterrupt: It was stopped by SIGINT.
    """
    from rag import logs
    from rag.audit import AuditLog
    from rag.build import build_answering, build_cache, build_ledger, build_live_index
    from rag.build_traces import build_traces, with_traces

    try:
        from rag.mcp_server import Offer, create_server, serve
    except ModuleNotFoundError as exc:
        remedy = "run pip install 'frugal-rag[mcp]'"
        raise UsageError("a package is not installed", exc.name, remedy) from exc
    offer = Offer(about, most_tokens)
    logs.configure(sys.stderr)
    with ExitStack() as kept:
        audit = AuditLog(settings.audit_log)
        audit.check()
        traces = build_traces(settings)
        ledger, cache = build_ledger(settings), build_cache(settings)
        for part in (traces, ledger, cache):
            if part is not None:
                kept.callback(part.close)
        live = build_live_index(settings)
        kept.callback(live.close)
        live.refresh()  # so that the first call finds the documents
        live.follow()
        answering = with_traces(build_answering(settings, live, ledger, cache), settings)
        held = _held(answering, settings, audit)
        serve(create_server(settings, held, offer, traces), settings)


def _held(answering: Answering, settings: Settings, audit: AuditLog) -> Answering:
    """Return what answers within the tenant's quotas, and notes what it gives."""
    from rag.audited import AuditedAnswering
    from rag.build_quotas import build_quotas
    from rag.quotas import QuotaAnswering

    quotas = build_quotas(settings)
    if quotas is not None:
        answering = QuotaAnswering(answering, quotas)
    return AuditedAnswering(answering, audit)
