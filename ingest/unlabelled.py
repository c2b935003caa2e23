"""Manifests that were published before there were labels: nothing in them has any.

A copy that is written gets what is missing. A published manifest is only read, so there the columns
are shown by views of this connection that stand before the file's tables of the same names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

RULES = "(tenant TEXT, path TEXT, labels TEXT, PRIMARY KEY (tenant, path)) WITHOUT ROWID"
_COLUMNS = (("documents", ("own_access", "access")), ("contents", ("access",)))


def add_labels(connection: sqlite3.Connection) -> None:
    """Add the columns to a manifest that is about to be written."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS access_rules {RULES}")
    for table, missing in _lacking(connection):
        for column in missing:
            connection.execute(
                f"ALTER TABLE {table} ADD COLUMN {column} TEXT NOT NULL DEFAULT '[]'"
            )


def show_labels(connection: sqlite3.Connection) -> None:
    """Let a manifest that is only read look as if it had the columns."""
    for table, missing in _lacking(connection):
        shown = ", ".join(f"'[]' AS {column}" for column in missing)
        view = f"CREATE TEMP VIEW {table} AS SELECT *, {shown} FROM main.{table}"  # noqa: S608 -- our own names
        connection.execute(view)
    known = "SELECT 1 FROM main.sqlite_master WHERE name='access_rules'"
    if connection.execute(known).fetchone() is None:
        connection.execute(f"CREATE TEMP TABLE access_rules {RULES}")


def _lacking(connection: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    for table, columns in _COLUMNS:
        rows = connection.execute("SELECT name FROM pragma_table_info(?, 'main')", (table,))
        known = {name for (name,) in rows}
        missing = [column for column in columns if column not in known]
        if missing:
            yield table, missing
