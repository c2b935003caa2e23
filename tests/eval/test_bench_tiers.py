"""Tiers: which there are, and what a listing of imports says of the models in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import get_args

from eval.bench import tiers
from eval.bench.footprint import model_libraries
from rag.adapters.hash_embedder import HashEmbedder
from rag.settings import Settings
from rag.types import Chunk, Span


def test_every_tier_of_the_settings_is_measured() -> None:
    known = get_args(Settings.model_fields["tier"].annotation)
    measured = {way.settings().tier for way in tiers.ways()}
    assert measured == set(known)


def test_model_libraries_are_found_wherever_they_are_imported_from() -> None:
    listing = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |     onnxruntime.capi\n"
        "import time:       100 |        100 | json\n"
        "listening on fastembed | 127.0.0.1:1\n"
    )
    assert model_libraries(listing) == ("onnxruntime",)


def test_the_interpreter_lists_imports_as_expected() -> None:
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    code = "import tokenizers"
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert model_libraries(run.stderr) == ("tokenizers",)


def test_metered_embedder_changes_no_vector_and_counts_passages_only() -> None:
    plain, text = HashEmbedder(), "The Vasa sank in 1628. It was raised in 1961."
    spans = (Span(0, 22), Span(23, len(text)))
    chunk = Chunk("c", "d", "Ships", text, 0, len(text), 12, spans)
    metered = tiers.MeteredEmbedder(plain)
    assert (metered.embed_question(text) == plain.embed_question(text)).all()
    assert metered.cpu_seconds == 0.0
    for _ in range(50):
        vectors = metered.embed_passage(chunk)
    assert (vectors.sentences == plain.embed_passage(chunk).sentences).all()
    assert metered.cpu_seconds > 0.0
    assert metered.fingerprint == plain.fingerprint
