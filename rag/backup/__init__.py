"""Copies of a collection that can be checked and put back: what is served, and what is kept."""
