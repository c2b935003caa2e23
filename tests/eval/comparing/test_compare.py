"""Two records against each other: verdicts, warnings, and what is said of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eval import records
from eval.cli import main
from eval.commands import compare as command
from eval.comparing import text as comparison_text
from eval.comparing.compare import Compared, Comparison, compared
from eval.records import Record
from rag.errors import LoadError, UsageError

RecordOf = Callable[..., Record]
RIGHT = [1.0] * 40


def of(comparison: Comparison, measure: str) -> Compared:
    return next(each for each in comparison.measures if each.measure == measure)


def without(ids: range) -> list[float]:
    return [float(i not in ids) for i in range(40)]


def test_a_record_is_not_different_from_itself(record_of: RecordOf) -> None:
    record = record_of({"answer_recall": without(range(4)), "context_tokens": [90] * 40})
    found = compared(record, record)
    assert {each.verdict for each in found.measures} <= {"no difference shown", "not compared"}
    assert "no difference shown in any of" in comparison_text.to_text(found)
    assert not found.warnings
    assert not found.settings
    assert all(not each.changed and each.p is None for each in found.measures)


def test_worse_and_better_by_the_measure_s_own_direction(record_of: RecordOf) -> None:
    a = record_of({"answer_recall": RIGHT, "context_tokens": [100] * 40})
    b = record_of({"answer_recall": without(range(12)), "context_tokens": [80] * 40})
    found = compared(a, b)
    recall, tokens = of(found, "answer_recall"), of(found, "context_tokens")
    assert (recall.verdict, recall.test) == ("worse", "exact McNemar")
    assert recall.p == pytest.approx(2 / 2**12)
    assert recall.p_holm == recall.p  # the larger of two
    assert tokens.p_holm == pytest.approx(2 / 10_000)
    assert recall.difference == pytest.approx(-0.3)
    assert recall.interval is not None
    assert recall.interval[0] < -0.3 < recall.interval[1] < 0
    assert (tokens.verdict, tokens.test, tokens.difference) == ("better", "random swaps", -20)
    assert comparison_text.verdict(found) == "B is worse: answer recall; better: context tokens"


def test_a_difference_that_may_be_chance_is_not_called_one(record_of: RecordOf) -> None:
    a, b = (record_of({"answer_recall": values}) for values in (RIGHT, without(range(4))))
    recall = of(compared(a, b), "answer_recall")
    assert recall.p == pytest.approx(2 / 2**4)
    assert recall.verdict == "no difference shown"
    assert [change.id for change in recall.changed] == ["q0", "q1", "q2", "q3"]


def test_what_is_real_alone_may_be_chance_among_many(record_of: RecordOf) -> None:
    names = ("answer_recall", "answered", "grounded", "safe", "recall_at_5")
    a = record_of({name: RIGHT if name == "safe" else without(range(3)) for name in names})
    b = record_of({name: without(range(6) if name == "safe" else range(3, 6)) for name in names})
    safe = of(compared(a, b), "safe")
    assert safe.p == pytest.approx(2 / 2**6)
    assert safe.p_holm == pytest.approx(5 * 2 / 2**6)
    assert safe.verdict == "no difference shown"


def test_measures_that_could_not_have_differed_do_not_count(record_of: RecordOf) -> None:
    # Five questions one way are at best 2 of 32; citations are precise wherever there are any.
    few = ("answered", "grounded", "recall_at_5")
    same = dict.fromkeys(few, RIGHT)
    a = record_of({"safe": RIGHT, **same, "citation_precision": [None] * 20 + [1.0] * 20})
    same = dict.fromkeys(few, without(range(5)))
    b = record_of({"safe": without(range(6)), **same, "citation_precision": [1.0] * 40})
    found = compared(a, b)
    safe = of(found, "safe")
    assert (safe.p, safe.p_holm, safe.verdict) == (2 / 2**6, 2 / 2**6, "worse")
    for name in (*few, "citation_precision"):
        other = of(found, name)
        assert (other.p_holm, other.verdict) == (None, "no difference shown")
        assert other.why == "too little differs for any test to tell"
    assert of(found, "answered").p == 2 / 2**5
    assert of(found, "citation_precision").p == 1


def test_a_lost_hit_does_not_look_like_an_early_one(record_of: RecordOf) -> None:
    early, late = [10.0] * 20, [100.0] * 20
    a = record_of({"tokens_to_first_hit": early + late})
    b = record_of({"tokens_to_first_hit": [11.0] * 20 + [None] * 20})
    found = compared(a, b)
    hit = of(found, "tokens_to_first_hit")
    assert (hit.verdict, hit.over, hit.difference) == ("worse", 20, pytest.approx(1))
    assert (hit.a and hit.a.mean, hit.b and hit.b.mean) == (10, 11)
    assert len(hit.changed) == 20
    assert "random swaps, at the 20 questions where both have a value" in (
        comparison_text.to_text(found)
    )


def test_hits_at_other_questions_cannot_be_compared(record_of: RecordOf) -> None:
    a = record_of({"tokens_to_first_hit": [10.0] * 20 + [None] * 20})
    b = record_of({"tokens_to_first_hit": [None] * 20 + [10.0] * 20})
    hit = of(compared(a, b), "tokens_to_first_hit")
    assert (hit.verdict, hit.why) == ("not compared", "no value in both at once")


def test_refusals_are_compared_although_other_questions_were_refused(record_of: RecordOf) -> None:
    a = record_of({"refusal_precision": [1.0] * 5 + [None] * 35})
    b = record_of({"refusal_precision": [1.0] * 5 + [0.0] * 20 + [None] * 15})
    found = of(compared(a, b), "refusal_precision")
    assert (found.test, found.verdict) == ("random swaps", "worse")
    assert found.difference == pytest.approx(-0.8)
    assert {(change.a, change.b, change.gain) for change in found.changed} == {(None, 0.0, -1.0)}


def test_what_one_side_does_not_have_is_not_compared(record_of: RecordOf) -> None:
    a, b = record_of({"groundedness": [None] * 40}), record_of({"groundedness": [0.9] * 40})
    found = of(compared(a, b), "groundedness")
    assert (found.verdict, found.why, found.p) == ("not compared", "no value in A", None)
    assert (found.difference, found.interval) == (None, None)
    assert all(each.measure != "safe" for each in compared(a, b).measures)


def test_times_need_repeats(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT}, cpu_seconds=(0.010,))
    once = of(compared(a, record_of({"safe": RIGHT}, cpu_seconds=(0.020,))), "cpu_seconds")
    assert (once.verdict, once.interval) == ("not compared", None)
    assert once.difference == pytest.approx(0.010)
    twice = record_of({"safe": RIGHT}, cpu_seconds=(0.0200, 0.0201, 0.0199))
    assert of(compared(a, twice), "cpu_seconds").verdict == "not compared"
    a = record_of({"safe": RIGHT}, cpu_seconds=(0.0100, 0.0099, 0.0101))
    found = of(compared(a, twice), "cpu_seconds")
    assert (found.verdict, found.test) == ("worse", "t of the repeats")
    alike = record_of({"safe": RIGHT}, cpu_seconds=(0.0101, 0.0095, 0.0103))
    assert of(compared(a, alike), "cpu_seconds").verdict == "no difference shown"


def test_times_of_another_machine_are_left_out_and_it_is_said(record_of: RecordOf) -> None:
    a, b = record_of({"safe": RIGHT}), record_of({"safe": RIGHT}, machine="other")
    found = compared(a, b)
    assert found.warnings == ("other machine: times and energies are not compared",)
    assert [each.measure for each in found.measures] == ["safe"]


def test_other_data_are_compared_on_the_questions_in_both(record_of: RecordOf) -> None:
    a = record_of({"answer_recall": [1.0, 0.0, 1.0]}, cpu_seconds=(0.01, 0.02))
    b = record_of({"answer_recall": [1.0, 1.0, 0.0, 1.0]}, data_sha256="e" * 64)
    rows = tuple(replace(row, question="another") if row.id == "q2" else row for row in b.rows)
    found = compared(a, replace(b, rows=rows[::-1]))
    assert [(x.id, y.id) for x, y in found.pairs] == [("q0", "q0"), ("q1", "q1")]
    assert [warning.split(":")[0] for warning in found.warnings] == [
        "the data differ",
        "compared on the 2 questions in both, of 3 in A and 4 in B",
    ]
    assert of(found, "answer_recall").difference == 0.5
    assert all(len(costs) == 2 for costs in found.a.measured.repeats)


def test_records_without_a_question_in_common_are_refused(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT})
    rows = tuple(replace(row, question="another") for row in a.rows)
    with pytest.raises(UsageError, match="no question is in both"):
        compared(a, replace(a, rows=rows))


def test_what_was_set_otherwise_is_shown(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT})
    b = replace(a, settings={**a.settings, "budget_tokens": 512, "k": 3})
    found = compared(a, b)
    assert found.settings == (("budget_tokens", 256, 512), ("k", None, 3))
    assert "set otherwise: budget_tokens 256 -> 512" in comparison_text.to_text(found)


def test_the_questions_that_changed_most_stand_side_by_side(record_of: RecordOf) -> None:
    a, b = (record_of({"answer_recall": values}) for values in (RIGHT, without(range(9))))
    rows = list(b.rows)
    refused = replace(rows[0].outcome, answer=None, refused=True, reason="nothing\x1b[31m near")
    rows[0] = replace(rows[0], outcome=refused)
    found = compared(a, replace(b, rows=tuple(rows)))
    text = comparison_text.to_text(found, 2)
    assert "How long is pump number 0 covered?" in text
    assert "cites: nothing" in text
    assert "| refused: nothing[31m near" in text
    assert "(the same context)" in text
    assert "pump number 2 covered?" not in text
    assert "answer recall changed at 9: q0 1 -> 0, q1 1 -> 0" in text
    assert [pair["id"] for pair in comparison_text.to_json(found, 3)["side_by_side"]] == [
        "q0",
        "q1",
        "q2",
    ]


def test_markdown_shows_a_text_as_it_is(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT})
    rows = tuple(replace(row, question="a|b <b>*c*</b> `d`") for row in a.rows)
    a = replace(a, rows=rows)
    worse = [replace(row, scores={"safe": 0.0}) for row in rows]
    markdown = comparison_text.to_markdown(compared(a, replace(a, rows=tuple(worse))), 1)
    assert r"a\|b &lt;b&gt;\*c\*&lt;/b&gt; \`d\`" in markdown
    table = [line for line in markdown.splitlines() if line.startswith("| safe")]
    assert table[0].count(" | ") == 7


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers())
    options = parser.parse_args(["compare", *arguments])
    return int(options.run(options))


@pytest.fixture
def folder(record_of: RecordOf, tmp_path: Path) -> Path:
    records.write(record_of({"answer_recall": RIGHT}), tmp_path / "before.json")
    records.write(record_of({"answer_recall": without(range(9))}), tmp_path / "after.json")
    return tmp_path


def test_the_command_takes_files_and_names(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(folder / "before.json"), "after", "--results", str(folder)) == 0
    assert capsys.readouterr().out.startswith("B is worse: answer recall\n")


def test_the_command_writes_json_and_markdown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = folder / "new" / "summary.md"
    assert run("before", "after", "--results", str(folder), "--json", "--markdown", str(to)) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["questions"]) == ("B is worse: answer recall", 40)
    assert found["sci"]["a"]["question"] is None
    assert len(found["sci"]["b"]["missing"]) == 2
    assert len(found["side_by_side"]) == 5
    assert to.read_text().startswith("## B is worse: answer recall\n")


def test_each_side_says_its_carbon_intensity_or_what_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("before", "after", "--results", str(folder))
    lines = capsys.readouterr().out.splitlines()
    for letter in "AB":
        found = [line for line in lines if line.startswith(f"{letter}: SCI (ISO/IEC 21031:2024)")]
        assert len(found) == 1
        assert "unknown without carbon intensity of the grid" in found[0]


def test_the_same_command_says_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for _ in range(2):
        run("before", "after", "--results", str(folder))
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_what_the_command_cannot_use(folder: Path) -> None:
    with pytest.raises(UsageError, match="no such record: missing"):
        run("missing", "after", "--results", str(folder))
    (folder / "broken.json").write_text("{")
    with pytest.raises(LoadError, match="not an evaluation record"):
        run("broken", "after", "--results", str(folder))
    # Told before any record is read.
    for to in (folder, folder / "broken.json" / "summary.md"):
        with pytest.raises(UsageError, match=f"cannot be written: {to}"):
            run("missing", "after", "--results", str(folder), "--markdown", str(to))


@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_a_seed_is_a_whole_number(
    folder: Path, seed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "before", "after", "--results", str(folder), "--seed", seed])
    assert f"{seed} is not a whole number of 0 or more" in capsys.readouterr().err
