"""Systems that an evaluation can run: frugal-rag, and the usual ways to compare it with."""
