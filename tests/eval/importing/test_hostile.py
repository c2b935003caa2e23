"""Whatever stands in a source, it is imported or refused with an error of ours; never a fault."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.collecting.questions import read_questions
from eval.collecting.sheet import COLUMNS, read_drafts
from eval.datasets import load_dataset
from eval.importing.beir import import_beir
from eval.importing.squad import import_squad
from eval.importing.table import import_table
from rag.errors import RagError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
QUESTION = st.dictionaries(
    st.sampled_from(("_id", "text", "answers", "meta", "metadata", "split", "title")),
    JSON | st.sampled_from(("q", "d", {"answerable": False}, {"answerability": []}, ["a"])),
)
SQUAD = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                "data title paragraphs context qas id question answers text is_impossible".split()
            ),
            inner,
        )
    ),
    max_leaves=25,
).map(lambda value: {"data": [value]})
CELLS = st.sampled_from([*'",;|\t\r\n\0=', "question", "answer", "id", "\ufeff", "é", "no", " "])
often = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def imported_or_refused(work: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory() as name:
        out, remedy = Path(name) / "out", None
        try:
            work(Path(name))
        except RagError as exc:
            remedy = exc.remedy
        if out.exists():
            assert remedy is None
            load_dataset(out)
        else:
            assert remedy != ""
        assert not [path for path in Path(name).iterdir() if path.name.startswith(".")]


@often
@given(st.lists(QUESTION | JSON), st.lists(QUESTION | JSON), st.text(max_size=40))
def test_beir(queries: list[object], corpus: list[object], qrels: str) -> None:
    def work(folder: Path) -> None:
        for name, rows in (("queries", queries), ("corpus", corpus)):
            text = "\n".join(json.dumps(row) for row in rows)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        text = f"query-id\tcorpus-id\tscore\nq\td\t1\n{qrels}"
        (folder / "qrels.tsv").write_bytes(text.encode("utf-8", "replace"))
        with suppress(RagError):
            load_dataset(folder)
        import_beir(folder, folder / "out")

    imported_or_refused(work)


@often
@given(SQUAD | JSON)
def test_squad(content: object) -> None:
    def work(folder: Path) -> None:
        (folder / "a.json").write_text(json.dumps(content), encoding="utf-8")
        import_squad(folder / "a.json", folder / "out")

    imported_or_refused(work)


@often
@given(st.lists(CELLS | st.text(max_size=3)).map("".join) | st.binary())
def test_tables(cells: str | bytes) -> None:
    def work(folder: Path) -> None:
        (folder / "docs").mkdir()
        (folder / "docs" / "a.txt").write_text("no answer, é = question")
        content = cells if isinstance(cells, bytes) else cells.encode("utf-8", "replace")
        (folder / "a.csv").write_bytes(b"question,answer\n" + content)
        import_table(folder / "a.csv", folder / "out", folder / "docs")

    imported_or_refused(work)


@often
@given(st.lists(CELLS | st.text(max_size=3)).map("".join) | st.binary())
def test_drafts_and_questions(cells: str | bytes) -> None:
    def work(folder: Path) -> None:
        content = cells if isinstance(cells, bytes) else cells.encode("utf-8", "replace")
        (folder / "a.csv").write_bytes(f"{','.join(COLUMNS)}\n".encode() + content)
        read_questions(folder / "a.csv", "default", 100)
        read_drafts(folder / "a.csv")

    imported_or_refused(work)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_files_of_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    (tmp_path / "docs").mkdir()
    for work in (
        lambda: import_squad(path, tmp_path / "out"),
        lambda: import_table(path, tmp_path / "out", tmp_path / "docs"),
        lambda: read_questions(path, "default", 100),
        lambda: read_drafts(path),
    ):
        with pytest.raises(RagError):
            work()
