"""The page for everybody: contrast, width, zoom, names, focus, motion."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

import pytest

Page: TypeAlias = Any  # of conftest.py
ENTER, TAB, ESCAPE = "\ue007", "\ue004", "\ue00c"
QUESTION = "How long is the pump covered?"
COVERED = "The pump is covered for 24 months from delivery."


_CONTRASTS = """
(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = (top, under) => {
    const alpha = top[3] ?? 1;
    return [0, 1, 2].map((i) => top[i] * alpha + under[i] * (1 - alpha));
  };
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      layers.push(parse(getComputedStyle(at).backgroundColor));
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const luminance = (colour) => colour.slice(0, 3)
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!(own || node.matches("input, textarea, select")) || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const ground = behind(node);
    const ink = over(parse(node instanceof SVGElement ? style.fill : style.color), ground);
    const [light, dark] = [luminance(ink), luminance(ground)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    found.push([ratio, node.tagName, node.textContent.slice(0, 30)]);
  }
  return found;
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("question", [QUESTION, "Who won in Bern in 1954?", ""])
def test_text_stands_out_from_what_is_behind_it(page: Page, scheme: str, question: str) -> None:
    """Source: WCAG 2.2, success criterion 1.4.3: 4.5:1, relative luminance as defined there."""
    browser = page.browser
    browser.show(width=1280, scheme=scheme)
    browser.run("void document.querySelectorAll('details').forEach(each => each.open = true)")
    browser.ask(question)
    browser.run("void document.querySelectorAll('details').forEach(each => each.open = true)")
    measured = browser.run(_CONTRASTS)
    assert len(measured) > 40
    assert not [each for each in measured if each[0] < 4.5]
    if question == QUESTION:
        browser.run("void document.querySelector('button.cite').click()")
        browser.wait("document.activeElement.id === 'sentence'")
        assert not [each for each in browser.run(_CONTRASTS) if each[0] < 4.5]
        browser.press(ESCAPE)
    browser.run("void (location.hash = '#costs')")
    browser.wait("document.querySelector('#costs section')")
    assert not [each for each in browser.run(_CONTRASTS) if each[0] < 4.5]


@pytest.mark.parametrize("width", [320, 390, 640, 1280])
def test_nothing_is_cut_off_at_any_width(page: Page, width: int) -> None:
    """320 px is also 1280 px at 400 % zoom. Source: WCAG 2.2, success criterion 1.4.10."""
    browser = page.browser
    browser.show(width=width)
    browser.run("void (document.getElementById('options').open = true)")
    browser.ask(QUESTION)
    sideways = "document.documentElement.scrollWidth - innerWidth"
    assert browser.run(sideways) <= 0
    browser.run("void document.querySelector('button.cite').click()")
    browser.wait("document.activeElement.id === 'sentence'")
    sheet = browser.run(
        "(b => [b.left, b.right])(document.querySelector('.sheet').getBoundingClientRect())"
    )
    assert sheet[0] >= 0
    assert sheet[1] <= width
    browser.press(ESCAPE)
    browser.run("void (location.hash = '#costs')")
    browser.wait("document.querySelector('#costs section')")
    assert browser.run(sideways) <= 0


def test_letters_twice_as_large_still_fit(page: Page) -> None:
    browser = page.browser
    browser.show(width=1280)
    browser.run("void document.documentElement.setAttribute('class', 'large')")
    browser.devtools("Emulation.setPageScaleFactor", pageScaleFactor=1)
    browser.run("void document.styleSheets[0].insertRule('.large { font-size: 200% }', 0)")
    browser.ask(QUESTION)
    assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0
    overlaps = browser.run(
        "(boxes => boxes.some((a, i) => boxes.slice(i + 1).some(b => a.left < b.right - 1 && "
        "b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)))"
        "([...document.querySelectorAll('#trace svg text')].map(t => t.getBoundingClientRect()))"
    )
    assert not overlaps


def test_landmarks_headings_labels_and_names(page: Page) -> None:
    browser = page.browser
    browser.ask(QUESTION)
    for landmark in ("header", "nav[aria-label]", "main", "footer"):
        assert browser.run(f"document.querySelectorAll('{landmark}').length") == 1
    assert browser.run("document.documentElement.lang") == "en"
    for view in ("ask", "costs"):
        browser.run(f"void (location.hash = '#{view}')")
        browser.wait(f"document.querySelector('#view-{view}:not([hidden]) h2')")
        levels = browser.run(
            "[...document.querySelectorAll('main h1, main h2, main h3')]"
            ".filter(each => each.checkVisibility()).map(each => Number(each.tagName[1]))"
        )
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
    nameless = browser.run(
        "[...document.querySelectorAll('input, select, textarea, button, a, summary, [role=region],"
        " svg[role=img]')].filter(each => !(each.labels?.length || each.ariaLabel"
        " || each.getAttribute('aria-labelledby') || each.textContent.trim()))"
        ".map(each => each.outerHTML)"
    )
    assert not nameless
    dangling = browser.run(
        "[...document.querySelectorAll('[aria-labelledby], [aria-describedby], label[for]')]"
        ".flatMap(each => ['aria-labelledby', 'aria-describedby', 'for'].flatMap(name => "
        "(each.getAttribute(name) ?? '').split(' ').filter(Boolean)))"
        ".filter(id => !document.getElementById(id))"
    )
    assert not dangling
    ids = browser.run("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))


def test_the_focus_goes_where_the_eye_goes(page: Page) -> None:
    browser = page.browser
    browser.ask(QUESTION)
    browser.run("void document.getElementById('skip').focus()")
    assert browser.run("document.getElementById('skip').getBoundingClientRect().left >= 0")
    order = []
    for _ in range(8):
        order.append(browser.run("document.activeElement.id || document.activeElement.textContent"))
        browser.press(TAB)
    assert order == [
        *("skip", "frugal-rag", "Ask", "Traffic and costs", "question", "submit"),
        *("Options ", "1"),
    ]
    assert browser.run("[...document.querySelectorAll('[tabindex]')].every(e => e.tabIndex <= 0)")


def test_what_is_said_is_announced_and_nothing_moves_for_those_who_ask(page: Page) -> None:
    browser = page.browser
    assert browser.run("document.getElementById('answer').ariaLive") == "polite"
    assert browser.run("document.getElementById('status').role") == "status"
    moving = (
        "(() => { const result = document.getElementById('result');"
        " result.classList.add('waiting');"
        " return getComputedStyle(result.querySelector('.said'), '::before').animationName; })()"
    )
    assert browser.run(moving) == "waiting"
    browser.show(width=1280, motion="reduce")
    assert browser.run(moving) == "none"


def test_everything_comes_from_the_service_itself(page: Page) -> None:
    page.browser.ask(QUESTION)
    loaded = page.browser.run("performance.getEntriesByType('resource').map(each => each.name)")
    assert len(loaded) > 10
    assert all(name.startswith(page.url) for name in loaded)
    assert not page.browser.complaints()
