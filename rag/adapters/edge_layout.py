"""What ``index.json`` beside an Edge shard says about it."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rag.errors import IndexStateError, ValueRangeError

_FORMAT = 2  # 1: with a write-ahead log, float32 vectors, base64 sentence vectors


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """What an index is made for.

    ``dimension`` is that of the dense vectors, None for the lexical tier. ``flat_limit`` is the
    number of chunks up to which dense search scans instead of walking a graph: the scan takes
    about 1 ms at 50,000 chunks and 12 ms at 200,000, and builds 3 to 9 times faster.
    """

    dimension: int | None
    flat_limit: int = 100_000

    def __post_init__(self) -> None:
        if self.dimension is not None and self.dimension < 1:
            raise ValueRangeError("index dimension", self.dimension, "use 1 or more, or None")
        if self.flat_limit < 0:
            raise ValueRangeError("flat_limit", self.flat_limit, "use 0 or more chunks")


@dataclass(frozen=True, slots=True)
class Layout:
    """An index's configuration and whether its dense leg walks a graph."""

    config: IndexConfig
    graph: bool = False

    def for_count(self, count: int) -> Layout:
        """Return the layout that fits this many chunks."""
        # Half the limit as the way back, so that a corpus at the limit does not flap.
        limit = self.config.flat_limit // 2 if self.graph else self.config.flat_limit
        return replace(self, graph=self.config.dimension is not None and count > limit)


def hold(directory: Path) -> int:
    """Return a descriptor that keeps all others from holding this directory until it is closed.

    Raises:
        IndexStateError: Somebody holds it, or there is no such directory.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise IndexStateError("index cannot be opened", exc, "rebuild the index") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        remedy = "close the other process that has it open"
        raise IndexStateError("index is in use", directory, remedy) from exc
    return descriptor


def write_layout(path: Path, layout: Layout) -> None:
    """Write ``index.json``, replacing it in one step."""
    state = {"format": _FORMAT, "graph": layout.graph, **asdict(layout.config)}
    fresh = path / "index.json.new"
    fresh.write_text(json.dumps(state), encoding="utf-8")
    fresh.replace(path / "index.json")


def read_layout(path: Path) -> Layout:
    """Return what ``index.json`` says.

    Raises:
        IndexStateError: There is no such file, or it cannot be used.
    """
    try:
        state = json.loads((path / "index.json").read_text(encoding="utf-8"))
        if state.pop("format") == _FORMAT:
            return Layout(graph=bool(state.pop("graph")), config=IndexConfig(**state))
    except FileNotFoundError as exc:
        raise IndexStateError("no index", path, "run rag-ingest first") from exc
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise IndexStateError("index.json cannot be read", path, "rebuild the index") from exc
    remedy = "remove the collection's CURRENT file and run rag-ingest sync again"
    raise IndexStateError("index of another version's format", path, remedy)
