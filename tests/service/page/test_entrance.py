"""The page of a service that asks for keys: typed in once, kept nowhere, named in no address."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest

from rag.keyring import change_keys
from rag.keys import Grant, made_key

Page: TypeAlias = Any  # of conftest.py
ENTER, TAB = "\ue007", "\ue004"
QUESTION = "How long is the pump covered?"
SHOWN = "!document.getElementById('entrance').hidden"
STORED = "[document.cookie, ...Object.entries({...localStorage, ...sessionStorage})].join(' ')"


@pytest.fixture(scope="module")
def tokens(opened: Page) -> Mapping[str, str]:
    """A key that may ask and one that may see costs; the service asks for them from now on."""
    made = {
        name: made_key(Grant((name,), None), datetime.now(UTC))  # type: ignore[arg-type]
        for name in ("query", "admin")
    }
    assert opened.http.get("/v1/models").status_code == 200
    change_keys(opened.keys, lambda keys: (*keys, *(key for key, _ in made.values())))
    for _ in range(100):
        if opened.http.get("/v1/models").status_code == 401:
            return {name: token for name, (_, token) in made.items()}
        time.sleep(0.05)
    raise AssertionError("the service does not ask for keys")


def test_a_key_is_asked_for_once_the_service_does(tokens: Mapping[str, str], page: Page) -> None:
    browser = page.browser
    assert not browser.run(SHOWN)
    browser.press(*QUESTION, ENTER)
    browser.wait(SHOWN)
    assert browser.text("#entrance-title") == "This service asks for a key"
    assert browser.run("document.activeElement.id") == "key"
    assert browser.text("#answer") == ""
    browser.press(*"wrong", ENTER)
    browser.wait("document.getElementById('entrance-title').textContent.includes('not valid')")
    assert browser.run("document.activeElement.ariaInvalid") == "true"
    browser.press(*tokens["query"], ENTER)  # over the one that is selected
    browser.wait("document.querySelector('#answer > section.good')")
    assert not browser.run(SHOWN)
    assert "24 months" in browser.text("#answer")
    assert browser.run("document.activeElement.id") == "question"
    assert [question.text for question in page.spoken.asked] == [QUESTION]


def test_a_key_is_in_no_address_and_no_store(tokens: Mapping[str, str], page: Page) -> None:
    browser = page.browser
    browser.press(*QUESTION, ENTER)
    browser.wait(SHOWN)
    browser.press(*tokens["query"], ENTER)
    browser.wait("document.querySelector('#answer > section.good')")
    assert browser.run(STORED) == ""
    assert tokens["query"] not in browser.run("location.href")
    asked = "performance.getEntriesByType('resource').map((each) => each.name).join(' ')"
    assert "v1/query" in browser.run(asked)
    assert tokens["query"] not in browser.run(asked)
    browser.open(page.url)
    browser.press(*QUESTION, ENTER)
    browser.wait(SHOWN)  # forgotten with the page


def test_costs_need_a_key_that_allows_them(tokens: Mapping[str, str], page: Page) -> None:
    browser = page.browser
    browser.run("void (location.hash = '#costs')")
    browser.wait(SHOWN)
    assert browser.text("#costs") == ""
    browser.press(*tokens["query"], ENTER)
    browser.wait("document.getElementById('entrance-title').textContent.includes('not allow')")
    browser.press(*tokens["admin"], ENTER)
    browser.wait("document.querySelector('#costs section')")
    assert not browser.run(SHOWN)


def test_a_key_of_one_tenant_sees_its_costs_without_the_cache(
    tokens: Mapping[str, str], page: Page
) -> None:
    browser = page.browser
    browser.run(
        "void (window.fetch = ((inner) => (url, options) => url === 'v1/cache'"
        " ? Promise.resolve(new Response('{}', { status: 403 })) : inner(url, options)"
        ")(window.fetch))"
    )
    browser.run("void (location.hash = '#costs')")
    browser.wait(SHOWN)
    browser.press(*tokens["admin"], ENTER)
    browser.wait("document.querySelector('#costs section')")
    assert not browser.run(SHOWN)
    assert browser.run("document.activeElement.id") == "costs-title"
    assert "for all tenants together" in browser.text("#costs")


def test_a_refusal_says_what_to_do_and_stays_with_its_view(
    tokens: Mapping[str, str], page: Page
) -> None:
    browser = page.browser
    browser.run("void (location.hash = '#costs')")
    browser.wait(SHOWN)
    browser.press(*tokens["query"], ENTER)
    browser.wait("document.getElementById('entrance-title').textContent.includes('right admin')")
    browser.run("void (location.hash = '#ask')")
    browser.wait("document.activeElement.id === 'ask-title'")
    assert not browser.run(SHOWN)
    browser.tab_to("#question")
    browser.press(*QUESTION, ENTER)
    browser.wait("document.querySelector('#answer > section.good')")
    assert not browser.run(SHOWN)


@pytest.mark.usefixtures("tokens")
def test_an_empty_key_is_not_sent(page: Page) -> None:
    browser = page.browser
    browser.press(*QUESTION, ENTER)
    browser.wait(SHOWN)
    browser.press(" ", ENTER)
    assert browser.run(SHOWN)
    assert browser.text("#entrance-title") == "This service asks for a key"


@pytest.mark.usefixtures("tokens")
@pytest.mark.parametrize("width", [320, 1280])
def test_the_entrance_fits_and_every_field_has_a_name(page: Page, width: int) -> None:
    browser = page.browser
    browser.show(width=width)
    browser.press(*QUESTION, ENTER)
    browser.wait(SHOWN)
    assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0
    assert browser.run("document.getElementById('key').labels[0].textContent") == "Access key"
    browser.press(TAB)
    assert browser.run("document.activeElement.textContent") == "Use it"
