"""How much of a corpus traffic needs: the shelf that is filled, and repeated traffic."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bench import demand
from eval.bench.corpora import Corpus
from eval.bench.demand import Plan, Shelf, repeated
from eval.datasets import Case, Text
from eval.systems.indexed import chunked, single
from rag.adapters.hash_embedder import HashEmbedder
from rag.settings import load_settings
from rag.types import Filter, SearchQuery

PARTS = ("inlet valve", "feed pump", "flow sensor", "oil gauge", "drive motor", "air filter")
TEXTS = [Text(str(n), part, f"The {part} was seen on day {n}.") for n, part in enumerate(PARTS)]
CASES = tuple(
    Case(str(n), f"When was the {part} seen?", (f"day {n}",), ((str(n), 1),), True, {})
    for n, part in enumerate(PARTS)
)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setattr(demand, "DIMENSION", 16)
    chunks = chunked(map(single, TEXTS), load_settings(tokenizer="cl100k_base"))
    return Shelf(tmp_path / "index", chunks, HashEmbedder(16))


@given(count=st.integers(1, 50), draws=st.integers(0, 300))
def test_repeated_traffic_is_reproducible_and_within_bounds(count: int, draws: int) -> None:
    drawn = repeated(count, draws)
    assert drawn == repeated(count, draws)
    assert len(drawn) == draws
    assert set(drawn) <= set(range(count))


def test_the_first_are_asked_most() -> None:
    counts = Counter(repeated(100, 5000))
    assert counts[0] > counts[9] > counts[90] > 0
    assert len(counts) > 80


def test_a_shelf_embeds_what_it_is_told_once(shelf: Shelf) -> None:
    first, second, *_ = sorted(shelf.chunks)
    assert shelf.share == 0
    shelf.embed([first])
    shelf.embed([first, second])
    assert shelf.embedded == {first, second}
    assert shelf.share == pytest.approx(1 / 3)
    asked = shelf.embedder.embed_question("pump")
    query = SearchQuery(Filter("default"), None, asked, 10)
    assert {hit.chunk_id for hit in shelf.index.search(query).dense} == {first, second}
    shelf.index.close()


def test_demand_grows_with_traffic_and_stays_within_what_was_offered(shelf: Shelf) -> None:
    corpus = Corpus("parts", tuple(map(single, TEXTS)), CASES, "", "")
    trial = demand._Trial(Plan(Path(), ("parts",), (1, 4), judged=2), corpus, shelf)
    rows = trial.demands()
    assert [(row.traffic, row.questions) for row in rows] == [
        *(("unique", 1), ("unique", 4)),
        *(("repeated", 1), ("repeated", 4)),
    ]
    assert rows[0].offered <= rows[1].offered
    for row in rows:
        assert 0 < row.packed <= row.offered <= row.candidates <= 1
    states = trial.filled(seconds_per_chunk=0.5)
    assert [state.state for state in states][::3] == ["nothing", "everything"]
    assert (states[0].embedded, states[-1].embedded) == (0, 1)
    assert states[0].cpu_seconds_saved == pytest.approx(0.5 * len(shelf.chunks))
    assert states[-1].loss.mean == states[-1].cpu_seconds_saved == 0
    shelf.index.close()
