"""The benchmark's own arithmetic: corpora, tables, plot, cache, and the way it is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bench import corpora, frontier, ours, records, wholes
from eval.bench.plot import Curve, drawn
from eval.bench.vectors import FilledEmbedder
from eval.datasets import Case, Text
from eval.statistics import mean_estimate
from eval.systems.indexed import built_index, chunked, single
from eval.vectors import CachedEmbedder, VectorCache
from rag.adapters.hash_embedder import HashEmbedder
from rag.build import build_analyzer, build_tokenizer
from rag.settings import load_settings

TEXTS = [
    Text("A#0", "Apples", "Apples are red. Pears are green."),
    Text("A#1", "Apples", "The largest apple weighed 1.849 kg in Hirosaki."),
    Text(
        "B#0",
        "Boats",
        "Most boats float for as long as water stays out and somebody looks after the hull. "
        "The Vasa sank in 1628 after sailing 1300 metres.",
    ),
]
CASE = Case("q", "In which year did the Vasa sink?", ("1628",), (("B", 1),), True, {})


def test_articles_keep_every_passage_in_its_place() -> None:
    first, second = corpora.articles(TEXTS)
    assert (first.id, second.id) == ("A", "B")
    passages = [first.text[block.start : block.end] for block in first.blocks]
    assert passages == [TEXTS[0].text, TEXTS[1].text]
    assert first.text == f"{passages[0]}\n\n{passages[1]}"


@given(count=st.integers(1, 30), wanted=st.integers(1, 40))
def test_samples_are_reproducible_and_without_repeats(count: int, wanted: int) -> None:
    cases = [Case(str(i), "?", (), (), True, {}) for i in range(count)]
    drawn_cases = corpora.sampled(cases, wanted)
    assert drawn_cases == corpora.sampled(cases, wanted)
    assert len({case.id for case in drawn_cases}) == min(count, wanted)


@pytest.mark.parametrize("tier", ["lexical", "neural"])
def test_frugal_system_shows_what_holds_the_answer(tmp_path: Path, tier: str) -> None:
    settings = load_settings(tier=tier)
    embedder = HashEmbedder() if tier == "neural" else None
    chunks = chunked(corpora.articles(TEXTS), settings)
    with built_index(tmp_path / "index", chunks, embedder, settings.tenant) as index:
        (system,) = ours.systems(index, settings, embedder, [40])
        shown = system.show(CASE)
    assert "1628" in shown.text
    assert "B" in shown.documents
    assert shown.tokens == build_tokenizer(settings).count(shown.text) <= 40


def test_stopping_early_is_named_and_shows_less(tmp_path: Path) -> None:
    settings = load_settings(tier="lexical")
    chunks = chunked(corpora.articles(TEXTS), settings)
    with built_index(tmp_path / "index", chunks, None, settings.tenant) as index:
        (full,) = ours.systems(index, settings, None, [200])
        first, last = ours.stopping([full], (0.01, 0.5))
        everything, little = full.show(CASE), last.show(CASE)
    assert (full.setting, first.setting) == ("budget 200", "budget 200, frugality 0.01")
    assert (full.name, last.name) == ("frugal-rag lexical", "frugal-rag lexical, stopping early")
    assert "1628" in little.text
    assert little.tokens < everything.tokens


def test_whole_passages_never_pass_the_budget() -> None:
    settings = load_settings()
    chunks = chunked(map(single, TEXTS), settings)
    tools = wholes.ranked(chunks, build_analyzer(), build_tokenizer(settings))
    for budget in (10, 20, 40, 80):
        shown = wholes.WholeSystem(tools, budget).show(CASE)
        assert shown.tokens <= budget
    assert shown.text.startswith(TEXTS[2].text)


def row(system: str, setting: str, tokens: float, hits: tuple[bool, ...]) -> frontier.Row:
    gold = tuple(True for _ in hits)
    return frontier.Row("c", system, setting, mean_estimate([tokens]), hits, gold, 0.0)


def test_savings_take_the_cheapest_budget_that_is_as_good() -> None:
    rows = [
        row("frugal-rag lexical", "budget 50", 50, (True, False, False)),
        row("frugal-rag lexical", "budget 100", 100, (True, True, False)),
        row("frugal-rag lexical", "budget 200", 200, (True, True, True)),
        row("LlamaIndex", "k=2", 1000, (False, True, True)),
    ]
    lines = frontier._savings_table(rows).splitlines()
    assert len(lines) == 3
    assert "| lexical, budget 100 | 0.667 / 100 | +0.000" in lines[2]
    assert "1 : 10.0" in lines[2]


def test_savings_own_up_to_a_recall_that_is_not_reached() -> None:
    rows = [
        row("frugal-rag neural", "budget 50", 50, (False, False)),
        row("frugal-rag neural", "budget 100", 100, (True, False)),
        row("LlamaIndex", "k=2", 1000, (True, True)),
    ]
    (line,) = frontier._savings_table(rows).splitlines()[2:]
    assert "| neural, budget 100 | 0.500 / 100 | -0.500" in line
    assert "not reached" in line


def test_stopping_early_takes_the_fewest_tokens_that_are_as_good_as_256() -> None:
    early = "frugal-rag neural, stopping early"
    rows = [
        row("frugal-rag neural", "budget 256", 250, (True, True, False)),
        row("frugal-rag neural", "budget 512", 500, (True, True, True)),
        row(early, "budget 512, frugality 0.2", 20, (True, False, False)),
        row(early, "budget 512, frugality 0.1", 50, (False, True, True)),
        row(early, "budget 512, frugality 0.05", 90, (True, True, True)),
    ]
    (line,) = frontier._stopping_table(rows).splitlines()[2:]
    assert "| frugal-rag neural | 0.667 / 250 | 0.1 | 0.667 / 50 | +0.000" in line
    assert line.endswith("| 80% |")
    (line,) = frontier._stopping_table(rows[:3]).splitlines()[2:]
    assert "not reached" in line


def test_tables_align_numbers_right() -> None:
    table = records.table(("name", "n"), [("a", "1.5"), ("b", "<2")])
    assert table.splitlines() == ["| name | n |", "| --- | ---: |", "| a | 1.5 |", "| b | <2 |"]


def test_records_say_where_they_come_from(tmp_path: Path) -> None:
    path = records.write_record("trial", records.provenance() | {"seed": 7}, tmp_path)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["seed"] == 7
    assert {"at", "commit", "machine", "packages"} <= record.keys()
    assert record["machine"]["cores"] == os.cpu_count()
    assert record["packages"]["numpy"] == np.__version__


def test_the_plot_is_well_formed_and_rises_with_recall() -> None:
    picture = drawn({"a & b": [Curve("x <y>", ((64, 0.5), (128, 0.75)))]})
    root = ET.fromstring(picture)  # noqa: S314 -- made above
    circles = [c for c in root.iter("{http://www.w3.org/2000/svg}circle") if c.get("r") == "3.5"]
    (x1, y1), (x2, y2) = ((float(c.get("cx", 0)), float(c.get("cy", 0))) for c in circles)
    assert x1 < x2
    assert y1 > y2


def test_vectors_are_kept_between_processes(tmp_path: Path) -> None:
    (chunk, *_) = chunked(corpora.articles(TEXTS), load_settings())
    first = CachedEmbedder(HashEmbedder(), VectorCache(tmp_path / "v.sqlite"))
    assert first.kept(chunk) is None
    made, asked = first.embed_passage(chunk), first.embed_question("Where?")
    first.flush()
    again = CachedEmbedder(HashEmbedder(), VectorCache(tmp_path / "v.sqlite"))
    np.testing.assert_array_equal(again.embed_passage(chunk).sentences, made.sentences)
    np.testing.assert_array_equal(again.embed_question("Where?"), asked)
    assert (first.computed, again.computed) == (2, 0)


def test_filled_vectors_are_unit_and_counted(tmp_path: Path) -> None:
    chunks = chunked(corpora.articles(TEXTS), load_settings())
    cached = CachedEmbedder(HashEmbedder(), VectorCache(tmp_path / "v.sqlite"))
    cached.embed_passage(chunks[0])
    dimension = len(cached.embed_question("dimension"))
    filled = FilledEmbedder(cached, dimension)
    vectors = [filled.embed_passage(chunk) for chunk in chunks]
    assert (filled.real, filled.random) == (1, len(chunks) - 1)
    for chunk, made in zip(chunks, vectors, strict=True):
        assert made.sentences.shape == (len(chunk.sentences), dimension)
        assert np.linalg.norm(made.passage) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("place", ["--data", "RAG_BENCH_DATA"])
def test_without_data_it_is_skipped(tmp_path: Path, place: str) -> None:
    absent = str(tmp_path / "absent")
    command = [sys.executable, "-m", "eval.bench", *(["--data", absent] if "-" in place else [])]
    environment = os.environ | ({} if "-" in place else {place: absent})
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0
    assert "skipped" in done.stdout
    assert absent in done.stdout


def test_an_unknown_benchmark_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eval.bench", "--only", "frontier,speed"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "speed" in done.stderr
