"""What quality costs, on the page's second view: a picture, the same as a table, or why neither."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

Page: TypeAlias = Any  # of conftest.py
SECTION = "section[aria-labelledby=frontier-title]"
DRAWN = f"document.querySelector('{SECTION} svg[role=img]')"
HOSTILE = "<img src=x onerror=document.title='owned'>"


def shown(page: Page, *, width: int = 1280) -> Any:
    """Go to the second view as somebody without a mouse does."""
    browser = page.browser
    browser.show(width=width)
    browser.backwards(1)  # from the question, where everybody begins
    assert browser.run("document.activeElement.dataset.view") == "costs"
    browser.press("\ue007")
    browser.wait(f"{DRAWN} && document.querySelector('#costs-status').textContent === ''")
    return browser


def test_each_point_stands_in_the_picture_in_its_words_and_in_the_table(page: Page) -> None:
    browser = shown(page)
    assert browser.run(f"{DRAWN}.querySelectorAll('circle.mark').length") == 3
    assert browser.run(f"{DRAWN}.querySelectorAll('circle.efficient').length") == 2
    assert browser.run(f"{DRAWN}.querySelectorAll('path.whisker').length") == 3
    said = browser.run(f"{DRAWN}.querySelector('desc').textContent")
    assert "1, frugal-rag, budget tokens 64: 0.710 at 59 tokens, efficient" in said
    assert f"3, plain {HOSTILE}: 0.810 at 2,010 tokens." in said
    rows = browser.run(
        f"[...document.querySelectorAll('{SECTION} tbody tr')]"
        ".map(row => [...row.children].map(cell => cell.innerText))"
    )
    assert [row[1:3] for row in rows] == [
        ["59\n55 to 62", "0.710\n0.620 to 0.800"],
        ["225\n216 to 233", "0.833\n0.750 to 0.900"],
        ["2,010\n1,960 to 2,055", "0.810\n0.730 to 0.880"],
    ]
    assert rows[2][0] == f"3. plain {HOSTILE}"
    assert "a" * 12 in rows[0][3]
    assert "0123456789ab" in rows[0][3]
    assert browser.run("document.title") != "owned"
    assert not [each for each in browser.complaints() if "v1/cache" not in each]


def test_up_is_better_and_right_is_more(page: Page) -> None:
    browser = shown(page)
    at = browser.run(
        f"[...{DRAWN}.querySelectorAll('circle.mark')].map(c => [+c.getAttribute('cx'),"
        " +c.getAttribute('cy')])"
    )
    assert at[0][0] < at[1][0] < at[2][0]
    assert at[1][1] < at[2][1] < at[0][1]


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_picture_fits_and_its_texts_do_not_overlap(page: Page, width: int) -> None:
    browser = shown(page, width=width)
    assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0
    outside = browser.run(
        f"(box => [...{DRAWN}.querySelectorAll('text, circle')].map(e => e.getBoundingClientRect())"
        ".filter(b => b.left < box.left - 1 || b.right > box.right + 1 || b.bottom > box.bottom + 1"
        f" || b.top < box.top - 1).length)({DRAWN}.getBoundingClientRect())"
    )
    assert outside == 0
    overlaps = browser.run(
        "(boxes => boxes.some((a, i) => boxes.slice(i + 1).some(b => a.left < b.right - 1 && "
        "b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)))"
        f"([...{DRAWN}.querySelectorAll('text')].map(t => t.getBoundingClientRect()))"
    )
    assert not overlaps


def test_the_table_is_reached_and_moved_by_keys(page: Page) -> None:
    browser = shown(page, width=320)
    browser.tab_to(f"{SECTION} .scroll")
    frame = f"document.querySelector('{SECTION} .scroll')"
    if browser.run(f"{frame}.scrollWidth > {frame}.clientWidth"):
        browser.press(*("\ue014" * 3))
        browser.wait(f"{frame}.scrollLeft > 0")


def test_these_settings_are_marked_where_they_were_measured(page: Page) -> None:
    assert "None of them has exactly this service's settings" in shown(page).text(SECTION)
    page.browser.run(
        "void (window.fetch = ((inner) => async (url, options) => {"
        " const given = await inner(url, options);"
        " if (url !== 'v1/frontier') return given;"
        " const body = await given.json(); body.points[1].here = true;"
        " return new Response(JSON.stringify(body)); })(window.fetch))"
    )
    page.browser.run("void document.getElementById('period').dispatchEvent(new Event('change'))")
    page.browser.wait(f"{DRAWN}?.querySelector('circle.ring')")
    assert "this service's settings" in page.browser.text(f"{SECTION} tbody tr:nth-child(2)")
    assert "None of them" not in page.browser.text(SECTION)


def test_without_an_evaluation_it_is_said_in_a_line(page: Page) -> None:
    page.browser.run(
        "void (window.fetch = ((inner) => (url, options) => url === 'v1/frontier'"
        " ? Promise.resolve(new Response('{}', { status: 400 })) : inner(url, options)"
        ")(window.fetch))"
    )
    page.browser.run("void (location.hash = '#costs')")
    page.browser.wait(f"document.querySelector('{SECTION}')")
    assert "No evaluation was given to this service" in page.browser.text(SECTION)
    assert not page.browser.run(DRAWN)
