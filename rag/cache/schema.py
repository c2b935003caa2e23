"""The tables of the cache's file, and an entry as one of their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Statements apart by "|": a trigger holds semicolons.
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, scope BLOB NOT NULL,
    tenant TEXT NOT NULL, question TEXT NOT NULL, question_key BLOB NOT NULL,
    generation TEXT NOT NULL, digest TEXT NOT NULL, grounds TEXT NOT NULL, clue BLOB NOT NULL,
    semantic INTEGER NOT NULL, answer BLOB NOT NULL, created REAL NOT NULL,
    joules_low REAL, joules_high REAL, tokens INTEGER NOT NULL, size INTEGER NOT NULL,
    uses INTEGER NOT NULL, priority REAL NOT NULL
)|
CREATE TABLE IF NOT EXISTS documents (entry INTEGER NOT NULL, tenant TEXT, doc_id TEXT)|
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value REAL NOT NULL) WITHOUT ROWID|
CREATE INDEX IF NOT EXISTS by_question ON entries (question_key)|
CREATE INDEX IF NOT EXISTS by_tenant ON entries (tenant)|
CREATE INDEX IF NOT EXISTS by_age ON entries (created)|
CREATE INDEX IF NOT EXISTS by_rank ON entries (priority, id)|
CREATE INDEX IF NOT EXISTS by_document ON documents (tenant, doc_id)|
CREATE INDEX IF NOT EXISTS by_entry ON documents (entry)|
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON entries BEGIN
    INSERT INTO numbers VALUES ('bytes', new.size), ('entries', 1)
    ON CONFLICT DO UPDATE SET value = value + excluded.value;
END|
CREATE TRIGGER IF NOT EXISTS dropped AFTER DELETE ON entries BEGIN
    DELETE FROM documents WHERE entry = old.id;
    INSERT INTO numbers VALUES ('bytes', -old.size), ('entries', -1), ('dropped', 1)
    ON CONFLICT DO UPDATE SET value = value + excluded.value;
END"""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as it is stored; ``id`` is None before that. ``created`` is POSIX time [s]."""

    id: int | None
    key: bytes
    scope: bytes
    tenant: str
    question: str
    question_key: bytes
    generation: str
    digest: str
    grounds: str
    clue: bytes
    semantic: bool
    answer: bytes
    created: float
    joules_low: float | None
    joules_high: float | None
    tokens: int
    size: int
    uses: int
    priority: float
