"""Which questions are called worst, and how each is shown."""

from __future__ import annotations

from dataclasses import replace

from defusedxml import ElementTree

from eval.records import Record
from eval.report.contents import Contents
from eval.report.questions import anchors, questions, troubles


def test_each_kind_of_trouble_is_found(ours: Record) -> None:
    found = {trouble.key: trouble.rows for trouble in troubles(ours)}
    assert found["wrong"] == (1,)
    assert found["ungrounded"] == (2,)
    # Worst where the answer stood in the context.
    assert found["needless"] == (3, 4)
    assert found["unwarranted"] == (5,)
    assert found["unsafe"] == (1,)
    assert found["missed"] == (1, 4)
    assert len(found["dear"]) == 5


def test_the_surer_of_two_wrong_answers_is_worse(ours: Record) -> None:
    rows = list(ours.rows)
    for i, confidence in ((1, 0.2), (6, 0.8)):
        scores = {**rows[i].scores, "right_when_answered": 0.0}
        outcome = replace(rows[i].outcome, confidence=confidence)
        rows[i] = replace(rows[i], scores=scores, outcome=outcome)
    wrong = next(t for t in troubles(replace(ours, rows=tuple(rows))) if t.key == "wrong")
    assert wrong.rows == (6, 1)


def test_a_system_that_does_not_answer_only_misses(contents: Contents) -> None:
    plain = contents.beside[0].record
    assert [trouble.key for trouble in troubles(plain)] == ["missed"]


def test_a_question_is_shown_once_and_linked_after_that(contents: Contents) -> None:
    page = ElementTree.fromstring(f"<main>{''.join(questions(contents))}</main>")
    shown = [details.attrib["id"] for details in page.iter("details")]
    assert len(shown) == len(set(shown))
    links = {link.attrib["href"] for link in page.iter("a")}
    assert links
    assert links <= {f"#{each}" for each in shown}


def test_a_question_has_everything_to_judge_it(contents: Contents) -> None:
    record = contents.judged.record
    call = "small: 40 + 9 tokens (counted), 1 of 1 sentences kept: accepted"
    rows = tuple(
        replace(
            row,
            evidence=("The pump number 1 is covered",),
            outcome=replace(row.outcome, calls=(call,)),
        )
        for row in record.rows
    )
    judged = replace(contents.judged, record=replace(record, rows=rows))
    page = ElementTree.fromstring(
        f"<main>{''.join(questions(replace(contents, judged=judged)))}</main>"
    )
    details = next(each for each in page.iter("details") if each.attrib["id"] == "question-2")
    facts = list(details.iter("dd"))
    names = ["".join(each.itertext()) for each in details.iter("dt")]
    said = dict(zip(names, ["".join(fact.itertext()) for fact in facts], strict=True))
    assert said["Gold answer"] == "1 months"
    assert said["Asked of models"] == call
    assert said["Findings"] == "says <b>too</b> much"
    assert "a, 0 to" in said["Citations"]
    assert said["Beside: plain"] == "2,450 of 4,096 tokens; answer in the context no"
    assert said["Marked"] == "gold answer 1 of 1; gold evidence 1 of 1; cited by the answer 1 of 1"
    kinds = {kind for mark in facts[-1].iter("mark") for kind in mark.attrib["class"].split()}
    assert kinds == {"answer", "evidence", "cited"}


def test_a_refusal_says_why_and_an_unanswerable_question_that_it_is_one(contents: Contents) -> None:
    page = "".join(questions(contents))
    assert "refused: not likely enough" in page
    assert "none: cannot be answered" in page


def test_anchors_are_those_of_what_is_shown(contents: Contents) -> None:
    page = ElementTree.fromstring(f"<main>{''.join(questions(contents))}</main>")
    shown = {f"#{details.attrib['id']}" for details in page.iter("details")}
    assert set(anchors(contents).values()) == shown
    assert anchors(contents)["q1"] == "#question-2"
