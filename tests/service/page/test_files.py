"""The files of the page, its policy, and the sources that it opens."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import httpx

from rag.service.page_routes import HEADERS, POLICY

Page: TypeAlias = Any  # of conftest.py
COVERED = "The pump is covered for 24 months from delivery."


def test_the_page_and_its_files_are_served_with_a_strict_policy(served: Page) -> None:
    page = served.http.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    files = re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)
    assert {"page/page.css", "page/page.js", "page/icon.svg"} == set(files)
    for name in ("", *files):
        response = served.http.get(f"/{name}")
        assert response.status_code == 200
        assert {key: response.headers[key] for key in HEADERS} == dict(HEADERS)
        assert served.http.head(f"/{name}").content == b""
        again = served.http.get(f"/{name}", headers={"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert "unsafe" not in POLICY
    assert served.http.get("/page/../app.py").status_code == 404
    assert served.http.get("/page/%2e%2e%2fapp.py").status_code == 404


def test_no_file_holds_inline_code_or_an_address_elsewhere(served: Page) -> None:
    page = served.http.get("/").text
    assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?![^>]*src=)", page)
    scripts = _scripts(served.http)
    assert len(scripts) > 5
    namespace = "http://www.w3.org/2000/svg"
    for path in scripts | {"page.css"}:
        text = served.http.get(f"/page/{path}").text.replace(namespace, "")
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacent|eval\(|@import", text)


def _scripts(http: httpx.Client, name: str = "page.js") -> set[str]:
    found = {name}
    for other in re.findall(r'from "\./([^"]+)"', http.get(f"/page/{name}").text):
        found |= {other} if other in found else _scripts(http, other)
    return found


def test_a_source_opens_only_for_its_tenant_and_only_where_it_says_so(served: Page) -> None:
    start = served.texts["pump"].index(COVERED)
    asked = {"doc_id": "pump", "quote": COVERED, "start": start, "end": start + len(COVERED)}
    found = served.http.post("/v1/sources", json=asked)
    assert (found.status_code, found.json()["text"]) == (200, served.texts["pump"])
    assert found.headers["cache-control"] == "no-store"
    theirs = {"doc_id": "plans", "quote": "Nobody sees these plans.", "start": 0, "end": 24}
    wrong: list[dict[str, object]] = [
        {**asked, "tenant": "other"},
        {**asked, "start": start + 1},
        {**asked, "quote": COVERED.upper()},
        {**asked, "doc_id": "tax"},
        {**asked, "quote": "?", "start": 0, "end": 1},
        theirs,
    ]
    for body in wrong:
        response = served.http.post("/v1/sources", json=body)
        assert response.status_code == 404, body
        assert response.json()["remedy"]
        assert "Nobody" not in response.text
    owned = served.http.post("/v1/sources", json={**theirs, "tenant": "other"})
    assert owned.json()["text"] == "Nobody sees these plans."
