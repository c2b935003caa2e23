"""What is true of all points of an embedded index, so that a search can do less."""

from __future__ import annotations

from dataclasses import dataclass

from rag.types import Filter


@dataclass(frozen=True, slots=True)
class Contents:
    """What is true of all points.

    ``sole_tenant`` makes the tenant filter needless, which costs half of a dense search;
    without ``opaque_ids`` no payload is read to name the hits, which costs half of a sparse one,
    as does reading which of them are ``unembedded``. Where nothing is ``labelled`` nothing has to
    be kept from anybody who may see the tenant.
    """

    sole_tenant: str | None
    opaque_ids: bool
    unembedded: bool
    labelled: bool

    def corpus(self, where: Filter) -> Filter | None:
        """Return all that whoever asks may see, None if that is everything.

        Terms are weighed by how rare they are there: counted over more than that, ranks and weights
        would tell of texts that the one who asks may not read.
        """
        labels = where.labels if self.labelled else None
        if where.tenant == self.sole_tenant and labels is None:
            return None
        return Filter(where.tenant, labels=labels)
