"""Sources in other layouts, made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

BeirFolder = Callable[..., Path]


@pytest.fixture
def beir_folder(tmp_path: Path) -> BeirFolder:
    """Return a maker of BEIR folders: two texts, one question a split, unless told otherwise."""

    def made(**parts: Sequence[object] | Mapping[str, Sequence[str]]) -> Path:
        folder = tmp_path / "source"
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        rows = {
            "corpus": [
                {"_id": "d1", "title": "One", "text": "First text.", "metadata": {}},
                {"_id": "d2", "title": "", "text": "Second text."},
            ],
            "queries": [
                {"_id": "q1", "text": "Which first?", "metadata": {"url": "x"}},
                {"_id": "q2", "text": "Which second?", "metadata": {}},
            ],
            "qrels": {"test": ["q1\td1\t1", "q1\td2\t0"], "train": ["q2\td2\t2"]},
            **parts,
        }
        for name in ("corpus", "queries"):
            lines = [r if isinstance(r, str) else json.dumps(r) for r in rows[name]]
            (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        qrels = rows["qrels"]
        assert isinstance(qrels, Mapping)
        for split, lines in qrels.items():
            text = "\n".join(("query-id\tcorpus-id\tscore", *lines, ""))
            (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8")
        return folder

    return made
