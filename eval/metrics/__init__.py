"""Metrics as pure functions, a module a subject; none needs a model to judge."""
