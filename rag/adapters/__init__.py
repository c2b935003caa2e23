"""Adapters: each the only importer of its third-party library."""
