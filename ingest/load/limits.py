"""What one file may cost before its parsing is given up."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rag.errors import ValueRangeError


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds for one file.

    They are policy, not measurements: generous for honest documents, small enough that a
    hostile one costs a bounded amount. ``wall_seconds`` and ``memory_bytes`` hold only inside
    a ``ParserPool``, the others for every load. ``memory_bytes`` is address space above what
    the parsing process held before the file. ``unpack_ratio`` is unpacked over packed size and
    is looked at only once an archive unpacks to more than ``RATIO_FLOOR_BYTES``.
    """

    wall_seconds: float = 30.0
    memory_bytes: int = 2 << 30
    input_bytes: int = 100_000_000
    output_chars: int = 50_000_000
    unpacked_bytes: int = 500_000_000
    unpack_ratio: float = 200.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueRangeError(field.name, value, "use a number above 0")


RATIO_FLOOR_BYTES = 1 << 20  # below this an archive is harmless however well it packs
DEFAULT_LIMITS = ParseLimits()
