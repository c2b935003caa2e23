"""Asking, opening sources and changing views, by keyboard alone; and what is said."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import pytest

Page: TypeAlias = Any  # of conftest.py
ENTER, ESCAPE, DOWN = "\ue007", "\ue00c", "\ue015"
QUESTION = "How long is the pump covered?"
COVERED = "The pump is covered for 24 months from delivery."


# By keyboard alone


def test_a_question_is_asked_and_its_source_opened_by_keyboard(page: Page) -> None:
    browser = page.browser
    browser.ask(QUESTION)
    assert COVERED in browser.text("#answer")
    assert "24 months" in browser.text("#answer mark")
    assert browser.text("#status").startswith("Answered from 1 source in ")
    browser.tab_to("button.cite")
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press(ENTER)
    browser.wait("document.activeElement.id === 'sentence'")
    assert browser.text("#sentence") == COVERED
    assert browser.run("document.getElementById('source-text').textContent") == page.texts["pump"]
    browser.press(ESCAPE)
    assert browser.wait("!document.getElementById('source').open")
    assert browser.run("document.activeElement.matches('button.cite')")
    browser.tab_to("article button")
    browser.press(ENTER)
    browser.wait("document.activeElement.id === 'sentence'")
    browser.tab_to("#source-close")
    browser.press(ENTER)
    assert browser.wait("!document.getElementById('source').open")
    assert not browser.complaints()


def test_the_second_view_is_reached_and_changed_by_keyboard(page: Page) -> None:
    browser = page.browser
    browser.ask(QUESTION)
    browser.backwards(8)
    browser.tab_to("nav a[data-view=costs]")
    browser.press(ENTER)
    browser.wait("document.querySelector('#costs dl')")
    assert browser.run("document.activeElement.id") == "costs-title"
    assert browser.run("document.title") == "Traffic and costs · frugal-rag"
    assert browser.run("document.querySelector('nav [aria-current]').dataset.view") == "costs"
    assert browser.run("document.querySelectorAll('#view-ask:not([hidden])').length") == 0
    report = page.http.get("/v1/impact").json()["total"]
    assert browser.text("#costs .tiles dd span") == str(report["answers"])
    assert "lexical" in browser.text("#costs")
    bars = "document.querySelectorAll('#costs .chart text.label').length"
    assert browser.run(bars) == 7
    browser.tab_to("#period")
    browser.press(DOWN)
    browser.wait(f"{bars} === 4")
    browser.run("history.back()")
    browser.wait("document.activeElement.id === 'ask-title'")
    assert COVERED in browser.text("#answer")


def test_options_are_sent_and_what_is_left_empty_is_not(page: Page) -> None:
    browser = page.browser
    browser.tab_to("summary")
    browser.press(ENTER)
    for name, typed in (("budget", "64"), ("tags", "a, b"), ("since", "2024")):
        browser.tab_to(f"#{name}")
        browser.press(*typed)
    assert browser.text("#chosen") == "3 set"
    browser.backwards(12)
    browser.tab_to("#question")
    browser.press(*QUESTION, ENTER)
    browser.wait("document.querySelector('#answer h2')")
    asked = page.spoken.asked[0]
    assert (asked.budget_tokens, asked.where.tags, asked.where.since) == (64, ("a", "b"), "2024")
    assert (asked.where.documents, asked.where.until) == ((), None)


# What it says


def test_a_written_answer_appears_as_it_comes_and_links_its_marks(page: Page) -> None:
    browser = page.browser
    browser.run("document.getElementById('generate').value = 'always'")
    browser.press(*QUESTION, ENTER)
    browser.wait("document.getElementById('written')?.textContent === 'It is under warranty'")
    assert browser.run("document.getElementById('answer').ariaBusy") == "true"
    page.spoken.go_on.set()
    browser.wait("document.getElementById('answer').ariaBusy === 'false'")
    assert browser.text("#answer .cited") == "It is under warranty for 24 months"
    assert browser.run("document.querySelector('#answer .cite').ariaLabel").startswith("Source 1: ")
    assert "a-model" in browser.text("#receipt")


def test_stopping_ends_the_wait(page: Page) -> None:
    browser = page.browser
    browser.run("document.getElementById('generate').value = 'always'")
    browser.press(*QUESTION, ENTER)
    browser.wait("document.getElementById('written')")
    browser.tab_to("#stop")
    browser.press(ENTER)
    browser.wait("document.getElementById('status').textContent === 'Stopped.'")
    page.spoken.go_on.set()


def test_an_abstention_says_why_and_is_no_answer(page: Page) -> None:
    page.browser.ask("Who won in Bern in 1954?")
    assert "No answer" in page.browser.text("#answer h2")
    assert "Reason: " in page.browser.text("#answer")
    assert page.browser.run("document.querySelectorAll('button.cite').length") == 0


def test_a_problem_is_shown_with_its_remedy_and_its_field(page: Page) -> None:
    browser = page.browser
    browser.run("document.getElementById('since').value = 'last summer'")
    browser.ask(QUESTION)
    said = browser.text("#answer [role=alert]")
    assert "From" in said
    assert "last summer" in said
    assert "What to do: use an ISO 8601 date" in said
    assert browser.run("document.getElementById('since').ariaInvalid") == "true"
    assert browser.run("document.getElementById('options').open")


def test_an_empty_question_and_an_impossible_budget_are_never_sent(page: Page) -> None:
    browser = page.browser
    browser.press(ENTER)
    assert "There is no question" in browser.text("#answer [role=alert]")
    browser.run("document.getElementById('budget').value = '3'")
    browser.press(*QUESTION, ENTER)
    assert "16 to 32768" in browser.text("#answer [role=alert]")
    assert browser.run("document.activeElement.id") == "budget"
    assert not page.spoken.asked


def test_a_browser_that_cannot_read_streams_asks_for_the_whole(page: Page) -> None:
    browser = page.browser
    browser.run("delete window.ReadableStream")
    browser.ask(QUESTION)
    assert COVERED in browser.text("#answer")


def test_an_unreachable_service_is_a_problem_with_a_remedy(page: Page) -> None:
    browser = page.browser
    browser.run("void (window.fetch = () => Promise.reject(new TypeError('gone')))")
    browser.ask(QUESTION)
    assert "check that rag serve is running" in browser.text("#answer [role=alert]")


def test_the_receipt_says_unknown_and_never_zero_for_what_is_not_known(page: Page) -> None:
    page.browser.ask(QUESTION)
    rows = dict(
        page.browser.run(
            "[...document.querySelectorAll('#receipt dl div')].map(row => "
            "[row.querySelector('dt').textContent, row.querySelector('dd span').textContent])"
        )
    )
    assert {rows[name] for name in ("Greenhouse gas", "Water", "Saved")} == {"unknown"}
    assert re.fullmatch(r"[\d.]+ to [\d.]+\u00a0[mµ]?J", rows["Energy"])
    assert re.fullmatch(r"\d+\u00a0tokens", rows["Text read"])
    assert (rows["Model"], rows["Documents"]) == ("none", "generation 7")


def test_the_trace_is_a_picture_that_is_also_said_in_words(page: Page) -> None:
    page.browser.ask(QUESTION)
    stages = page.browser.run(
        "[...document.querySelectorAll('#trace .label')].map(each => each.textContent)"
    )
    assert stages[0] == "guard"
    assert stages[-1] == "verify"
    said = page.browser.run("document.getElementById('stages-desc').textContent")
    assert all(f"{stage}: time " in said for stage in stages)
    rows = page.browser.run("document.querySelectorAll('#trace tbody tr').length")
    assert rows == len(stages)


def test_what_documents_say_never_becomes_markup(page: Page) -> None:
    browser = page.browser
    browser.run("document.getElementById('generate').value = 'always'")
    page.spoken.go_on.set()
    browser.ask(QUESTION)
    browser.tab_to("button.cite")
    browser.press(ENTER)
    browser.wait("document.activeElement.id === 'sentence'")
    assert page.hostile in browser.text("#source-title")
    assert page.hostile in browser.text("#source-text")
    assert page.hostile in browser.run("document.getElementById('answer').textContent")
    assert browser.run("document.images.length") == 0
    assert browser.run("document.title") == "Ask · frugal-rag"
    assert not browser.complaints()


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("amount({ low: 0.0222, high: 0.0345 }, 'J')", "22.2 to 34.5\u00a0mJ"),
        ("amount({ low: 0, high: 0 }, 'g')", "0\u00a0g CO₂e"),
        ("amount({ low: -3, high: 1234.5 }, 'J')", "\u22120.00300 to 1.23\u00a0kJ"),
        ("amount(null, 'L')", "unknown"),
        ("amount(4e-12, 'L')", "0.00400\u00a0nL"),
        ("amount(90, 's')", "90.0\u00a0s"),
        ("tokens(1)", "1\u00a0token"),
        ("tokens(null)", "unknown"),
        ("percent(0.876)", "88\u00a0%"),
        ("sum({ low: 1, high: 2 }, null)", None),
    ],
)
def test_quantities_in_words(page: Page, shown: str, words: str | None) -> None:
    imported = "const { amount, tokens, percent, sum } = await import('/page/words.js');"
    assert page.browser.later(f"{imported} return {shown};") == words
