"""How much an entry is worth keeping: what it saves, per byte and by how often it was asked."""

from __future__ import annotations


def priority(clock: float, uses: int, joules: float, size: int) -> float:
    """Return the rank of an entry; the lowest leaves first.

    ``H = L + F C / S``: with ``C`` what the answer took [J], ``S`` its size [bytes], ``F`` how
    often it was asked, and ``L`` the rank of what left last, so that the value of what is no longer
    asked fades against that of newcomers. Where no cost is known it is plain least recently used.

    Source: Cherkasova 1998, Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency
    Caching Policy, HP Laboratories HPL-98-69R1, section 3.
    """
    return clock + uses * joules / max(size, 1)
