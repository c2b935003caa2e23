"""What a service loads and holds before anything is asked: a real process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

# Neither models nor what computes with vectors, nor what sends traces.
NEEDLESS = {"numpy", "onnxruntime", "tokenizers", "fastembed", "requests", "llama_index"}
CODE = "import sys; from rag.cli import main; sys.exit(main())"


@pytest.mark.slow
def test_without_vectors_no_model_is_loaded_and_little_memory_is_held(
    pump_corpus: object, tmp_path: Path
) -> None:
    data_dir = pump_corpus.settings.data_dir  # type: ignore[attr-defined]
    own = {"RAG_DATA_DIR": str(data_dir), "RAG_TIER": "lexical", "RAG_CACHE": "off"}
    log = tmp_path / "log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-X", "importtime", "-c", CODE, "serve", "--port", "0"],
            env={**os.environ, **own},
            stderr=stderr,
        ) as process,
    ):
        try:
            url = _address(log, process)
            asked = {"question": "How long is the pump covered?"}
            answer = httpx.post(f"{url}/v1/query", json=asked, timeout=30)
            assert "24 months" in answer.json()["answer"]
            resident = _resident_mb(process.pid)
        finally:
            process.terminate()
    loaded = {line.rpartition("|")[2].strip() for line in log.read_text().splitlines()}
    packages = {name.partition(".")[0] for name in loaded}
    assert "fastapi" in packages
    assert not packages & NEEDLESS
    assert not {name for name in loaded if name.startswith("opentelemetry.sdk")}
    assert resident < 250  # with 5,000 chunks: docs/benchmarks.md, "Cold start"


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 60
    while not (found := re.search(r"listening on (\S+)", log.read_text())):
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < end
        time.sleep(0.02)
    return found[1]


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
