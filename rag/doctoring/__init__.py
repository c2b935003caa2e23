"""The checks of ``rag doctor`` that need no model, no engine and no network."""
