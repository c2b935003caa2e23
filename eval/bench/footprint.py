"""A way to answer, and what a service that answers so has in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.bench.generations import published
from eval.bench.records import table
from eval.bench.service import serving
from eval.vectors import CachedEmbedder, VectorCache
from rag.build import build_embedder
from rag.settings import Settings, load_settings
from rag.types import Chunk

_MODEL_LIBRARIES = ("fastembed", "onnxruntime", "tokenizers", "torch")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to answer: a name for the tables, and settings that differ from the defaults."""

    label: str
    overrides: tuple[tuple[str, str], ...]

    def settings(self, data_dir: Path | None = None) -> Settings:
        """Return the whole settings."""
        return load_settings(data_dir=data_dir, **dict(self.overrides))


@dataclass(frozen=True, slots=True)
class Footprint:
    """What ``rag serve`` loaded until it had answered some questions, and its memory [MiB].

    ``answered`` counts those that it did not abstain from.
    """

    way: str
    questions: int
    answered: int
    model_libraries: tuple[str, ...]
    resident_mib: float
    peak_mib: float


def footprint(
    way: Way, chunks: Sequence[Chunk], questions: Sequence[str], cache: VectorCache
) -> Footprint:
    """Publish the chunks and ask the questions of a service, a process of its own.

    Its interpreter itself lists what is imported.
    """
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        settings = way.settings(Path(scratch))
        plain = build_embedder(settings)
        published(settings, chunks, CachedEmbedder(plain, cache) if plain else None)
        own = {f"RAG_{name.upper()}": value for name, value in way.overrides}
        log = Path(scratch) / "serve.log"
        listing = {"RAG_DATA_DIR": scratch, "PYTHONPROFILEIMPORTTIME": "1"}
        with serving(own | listing, log) as service:
            bodies = [service.post("/v1/query", {"question": text})[1] for text in questions]
            resident, peak = service.resident_mib(), service.peak_mib()
        imports = log.read_text(encoding="utf-8")
    return Footprint(
        way=way.label,
        questions=len(questions),
        answered=sum(body["answer"] is not None for body in bodies),
        model_libraries=model_libraries(imports),
        resident_mib=resident,
        peak_mib=peak,
    )


def model_libraries(import_times: str) -> tuple[str, ...]:
    """Return the model libraries among the modules that ``-X importtime`` lists."""
    lines = [line for line in import_times.splitlines() if line.startswith("import time:")]
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    return tuple(name for name in _MODEL_LIBRARIES if name in modules)


def footprints_table(footprints: Sequence[Footprint]) -> str:
    """Return what each way loaded as a Markdown table."""
    rows = [
        (
            one.way,
            one.questions,
            one.answered,
            ", ".join(one.model_libraries) or "none",
            f"{one.resident_mib:.0f}",
            f"{one.peak_mib:.0f}",
        )
        for one in footprints
    ]
    header = ("rag serve", "questions", "answered", "model libraries imported", "RSS [MiB]", "peak")
    return table(header, rows)
