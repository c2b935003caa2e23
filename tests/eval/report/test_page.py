"""The page as a whole: what a browser, a screen reader and a hostile document make of it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from xml.etree.ElementTree import Element

import pytest
from defusedxml import ElementTree

from eval.gating.gate import judged
from eval.gating.policy import Policy
from eval.records import Record
from eval.report.contents import Contents, arranged
from eval.report.page import page

STYLE = files("eval.report").joinpath("report.css").read_text(encoding="utf-8")


def parsed(contents: Contents) -> Element:
    html = page(contents)
    assert html.startswith("<!DOCTYPE html>\n")
    return ElementTree.fromstring(html.removeprefix("<!DOCTYPE html>\n"))


def texts(element: Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def held_to(contents: Contents, at_least: float) -> Contents:
    rule = {"kind": "hard", "at_least": at_least}
    policy = Policy.model_validate({"measures": {"groundedness": rule}})
    return replace(contents, verdict=judged(contents.judged.record, None, policy))


def test_headings_are_in_order(contents: Contents) -> None:
    root = parsed(contents)
    levels = [int(each.tag[1]) for each in root.iter() if re.fullmatch(r"h[1-6]", str(each.tag))]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert root.attrib["lang"] == "en"
    assert root.find("head/title") is not None


def test_tables_are_named_and_their_headers_say_of_what(contents: Contents) -> None:
    root = parsed(held_to(contents, 0.5))
    tables = list(root.iter("table"))
    assert len(tables) > 10
    for table in tables:
        assert texts(table).strip()
        assert table[0].tag == "caption"
        assert all("scope" in header.attrib for header in table.iter("th"))
        widths = {sum(int(cell.get("colspan", "1")) for cell in row) for row in table.iter("tr")}
        assert len(widths) == 1, texts(table[0])
    frames = [each for each in root.iter("div") if each.get("class") == "scroll"]
    assert all(f.get("tabindex") == "0" and f.get("aria-label") for f in frames)
    assert len(frames) == len(tables)


def test_pictures_have_titles(contents: Contents) -> None:
    drawings = list(parsed(contents).iter("svg"))
    assert drawings
    for drawing in drawings:
        title = drawing.find("title")
        assert title is not None
        assert title.text
        assert drawing.get("role") == "img"


def test_ids_are_unique_and_links_lead_somewhere_on_the_page(contents: Contents) -> None:
    root = parsed(held_to(contents, 0.99))
    ids = [each.attrib["id"] for each in root.iter() if "id" in each.attrib]
    assert len(ids) == len(set(ids))
    links = {each.attrib["href"] for each in root.iter("a")}
    assert links <= {f"#{each}" for each in ids}
    assert "#main" in links
    named = " ".join(each.get("aria-labelledby", "") for each in root.iter()).split()
    assert set(named) <= set(ids)


def test_nothing_comes_from_elsewhere_and_nothing_runs(contents: Contents) -> None:
    root = parsed(contents)
    for each in root.iter():
        assert each.tag not in {"script", "link", "iframe", "object", "img", "form", "base"}
        for name, value in each.attrib.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in {"src", "href", "action"}:
                assert value.startswith("#")
    assert not re.search(r"url\(|@import|https?:", STYLE)


def test_the_policy_allows_this_style_and_nothing_else(contents: Contents) -> None:
    root = parsed(contents)
    style = root.find("head/style")
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(str(style.text).encode()).digest()).decode()
    policy = next(m for m in root.iter("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert f"style-src 'sha256-{digest}'" in policy.attrib["content"]
    assert policy.attrib["content"].startswith("default-src 'none'; ")
    assert "unsafe" not in policy.attrib["content"]


def test_what_records_say_is_text(contents: Contents) -> None:
    html = page(contents)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<i>plain" not in html
    root = parsed(contents)
    assert any("<script>alert(1)</script>" in texts(summary) for summary in root.iter("summary"))


@pytest.mark.parametrize(("at_least", "word"), [(0.5, "passes"), (0.99, "blocked")])
def test_the_verdict_comes_first(contents: Contents, at_least: float, word: str) -> None:
    root = parsed(held_to(contents, at_least))
    first = next(root.iter("main"))[0]
    assert first.attrib["class"] == f"verdict {word}"
    assert word.capitalize() in texts(first)
    assert word in texts(next(root.iter("h1")))
    assert "24.5 tokens of context" in texts(first)
    assert "1.00 % of the tokens of plain, at answer recall 0.714 against 0.714" in texts(first)
    assert ("✘ blocks" in texts(root)) is (word == "blocked")


def test_without_a_policy_nothing_is_judged_and_the_reason_is_given(contents: Contents) -> None:
    said = texts(parsed(replace(contents, unjudged="the moon is <new>")))
    assert "Not judged" in said
    assert "the moon is <new>." in said
    assert "What the policy holds it to" not in said


def test_a_system_that_does_not_answer_is_not_a_bad_answerer(contents: Contents) -> None:
    root = parsed(contents)
    table = next(t for t in root.iter("table") if texts(t).startswith("Groundedness"))
    row = next(r for r in table.iter("tr") if texts(r).startswith("groundedness"))
    assert [texts(cell) for cell in row[2:]] == ["does not answer"] * 2
    assert "0.917" in texts(row[1])


def test_what_is_unknown_is_never_0(contents: Contents) -> None:
    root = parsed(contents)
    rows = {texts(row[0]): [texts(cell) for cell in row[1:]] for row in root.iter("tr") if len(row)}
    energy = next(cells for name, cells in rows.items() if name.startswith("Energy ["))
    assert energy[2] == "unknown"
    gas = next(cells for name, cells in rows.items() if name.startswith("Greenhouse gas, by"))
    assert gas[0] == "unknown"
    assert not any("0" in cell for cell in gas)
    assert rows["plain"][1] == "unknown"  # processor time of an index that is not on record


def test_groups_without_a_value_are_left_out(contents: Contents) -> None:
    said = texts(parsed(contents))
    assert "Groundedness: is what is said" in said
    assert "Safety: is anything said" not in said


def test_settings_that_are_not_the_default_come_first(contents: Contents) -> None:
    root = parsed(contents)
    changed, *more = [t for t in root.iter("table") if "not the default" in texts(t[0])]
    assert not more  # another system's chunk_tokens has another default
    assert [texts(row) for row in changed.iter("tr")][1:] == ["budget_tokens 99 256"]


def test_everything_that_pins_a_record_is_shown(contents: Contents) -> None:
    said = texts(parsed(contents))
    identity = contents.judged.record.identity
    for part in (identity.key, identity.data_sha256, identity.fingerprint, identity.code):
        assert part in said


def test_the_same_records_make_the_same_page(ours: Record, theirs: Sequence[Record]) -> None:
    assert page(arranged((ours, *theirs))) == page(arranged((ours, *theirs)))


def test_a_record_alone_makes_a_page(theirs: Sequence[Record]) -> None:
    said = texts(parsed(arranged((theirs[0],))))
    assert "not measured, as the system does not answer" in said


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


SCHEMES = [
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{([^}]*)\}", STYLE)
]


@pytest.mark.parametrize("colours", SCHEMES, ids=["light", "dark", "print"])
def test_text_stands_out_from_what_is_behind_it(colours: dict[str, str]) -> None:
    words = ("text", "soft", "link", "good", "bad", "even", *(f"s{i}" for i in range(6)))
    for name in words:
        for behind in ("page", "panel"):
            assert contrast(colours[name], colours[behind]) >= 4.5, (name, behind)
    assert contrast(colours["text"], colours["answer"]) >= 4.5
    for name in ("cited", "evidence"):
        assert contrast(colours[name], colours["panel"]) >= 3


def test_the_schemes_define_the_same_colours() -> None:
    assert len(SCHEMES) == 3
    assert len({tuple(colours) for colours in SCHEMES}) == 1
    used = set(re.findall(r"var\(--([\w-]+)\)", STYLE))
    assert used == set(SCHEMES[0])
