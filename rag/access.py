"""Who is asking, and the one rule of what they may see.

Every store that holds what belongs to tenants (index, cache, ledger, jobs, documents, metrics) asks
this module, below the pipeline, each time it is used. Nobody is told who is asking through the
calls in between, so none of them can forget it: it is a context variable, set at the edges (the
service's door, a command) by ``acting``. Where nobody is named, nothing is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

from rag import labels
from rag.errors import AccessError

if TYPE_CHECKING:
    from rag.types import Filter

Right: TypeAlias = Literal["query", "ingest", "admin", "metrics"]
RIGHTS: Final[tuple[Right, ...]] = ("query", "ingest", "admin", "metrics")

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks: a key's holder, or whoever runs this.

    Attributes:
        name: The key's id, which the audit log names; no secret.
        tenant: The only tenant they are for; None is any.
        rights: What they may do.
        labels: Documents with one of these labels, sorted, they may read beside those without any;
            None is all documents.
    """

    name: str
    tenant: str | None
    rights: frozenset[Right]
    labels: tuple[str, ...] | None

    def reads(self, access: Sequence[str]) -> bool:
        """Return whether they may read a document with these labels."""
        return labels.reads(self.labels, access)


# Whoever runs the command, or asks a service that only this machine reaches.
OPERATOR: Final = Caller("operator", None, frozenset(RIGHTS), None)

_ASKING: ContextVar[Caller | None] = ContextVar("asking", default=None)


@contextmanager
def acting(caller: Caller | None) -> Iterator[None]:
    """Do what stands within for a caller; for nobody where that is None."""
    token = _ASKING.set(caller)
    try:
        yield
    finally:
        _ASKING.reset(token)


def caller() -> Caller:
    """Return who is asking.

    Raises:
        AccessError: Nobody was named, which is a fault of ours: nothing may be given then.
    """
    asking = _ASKING.get()
    if asking is None:
        remedy = "report this as a bug: a caller is named at the edge"
        raise AccessError("nobody is asking", "no caller", remedy)
    return asking


def carried(work: Callable[[], _Result]) -> Callable[[], _Result]:
    """Return work that is done for whoever asks now, on whatever thread it runs."""
    return partial(copy_context().run, work)


def tenant_of(named: str | None, usual: str) -> str:
    """Return whose documents are meant: the one named, the caller's, or else the usual one.

    Raises:
        AccessError: The caller is for another tenant.
    """
    return require(named or caller().tenant or usual)


def require(tenant: str) -> str:
    """Return a tenant that the caller may act for.

    Raises:
        AccessError: The caller is for another tenant.
    """
    own = caller().tenant
    if own is not None and tenant != own:
        raise AccessError("the key is for another tenant", tenant, f"leave it out, or name {own}")
    return tenant


def everywhere() -> None:
    """Check that the caller may see what belongs to all tenants together.

    Raises:
        AccessError: The caller is for one tenant.
    """
    own = caller().tenant
    if own is not None:
        remedy = "ask with a key that is for no tenant in particular"
        raise AccessError("the key is for one tenant, and this is of all", own, remedy)


def narrowed(where: Filter) -> Filter:
    """Return a filter with nothing in it that the caller may not see.

    Raises:
        AccessError: The caller is for another tenant.
    """
    require(where.tenant)
    return replace(where, labels=caller().labels)


def check(where: Filter) -> Filter:
    """Return a filter that was narrowed for this caller: what a store does before it looks.

    Raises:
        AccessError: It was not, or the caller is for another tenant.
    """
    require(where.tenant)
    asking = caller()
    if where.labels != asking.labels:
        remedy = "report this as a bug: filters are narrowed at the edge"
        raise AccessError("a filter shows more than the caller may see", asking.name, remedy)
    return where
