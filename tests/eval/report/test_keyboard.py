"""The report in a real browser, from end to end with the keys alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from eval.records import Record
from eval.report.contents import arranged
from eval.report.page import page

Browsing: TypeAlias = Callable[[], AbstractContextManager[Any]]  # of the outermost conftest.py
ENTER, TAB, SPACE, RIGHT, DOWN = "\ue007", "\ue004", " ", "\ue014", "\ue015"
REACHABLE = "document.querySelectorAll('a[href], summary, [tabindex=\"0\"]')"
# Of what has the focus: what it is, its outline, whether it can be seen, and where it stands.
FOCUSED = """
(() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const box = at.getBoundingClientRect();
  const style = getComputedStyle(at);
  return {
    index: [...document.querySelectorAll('a[href], summary, [tabindex="0"]')].indexOf(at),
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: box.bottom > 0 && box.top < innerHeight && box.left >= 0 && box.left < innerWidth,
    named: Boolean(at.ariaLabel || at.textContent.trim()),
  };
})()
"""


@pytest.fixture(scope="module")
def browser(browsing: Browsing) -> Iterator[Any]:
    with browsing() as opened:
        yield opened


@pytest.fixture
def report(browser: Any, ours: Record, theirs: Sequence[Record], tmp_path: Path) -> Any:
    """A browser that shows a report with plots, tables and questions, nothing focused."""
    path = tmp_path / "report.html"
    path.write_text(page(arranged((ours, *theirs))), encoding="utf-8")
    browser.show(width=1280)
    browser.call("url", url=path.as_uri())
    browser.wait("document.readyState === 'complete'")
    browser.complaints()
    return browser


def _walked(browser: Any) -> list[dict[str, Any]]:
    """Return what has the focus after each Tab, until the end of the page."""
    steps: list[dict[str, Any]] = []
    for _ in range(browser.run(f"{REACHABLE}.length") + 1):
        browser.press(TAB)
        step = browser.run(FOCUSED)
        if step is None:
            break
        steps.append(step)
    return steps


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tab_goes_through_all_of_it_in_order_and_out_again(
    report: Any, width: int, scheme: str
) -> None:
    """Source: WCAG 2.2, success criteria 2.1.1, 2.1.2, 2.4.3, 2.4.7 and 2.4.11."""
    report.show(width=width, scheme=scheme)
    report.run("void document.querySelectorAll('details').forEach(each => each.open = true)")
    steps = _walked(report)
    assert [step["index"] for step in steps] == list(range(report.run(f"{REACHABLE}.length")))
    assert len(steps) > 15
    assert [step for step in steps if not (step["outlined"] and step["seen"])] == []
    assert all(step["named"] for step in steps)
    assert report.run("document.documentElement.scrollWidth - innerWidth") <= 0
    assert report.complaints() == []


def test_the_way_back_is_the_way_there(report: Any) -> None:
    there = [step["index"] for step in _walked(report)]
    back = []
    for _ in there:
        report.backwards(1)
        back.append(report.run(FOCUSED)["index"])
    assert back == there[::-1]


def test_the_first_key_skips_to_the_verdict(report: Any) -> None:
    report.press(TAB)
    assert report.run("document.activeElement.matches('.skip')")
    assert report.run("document.activeElement.getBoundingClientRect().left >= 0")
    report.press(ENTER)
    assert report.run("document.activeElement.id") == "main"
    report.press(TAB)
    assert report.run("document.activeElement.matches('main .scroll')")


def test_a_part_is_reached_from_the_list_of_parts(report: Any) -> None:
    report.tab_to('nav a[href="#questions"]')
    report.press(ENTER)
    report.wait("location.hash === '#questions'")
    report.wait("Math.abs(document.getElementById('questions').getBoundingClientRect().top) < 400")
    report.press(TAB)
    assert report.run("document.activeElement.matches('#questions ~ section summary')")


def test_a_question_opens_and_closes_by_key_and_shows_its_context(report: Any) -> None:
    report.tab_to("summary")
    assert not report.run("document.activeElement.parentElement.open")
    report.press(ENTER)
    assert report.run("document.activeElement.parentElement.open")
    assert report.run("document.querySelector('details[open] .context').checkVisibility()")
    report.press(SPACE)
    assert not report.run("document.activeElement.parentElement.open")


def test_a_link_to_a_question_leads_to_its_summary(report: Any) -> None:
    report.tab_to(".again a")
    wanted = report.run("document.activeElement.hash")
    report.press(ENTER)
    report.wait(f"location.hash === '{wanted}'")
    report.press(TAB)
    assert report.run(f"document.activeElement === document.querySelector('{wanted} summary')")
    report.press(ENTER)
    assert report.run(f"document.querySelector('{wanted}').open")


def test_a_wide_table_is_moved_by_the_arrows(report: Any) -> None:
    report.show(width=390)
    report.tab_to(".scroll")
    wide = "document.activeElement.scrollWidth > document.activeElement.clientWidth"
    assert report.run(wide)
    report.press(*(RIGHT * 3))
    report.wait("document.activeElement.scrollLeft > 0")
    report.press(*(DOWN * 3))
    report.wait("document.activeElement.scrollTop > 0 || scrollY > 0")
