"""What the gate blocks, what it lets through, and how it says so."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval import provenance, records
from eval.commands import gate as command
from eval.gating import text as gate_text
from eval.gating.gate import CLOSED, Held, judged
from eval.gating.policy import Policy
from eval.records import Record
from rag.errors import LoadError, UsageError

RecordOf = Callable[..., Record]
RIGHT = [1.0] * 20


def of(measure: str, candidate: Record, baseline: Record | None, **rule: object) -> Held:
    policy = Policy.model_validate({"measures": {measure: {"kind": "hard", **rule}}})
    return judged(candidate, baseline, policy).measures[0]


def lost(count: int) -> list[float]:
    return [float(i >= count) for i in range(20)]


def test_a_loss_within_what_is_allowed_passes(record_of: RecordOf) -> None:
    a, b = record_of({"answer_recall": RIGHT}), record_of({"answer_recall": lost(2)})
    found = of("answer_recall", b, a, may_lose=0.1)
    assert (found.status, found.value, found.baseline) == ("pass", 0.9, 1.0)
    assert found.loss == pytest.approx(0.1)
    assert (found.noise, found.questions) == (0.0, ())


def test_a_larger_loss_blocks_and_names_the_questions(record_of: RecordOf) -> None:
    a, b = record_of({"answer_recall": RIGHT}), record_of({"answer_recall": lost(3)})
    found = of("answer_recall", b, a, may_lose=0.1)
    assert (found.status, found.why) == ("block", "lost more than allowed")
    assert [change.id for change in found.questions] == ["q0", "q1", "q2"]
    assert of("answer_recall", b, a, may_lose=0.1, kind="soft").status == "warn"
    assert of("answer_recall", a, b, may_lose=0).status == "pass"


def test_more_tokens_are_a_loss(record_of: RecordOf) -> None:
    a = record_of({"context_tokens": [100] * 20})
    b = record_of({"context_tokens": [100] * 19 + [310]})
    found = of("context_tokens", b, a, may_lose_share=0.1)
    assert (found.status, found.loss, found.allowed) == ("block", 10.5, 10.0)
    assert [(change.id, change.gain) for change in found.questions] == [("q19", -210.0)]
    assert of("context_tokens", a, b, may_lose=0).status == "pass"


def test_an_absolute_bound_holds_with_and_without_a_baseline(record_of: RecordOf) -> None:
    record = record_of({"answer_recall": lost(4)})
    for baseline in (record, None):
        found = of("answer_recall", record, baseline, at_least=0.9)
        assert (found.status, found.why) == ("block", "under its bound 0.900")
        assert [change.id for change in found.questions] == ["q0", "q1", "q2", "q3"]
        assert of("answer_recall", record, baseline, at_least=0.8).status == "pass"
    over = of("context_tokens", record_of({"context_tokens": [90, 120]}), None, at_most=100)
    assert (over.status, over.why) == ("block", "over its bound 100.0")
    assert [change.id for change in over.questions] == ["q1"]


def test_a_value_that_is_gone_blocks(record_of: RecordOf) -> None:
    a, b = record_of({"groundedness": RIGHT}), record_of({"groundedness": [None] * 20})
    found = of("groundedness", b, a, may_lose=1)
    assert (found.status, found.why) == ("block", "it has no value any more")
    assert len(found.questions) == 20
    assert of("groundedness", b, a, at_least=0.5).status == "block"
    assert of("groundedness", b, None, at_least=0.5).why == "no question has a value"
    assert of("groundedness", b, None, at_least=0.5).status == "block"


def test_what_neither_has_is_not_compared(record_of: RecordOf) -> None:
    none = record_of({"groundedness": [None] * 20})
    both = of("groundedness", none, none, may_lose=0, at_least=0.9)
    assert both.status == "not compared"
    new = of("groundedness", record_of({"groundedness": RIGHT}), none, may_lose=0)
    assert (new.status, new.why) == ("not compared", "the baseline has no value")


def test_without_a_baseline_a_loss_cannot_be_judged(record_of: RecordOf) -> None:
    found = of("answer_recall", record_of({"answer_recall": RIGHT}), None, may_lose=0)
    assert (found.status, found.noise) == ("not compared", 0.0)
    assert found.why == "it can only be held to a baseline"


def test_a_wrong_refusal_is_to_blame_though_it_had_no_value(record_of: RecordOf) -> None:
    a = record_of({"refusal_precision": [1.0, 1.0, None, None]})
    b = record_of({"refusal_precision": [1.0, None, 0.0, None]})
    found = of("refusal_precision", b, a, may_lose=0.1)
    assert found.status == "block"
    assert [(c.id, c.a, c.b) for c in found.questions] == [("q2", None, 0.0)]


def test_times_block_only_over_their_noise(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT}, cpu_seconds=(0.010, 0.012, 0.011))
    for times, status in (
        ((0.0115, 0.0118, 0.0113), "pass"),
        ((0.013, 0.0145, 0.0141), "block"),
    ):
        found = of("cpu_seconds", record_of({"safe": RIGHT}, cpu_seconds=times), a, may_lose=0)
        assert found.status == status
        assert found.noise is not None
        assert found.noise > 0
        assert (found.loss or 0) > 0


def test_repeats_that_one_side_lacks_do_not_count(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT}, cpu_seconds=(0.0100, 0.0101))
    longer = record_of({"safe": RIGHT}, cpu_seconds=(0.0101, 0.0100, 0.9))
    found = of("cpu_seconds", longer, a, may_lose=0)
    assert found.status == "pass"
    assert found.value == pytest.approx(0.01005)


def test_times_of_another_machine_or_of_single_runs_do_not_block(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT}, cpu_seconds=(0.01,))
    slow = record_of({"safe": RIGHT}, cpu_seconds=(0.9,))
    found = of("cpu_seconds", slow, a, may_lose=0)
    assert (found.status, found.why) == (
        "not compared",
        "not compared: not both runs were repeated",
    )
    other = record_of({"safe": RIGHT}, cpu_seconds=(0.9, 0.9), machine="other")
    found = of("cpu_seconds", other, a, may_lose=0)
    assert (found.status, found.why) == ("not compared", "not compared: another machine")
    assert of("cpu_seconds", other, a, may_lose=0, at_most=0.5).status == "block"


# The fixture only makes values: sharing it between examples does no harm.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(values=st.lists(st.sampled_from([0.1, 0.2, 0.7, 1 / 3]), min_size=1, max_size=30))
def test_the_same_values_in_another_sum_are_no_loss(
    record_of: RecordOf, values: list[float]
) -> None:
    a, b = (record_of({"groundedness": side}) for side in (values, values[::-1]))
    assert of("groundedness", b, a, may_lose=0).status == "pass"
    assert of("groundedness", a, None, at_least=sum(values) / len(values)).status == "pass"


def test_other_data_or_questions_are_refused(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT})
    said = "the record is of made .eeeeeeeeeeee., the baseline of made .dddddddddddd."
    with pytest.raises(UsageError, match=f"the baseline is of other data: {said}"):
        of("safe", record_of({"safe": RIGHT}, data_sha256="e" * 64), a, may_lose=0)
    with pytest.raises(UsageError, match="10 in the record, 20 in the baseline"):
        of("safe", record_of({"safe": RIGHT[:10]}), a, may_lose=0)
    with pytest.raises(UsageError, match="the baseline asks other questions"):
        of("safe", record_of({"safe": RIGHT}, asked="b" * 12), a, may_lose=0)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_finite_closes_the_gate(record_of: RecordOf, value: float) -> None:
    odd = record_of({"safe": [value] * 20, "context_tokens": [value] * 20})
    good = record_of({"safe": RIGHT, "context_tokens": [100] * 20})
    for name, rules in (
        ("safe", ({"at_least": 0.5}, {"may_lose": 1}, {"may_lose_share": 10})),
        ("context_tokens", ({"at_most": 200}, {"may_lose": 9}, {"may_lose_share": 10})),
    ):
        for rule in rules:
            for candidate, baseline in ((odd, good), (odd, odd), (good, odd)):
                if candidate is odd or "may_lose" in next(iter(rule)):
                    found = of(name, candidate, baseline, **rule)
                    assert (found.status, found.why) == ("block", "it is not a finite number")
    policy = Policy.model_validate({"measures": {"safe": {"kind": "hard", "may_lose": 1}}})
    assert gate_text.to_text(judged(odd, good, policy)).startswith("gate: BLOCKED by safe\n")


def test_a_lost_hit_does_not_look_like_an_early_one(record_of: RecordOf) -> None:
    a = record_of({"tokens_to_first_hit": [10.0] * 10 + [100.0] * 10})
    b = record_of({"tokens_to_first_hit": [15.0] * 10 + [None] * 10})
    found = of("tokens_to_first_hit", b, a, may_lose=1)
    said = "compared at the 10 questions where both have a value"
    assert (found.status, found.why) == ("block", f"lost more than allowed; {said}")
    assert (found.value, found.baseline, found.loss) == (15, 10, 5)
    assert [change.id for change in found.questions] == [f"q{i}" for i in range(10)]
    assert of("tokens_to_first_hit", b, a, may_lose=6).why == said
    # A bound is held over all that have a value, whatever the baseline has.
    assert of("tokens_to_first_hit", a, b, at_most=50).status == "block"
    gone = record_of({"tokens_to_first_hit": [None] * 20})
    assert of("tokens_to_first_hit", gone, a, may_lose=1).why == "it has no value any more"
    other = record_of({"tokens_to_first_hit": [None] * 10 + [5.0] * 10})
    apart = of("tokens_to_first_hit", other, b, may_lose=1)
    assert (apart.status, apart.why) == ("not compared", "no question has both")


def test_what_was_set_otherwise_is_said(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT})
    b = replace(a, settings={**a.settings, "tier": "neural", "pue": 2.0})
    policy = Policy.model_validate({"measures": {"safe": {"kind": "hard", "at_least": 1}}})
    said = "set otherwise than for the baseline: pue None -> 2.0, tier lexical -> neural"
    assert judged(b, a, policy).warnings == (said,)
    assert judged(a, a, policy).warnings == ()
    many = replace(a, settings={**a.settings, **{f"s{i:02}": i for i in range(10)}})
    assert judged(many, a, policy).warnings[0].endswith("s07 None -> 7, 2 more")


def test_what_is_odd_about_a_record_is_said(record_of: RecordOf) -> None:
    a = record_of({"safe": RIGHT})
    b = record_of({"safe": RIGHT}, system="another")
    b = replace(b, measured=replace(b.measured, unstable=("q3", "q7")))
    policy = Policy.model_validate({"measures": {"safe": {"kind": "hard", "at_least": 1}}})
    text = gate_text.to_text(judged(b, a, policy))
    assert "2 questions got something else when asked again: q3, q7" in text
    assert "another is held to a baseline of frugal-rag" in text
    assert "only absolute bounds" in gate_text.to_text(judged(b, None, policy))


POLICY = """
baseline = "base.json"

[measures.answer_recall]
kind = "hard"
may_lose = 0.01

[measures.context_tokens]
kind = "hard"
may_lose_share = 0.05

[measures.groundedness]
kind = "soft"
may_lose = 0.01

[measures.joules]
kind = "hard"
may_lose_share = 0.1
"""


@pytest.fixture
def folder(record_of: RecordOf, tmp_path: Path) -> Path:
    (tmp_path / "eval.toml").write_text(POLICY)
    scores = {"context_tokens": [100] * 20, "groundedness": [0.95] * 20}
    good = record_of({"answer_recall": RIGHT, **scores})
    scores["groundedness"] = [0.9] * 20
    bad = record_of({"answer_recall": lost(7), **scores})
    rows = list(bad.rows)
    rows[0] = replace(rows[0], question="Is <b>A & B</b> | 'C'\x1b[31m\x00\ufffe covered?")
    records.write(good, tmp_path / "base.json")
    records.write(good, tmp_path / "results" / "good.json")
    at = replace(bad.measured, at="2026-01-02T00:00:00+00:00")
    records.write(replace(bad, rows=tuple(rows), measured=at), tmp_path / "results" / "bad.json")
    return tmp_path


def run(name: str, folder: Path, *arguments: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers())
    places = ("--policy", folder / "eval.toml", "--results", folder / "results")
    options = parser.parse_args([name, *map(str, (*arguments, *places))])
    return int(options.run(options))


def test_the_gate_is_open(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gate", folder, "good") == 0
    said = capsys.readouterr().out
    assert said.startswith("gate: open, 3 of 4 measures hold, 1 not compared\n")
    assert "not both runs were repeated" in said


def test_the_newest_record_is_judged_and_blocks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("gate", folder) == CLOSED == 3
    said = capsys.readouterr().out
    assert said.startswith("gate: BLOCKED by answer recall\n")
    table = said.split("\n\n")[2].splitlines()
    assert table[1].split() == (
        "BLOCK answer recall 0.650 1.000 -0.350 0.010 0 lost more than allowed".split()
    )
    assert table[2].strip() == "q0  1 -> 0  Is <b>A & B</b> | 'C'[31m\ufffe covered?"
    assert [line.split()[0] for line in table[3:7]] == ["q1", "q2", "q3", "q4"]
    assert table[7].strip() == "and 2 more questions"
    assert table[8].startswith("warn   groundedness")
    assert [line.split()[0] for line in table[9:13]] == ["q0", "q1", "q2", "q3"]


def test_the_newest_record_of_the_baseline_s_system(
    folder: Path, record_of: RecordOf, capsys: pytest.CaptureFixture[str]
) -> None:
    other = record_of({"answer_recall": RIGHT}, system="another")
    late = replace(other.measured, at="2027-01-01T00:00:00+00:00")
    records.write(replace(other, measured=late), folder / "results" / "other.json")
    assert run("gate", folder) == CLOSED
    assert "another" not in capsys.readouterr().out


def parsed(path: Path) -> ET.Element:
    return ET.parse(path).getroot()  # noqa: S314 -- written by the test itself


def test_a_record_of_other_code_is_not_taken_for_this_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "the newest record is of other code than this: run rag-eval run"
    run("gate", folder)
    assert said in capsys.readouterr().out
    run("gate", folder, "bad")
    assert said not in capsys.readouterr().out
    path = folder / "results" / "bad.json"
    record = records.read(path)
    mine = replace(record.identity, code=provenance.code_version())
    records.write(replace(record, identity=mine), path)
    run("gate", folder)
    assert said not in capsys.readouterr().out


def test_junit_holds_a_case_a_measure(folder: Path) -> None:
    run("gate", folder, "--junit", folder / "out" / "gate.xml")
    suite = parsed(folder / "out" / "gate.xml")[0]
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    cases = {case.get("name"): case for case in suite}
    assert list(cases) == ["answer_recall", "context_tokens", "groundedness", "joules"]
    failure = cases["answer_recall"].find("failure")
    assert failure is not None
    assert failure.get("message") == "answer recall: lost more than allowed"
    assert "q0  1 -> 0  Is <b>A & B</b> | 'C'[31m covered?" in str(failure.text)
    assert len(cases["context_tokens"]) == 0
    assert cases["groundedness"].findtext("system-out", "").startswith("warning: ")
    assert cases["joules"].find("skipped") is not None


# The elements that junit-10.xsd of Jenkins' xUnit plugin allows in each, with what it requires.
JUNIT = {
    "testsuites": ({"testsuite"}, set()),
    "testsuite": ({"testcase"}, {"name", "tests", "failures", "errors"}),
    "testcase": ({"skipped", "failure", "system-out"}, {"name", "classname"}),
    "failure": (set(), set()),
    "skipped": (set(), set()),
    "system-out": (set(), set()),
}
ATTRIBUTES = {
    "testsuites": set(),
    "testsuite": {"name", "tests", "failures", "errors", "skipped"},
    "testcase": {"name", "classname"},
    "failure": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}


def test_junit_keeps_to_its_schema(folder: Path) -> None:
    run("gate", folder, "--junit", folder / "gate.xml")
    for element in parsed(folder / "gate.xml").iter():
        inside, required = JUNIT[element.tag]
        assert {child.tag for child in element} <= inside
        assert required <= set(element.keys()) <= ATTRIBUTES[element.tag]


def test_markdown_for_the_summary_of_a_job(folder: Path) -> None:
    run("gate", folder, "--markdown", folder / "summary.md")
    lines = (folder / "summary.md").read_text().splitlines()
    assert lines[0] == "## gate: BLOCKED by answer recall"
    table = [line for line in lines if line.startswith("| ")]
    assert len(table) == 2 + 4
    assert table[2].startswith("| BLOCK | answer recall | 0.650 | 1.000 | -0.350 |")
    assert any(r"Is &lt;b&gt;A &amp; B&lt;/b&gt; \| 'C'" in line for line in lines)


def test_the_verdict_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("gate", folder, "--json") == CLOSED
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["blocked_by"]) == (False, ["answer_recall"])
    first = found["measures"][0]
    assert (first["measure"], first["status"]) == ("answer_recall", "block")
    assert [question["id"] for question in first["questions"]] == [f"q{i}" for i in range(7)]


def test_the_baseline_can_be_named(folder: Path) -> None:
    bad = folder / "results" / "bad.json"
    assert run("gate", folder, bad, "--baseline", bad) == 0


def test_what_the_gate_needs(folder: Path) -> None:
    with pytest.raises(UsageError, match="there is no baseline yet"):
        run("gate", folder, "--baseline", folder / "none.json")
    for path in (folder / "results").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="no record of frugal-rag yet"):
        run("gate", folder)
    (folder / "base.json").write_text("{}")
    with pytest.raises(LoadError, match="not an evaluation record"):
        run("gate", folder)


def test_a_new_baseline_is_shown_against_the_old_and_stored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("baseline", folder, "bad") == 0
    said = capsys.readouterr().out
    assert said.startswith("gate: BLOCKED by answer recall\n")
    assert said.endswith(f"stored as {folder / 'base.json'}\n")
    assert (folder / "base.json").read_bytes() == (folder / "results" / "bad.json").read_bytes()
    assert run("gate", folder, "bad") == 0


@pytest.mark.parametrize("old", [None, "{}"])
def test_a_first_baseline_and_one_that_cannot_be_read(
    folder: Path, old: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "base.json").unlink()
    if old:
        (folder / "base.json").write_text(old)
    assert run("baseline", folder, "good") == 0
    assert "there is no baseline to compare with" in capsys.readouterr().out
    assert records.read(folder / "base.json").rows


def test_a_policy_that_names_no_baseline_stores_none(folder: Path) -> None:
    (folder / "eval.toml").write_text(POLICY.replace('baseline = "base.json"', ""))
    with pytest.raises(UsageError, match="the policy names no baseline"):
        run("baseline", folder, "good")


@pytest.mark.parametrize("other", [{"data_sha256": "e" * 64}, {"asked": "b" * 12}])
def test_a_baseline_of_other_data_or_questions_is_replaced_only_if_asked(
    folder: Path,
    record_of: RecordOf,
    other: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = record_of({"answer_recall": RIGHT[:7]}, **other)
    records.write(replace(old, data=replace(old.data, name="theirs")), folder / "base.json")
    was = f"7 questions of theirs .{other.get('data_sha256', 'd' * 12)[:12]}."
    said = f"of other data or questions: {was}, not 20 questions of made .dddddddddddd.. Give --rep"
    with pytest.raises(UsageError, match=said):
        run("baseline", folder, "good")
    assert len(records.read(folder / "base.json").rows) == 7
    assert run("baseline", folder, "good", "--replace") == 0
    assert "there is no baseline to compare with" in capsys.readouterr().out
    assert len(records.read(folder / "base.json").rows) == 20


def test_the_newest_record_of_the_baseline_s_questions(
    folder: Path, record_of: RecordOf, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, other in enumerate(({"data_sha256": "e" * 64}, {"asked": "b" * 12})):
        late = record_of({"answer_recall": RIGHT}, **other)
        late = replace(late, measured=replace(late.measured, at=f"2027-01-0{i + 1}"))
        records.write(late, folder / "results" / f"late{i}.json")
    assert run("gate", folder) == CLOSED
    assert "2026-01-02" in capsys.readouterr().out
    for name in ("good", "bad"):
        (folder / "results" / f"{name}.json").unlink()
    said = "no record of frugal-rag on the baseline's questions of made, only 2 on others, yet"
    with pytest.raises(UsageError, match=said):
        run("gate", folder)


def test_junk_among_the_records_is_told_and_left_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = folder / "results"
    (results / "a-folder.json").mkdir()
    (results / "dangling.json").symlink_to(folder / "nowhere.json")
    (results / "half.json").write_bytes((results / "bad.json").read_bytes()[:999])
    (results / "newer.json").write_text('{"version": 2, "things": []}')
    assert run("gate", folder) == CLOSED
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("results/")[1].split(".json")[0] for line in lines] == [
        *("a-folder", "dangling", "half", "newer")
    ]
    assert all(line.startswith("left out: ") and line.endswith(". Remove it.") for line in lines)
    assert lines[3].startswith("left out: record of another version: ")
    with pytest.raises(LoadError, match="record of another version"):
        run("gate", folder, "newer")


@pytest.mark.parametrize("option", ["--junit", "--markdown"])
def test_what_cannot_be_written_is_told_before_anything_is_judged(
    folder: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for to in (folder, folder / "base.json" / "inside.xml"):
        with pytest.raises(UsageError, match=f"cannot be written: {to}"):
            run("gate", folder, option, to)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("place", [".", "results", "eval.toml/base.json"])
def test_a_baseline_that_cannot_be_written(
    folder: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "eval.toml").write_text(POLICY.replace("base.json", place))
    with pytest.raises(UsageError, match="cannot be written"):
        run("baseline", folder, "good")
    assert capsys.readouterr().out == ""
