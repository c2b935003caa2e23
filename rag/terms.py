"""What of a chunk is indexed and embedded besides its own text: where it comes from."""

from __future__ import annotations

from rag.types import Chunk

_LONGEST_PREFIX = 200  # characters: about 50 tokens of the embedder's 256


def source_line(chunk: Chunk) -> str:
    """Return the title and those headings above the chunk that its text does not show itself."""
    names = [chunk.title, *(h for h in chunk.headings if h not in chunk.text)]
    unique = list(dict.fromkeys(name for name in names if name))
    return ", ".join(unique)[:_LONGEST_PREFIX]


def indexed_text(chunk: Chunk) -> str:
    """Return what the lexical leg indexes: source line and text."""
    return f"{source_line(chunk)}\n{chunk.text}"


def embedded_prefix(chunk: Chunk) -> str:
    """Return what the embedder reads before the chunk's text; ends with a separator."""
    line = source_line(chunk)
    return f"{line}: " if line else ""
