from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.load import markdown
from ingest.load.builder import DocumentBuilder
from rag.errors import EmptyDocumentError, ValueRangeError
from rag.labels import checked_labels
from rag.types import Document

Load = Callable[[str, str | bytes], Document]
WORD = st.text("abcdefghijklmnopqrstuvwxyzäé0123456789", min_size=1, max_size=8)
PHRASE = st.lists(WORD, min_size=1, max_size=5).map(" ".join)
TEMPLATES = [
    "# {}", "### {}", "{}", "- {}", "- {}\n  - {}", "1. {}\n2. {}", "> {}", "> > - {}",
    "    {}", "```\n{}\n```", "~~~sh\n{}", "**{}** *{}* `{}`", "[{}](https://e.org)",
    "![{}](i.png)",
    "| {} | b |\n|---|---|\n| {} | {} |", "<div>{}</div>", "<b>{}</b>", "{}\n===",
    "a {} <unknown> b",
]  # fmt: skip


def render(text: str) -> Document:
    builder = DocumentBuilder()
    markdown.render(text, builder)
    return builder.build("id", "text/markdown", "t")


@given(st.lists(st.tuples(st.sampled_from(TEMPLATES), PHRASE), min_size=1, max_size=8))
def test_no_visible_word_is_lost(
    checked: Callable[[Document], Document], parts: list[tuple[str, str]]
) -> None:
    text = "\n\n".join(template.replace("{}", phrase) for template, phrase in parts)
    document = checked(render(text))
    position = 0
    for template, phrase in parts:
        for word in phrase.split():
            found = document.text.find(word, position if template.count("{}") == 1 else 0)
            assert found >= 0


@given(st.text("#->*_`[]()<>|\\!&;:=~ \n\tab1.", max_size=200))
def test_arbitrary_markup_keeps_the_invariants(
    checked: Callable[[Document], Document], text: str
) -> None:
    try:
        checked(render(text))
    except EmptyDocumentError:  # only link definitions, tags and a fence's language are unseen
        assert "b" not in text or set(text) & set("[<`~")


def test_structure(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load(
        "a.md",
        "# Guide\n\nSome *words* and a [link](https://e.org).\n\n## Steps\n\n1. First\n"
        "2. Second\n   - inner\n\n```sh\nls  -l\n```\n\n"
        "| Product | Price |\n|---|---|\n| X | 3 |\n",
    )
    assert [(block.kind, block.headings) for block in document.blocks] == [
        ("heading", ()),
        ("paragraph", ("Guide",)),
        ("heading", ("Guide",)),
        ("list_item", ("Guide", "Steps")),
        ("list_item", ("Guide", "Steps")),
        ("list_item", ("Guide", "Steps")),
        ("code", ("Guide", "Steps")),
        ("table_row", ("Guide", "Steps")),
    ]
    assert texts(document)[1:] == [
        "Some words and a link.",
        "Steps",
        "1. First",
        "2. Second",
        "inner",
        "ls  -l",
        "Product: X; Price: 3.",
    ]
    assert document.title == "Guide"
    assert document.media_type == "text/markdown"


def test_front_matter_describes_the_document(load: Load) -> None:
    front = (
        "---\ntitle: \"A: title\"\ndate: 2024-05-06 10:00\ntags: [x, 'y']\nnested:\n  a: 1\n---\n"
    )
    document = load("a.md", front + "Body")
    assert (document.title, document.date, document.tags) == ("A: title", "2024-05-06", ("x", "y"))
    assert document.text == "Body"


def test_tags_may_be_listed_line_by_line(load: Load) -> None:
    assert load("a.md", "---\ntags:\n- x\n- y\n---\nBody").tags == ("x", "y")


def test_a_rule_followed_by_text_is_no_front_matter(load: Load) -> None:
    assert "some text" in load("a.md", "---\nsome text\n---\nmore").text


def test_placeholders_in_angle_brackets_stay_and_html_goes(load: Load) -> None:
    document = load("a.md", "Set <service> to <b>on</b><br>now\n\n<details><summary>More</summary>")
    assert document.text == "Set <service> to on\nnow\n\nMore"


@pytest.mark.parametrize("opening", ["> ", "- ", "[", "*", "![", "<div>"])
def test_deep_nesting_loses_nothing(load: Load, opening: str) -> None:
    assert "bottom" in load("a.md", opening * 3000 + "bottom").text


def test_a_file_of_front_matter_alone_is_empty(load: Load) -> None:
    with pytest.raises(EmptyDocumentError):
        load("a.md", "---\ntitle: x\n---\n")


@pytest.mark.parametrize(
    ("front", "access"),
    [
        ("access: hr", ("hr",)),
        ("access: [hr, 'board', hr]", ("hr", "board")),
        ("Access:\n  - hr\n  - board", ("hr", "board")),
        ("title: x", ()),
        ("access:", ()),
        ("access: []", ()),
    ],
)
def test_labels_come_from_the_front_matter(load: Load, front: str, access: tuple[str, ...]) -> None:
    assert load("a.md", f"---\n{front}\n---\nText.\n").access == access


@pytest.mark.parametrize(
    "front",
    [
        "access: hr, board",
        "access: [hr,\n  board]",
        "access: hr # only they",
        "access: {any: hr}",
        "access: h\x07r",
        "access: hr\nthis is no line of it",
        "access:hr",
        '"access": hr',
        "- list\naccess: hr",
    ],
)
def test_labels_that_cannot_be_made_out_are_not_taken_for_none(load: Load, front: str) -> None:
    found = load("a.md", f"---\n{front}\n---\nText.\n").access
    with pytest.raises(ValueRangeError):
        checked_labels(found)
