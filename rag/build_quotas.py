"""The composition root of quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.quotas import Allowance, Quotas, quotas_of
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.adapters.windows import MemoryWindows


def build_quotas(settings: Settings) -> Quotas | None:
    """Return the tenants' quotas, counted in this process; None where nobody has any.

    What a tenant's own table leaves out is as for all.
    """
    usual = Allowance(settings.quota_requests, settings.quota_tokens, settings.quota_joules)
    own = {
        tenant: Allowance(
            table.requests or usual.requests,
            table.tokens or usual.tokens,
            table.joules or usual.joules,
        )
        for tenant, table in settings.quotas.items()
    }

    def windows() -> MemoryWindows:
        from rag.adapters.windows import MemoryWindows

        return MemoryWindows()

    return quotas_of(usual, own, windows)
