"""LlamaIndex's ingestion, in its own process, with the arguments FILES STATE SPLIT.

Plain text documents, its splitter with SPLIT as size and overlap in tokens (such as 1024/200),
frugal-rag's embedder, a document store that recognises unchanged files, and Qdrant's local mode as
the vector store. What it keeps of a run lies in STATE, so that a second run finds its files
unchanged.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from eval.systems import llama_index as llama
from rag.build import build_embedder
from rag.settings import load_settings


def main() -> None:
    """Ingest the files and print one line of JSON: nodes, and CPU seconds by stage."""
    folder, state = Path(sys.argv[1]), Path(sys.argv[2])
    size, overlap = map(int, sys.argv[3].split("/"))
    embedder = build_embedder(load_settings(tier="neural"))
    if embedder is None:
        raise AssertionError("the neural tier has an embedder")
    started = time.process_time()
    texts = [
        (path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8", errors="replace"))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    read = time.process_time()
    report: dict[str, Any] = {"nodes": llama.ingested(texts, embedder, state, (size, overlap))}
    ran = time.process_time()
    report["cpu_by_stage"] = {"read": read - started, "split, embed, store": ran - read}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
