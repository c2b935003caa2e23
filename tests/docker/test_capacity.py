"""The capacity plan of docs/deploy.md, computed anew from its equations and measured values."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from rag.impact import WATTS_PER_BUSY_CPU, kilowatt_hours

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "deploy.md"
BENCHMARKS = ROOT / "docs" / "benchmarks.md"
HOURS_A_YEAR = 365.25 * 24

DIMENSION = 384
# Source: docs/benchmarks.md, Compute tiers, squad_full neural: bytes, CPU s per 1,000 chunks and
# CPU ms per question.
EDGE_BYTES, EMBEDDING_SECONDS, QUESTION_SECONDS = 5211, 17.91e-3, 8.28e-3
# Edge keeps vectors in float16, the server in float32.
SERVER_BYTES = EDGE_BYTES + 2 * DIMENSION
# What has to be in memory: 4-bit codes, 2 x 16 links of 4 bytes, 60 terms of 8 bytes (45 in the
# samples at 109 tokens a chunk), ids.
PINNED_BYTES = DIMENSION // 2 + 2 * 16 * 4 + 60 * 8 + 100
# Source: the graph over 200,000 chunks took 347 s on two cores (the embedded engine).
INDEXING_SECONDS = 2 * 347 / 200_000
REPLICAS = 2
FILLED = 0.7
DISK_ROOM = 2.0
# Source: Cloud Carbon Footprint, Methodology: memory, SSD; idle AWS vCPU as in rag/impact.py.
WATTS_PER_GB, WATTS_PER_TB, WATTS_PER_IDLE_CPU = 0.392, 1.2, 0.74


@dataclass(frozen=True)
class Node:
    """One machine: memory [GB], disk [TB], virtual CPUs."""

    memory: float
    disk: float
    cpus: int

    @property
    def idle_watts(self) -> float:
        memory, disk = self.memory * WATTS_PER_GB, self.disk * WATTS_PER_TB
        return memory + disk + self.cpus * WATTS_PER_IDLE_CPU


ROWS = {
    ("10 million", "all in memory"): (1e7, SERVER_BYTES, Node(64, 1, 16)),
    ("10 million", "codes in memory"): (1e7, PINNED_BYTES, Node(16, 1, 8)),
    ("1 billion", "all in memory"): (1e9, SERVER_BYTES, Node(512, 8, 64)),
    ("1 billion", "codes in memory"): (1e9, PINNED_BYTES, Node(512, 8, 64)),
}


def plan(chunks: float, hot_bytes: float, node: Node) -> tuple[str, ...]:
    """Return the cells of one row: memory, disk, nodes, idle power and energy of a year."""
    memory = chunks * REPLICAS * hot_bytes / 1e9
    disk = chunks * REPLICAS * SERVER_BYTES * DISK_ROOM / 1e12
    nodes = max(3, math.ceil(memory / FILLED / node.memory), math.ceil(disk / node.disk))
    watts = nodes * node.idle_watts
    year = watts * HOURS_A_YEAR / 1000
    kind = f"{node.memory:g} GB, {node.disk:g} TB, {node.cpus} CPUs"
    sizes = (f"{memory:,.0f} GB", f"{disk:,.2f} TB")
    return (*sizes, f"{nodes} of {kind}", f"{watts:,.0f} W", f"{year:,.0f} kWh")


def rows(first: str) -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(rf"^\| ({first}[^\n]*) \|$", text, re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in found]


@pytest.mark.parametrize(("size", "way"), ROWS)
def test_the_table_of_nodes(size: str, way: str) -> None:
    (row,) = [row for row in rows(size) if row[1] == way]
    assert tuple(row[2:]) == plan(*ROWS[size, way])


def test_the_table_of_work() -> None:
    for size, chunks in (("10 million", 1e7), ("1 billion", 1e9)):
        seconds = chunks * (EMBEDDING_SECONDS + REPLICAS * INDEXING_SECONDS)
        low, high = (
            kilowatt_hours(seconds * watts)
            for watts in (WATTS_PER_BUSY_CPU.low, WATTS_PER_BUSY_CPU.high)
        )
        (row,) = [row for row in rows(size) if row[1].startswith("CPU")]
        assert row[2] == f"{seconds / 3600:,.0f} h"
        assert row[3] == f"{low:,.2f} to {high:,.2f} kWh"


def test_a_million_questions() -> None:
    low, high = (
        kilowatt_hours(1e6 * QUESTION_SECONDS * watts)
        for watts in (WATTS_PER_BUSY_CPU.low, WATTS_PER_BUSY_CPU.high)
    )
    assert f"{low * 1000:.1f} to {high * 1000:.1f} Wh" in PAGE.read_text(encoding="utf-8")


def test_a_year_of_idling_against_one_ingest() -> None:
    year = float(plan(*ROWS["1 billion", "all in memory"])[-1].split()[0].replace(",", ""))
    seconds = 1e9 * (EMBEDDING_SECONDS + REPLICAS * INDEXING_SECONDS)
    times = year / kilowatt_hours(seconds * WATTS_PER_BUSY_CPU.high)
    assert f"some {round(times, -2):,.0f} times" in " ".join(PAGE.read_text().split())


def test_the_measured_values_are_those_of_the_benchmarks() -> None:
    text = BENCHMARKS.read_text(encoding="utf-8")
    row = re.search(r"^\| squad_full \| neural \| 20077 \|(.*)\|$", text, re.MULTILINE)
    assert row
    cells = [cell.strip() for cell in row[1].split("|")]
    question, ingest, size = float(cells[3]), float(cells[5]), int(cells[7])
    assert (question / 1e3, ingest / 1e3, size) == (QUESTION_SECONDS, EMBEDDING_SECONDS, EDGE_BYTES)
    assert f"{SERVER_BYTES:,} bytes" in PAGE.read_text(encoding="utf-8")
    assert f"{PINNED_BYTES:,} bytes" in PAGE.read_text(encoding="utf-8")
