"""frugal-rag: grounded answers from your own documents with the fewest tokens."""

__version__ = "0.1.0"
