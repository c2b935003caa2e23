"""Benchmarks on public data, behind ``make bench``."""
