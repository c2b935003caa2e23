from __future__ import annotations

import html
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from ingest.load import webpage
from ingest.load.builder import DocumentBuilder
from rag.types import Document

Load = Callable[[str, str | bytes], Document]
WORD = st.text("abcdefghijklmnopqrstuvwxyzäé<>&\"'0123456789", min_size=1, max_size=6)
TAGS = st.sampled_from(
    "p div section h1 h3 ul ol li blockquote pre b i code span a td table tr th em x-y".split()
)
TREE = st.recursive(
    WORD.map(lambda word: (None, [word])),
    lambda inner: st.tuples(TAGS, st.lists(inner, max_size=4)),
    max_leaves=15,
)


def markup(node: tuple[str | None, list[object]]) -> tuple[str, list[str]]:
    tag, children = node
    if tag is None:
        word = str(children[0])
        return f" {html.escape(word)} ", [word]
    parts = [markup(child) for child in children]  # type: ignore[arg-type]  # a recursive type
    words = [word for _, found in parts for word in found]
    return f"<{tag}>{''.join(text for text, _ in parts)}</{tag}>", words


@given(st.lists(TREE, min_size=1, max_size=4))
def test_no_word_is_lost_and_none_is_added(
    checked: Callable[[Document], Document], trees: list[tuple[str | None, list[object]]]
) -> None:
    parts = [markup(tree) for tree in trees]
    words = [word for _, found in parts for word in found]
    builder = DocumentBuilder()
    webpage.render("".join(text for text, _ in parts), builder)
    if words:
        document = checked(builder.build("id", "text/html", "t"))
        assert all(word in document.text for word in words)


def test_structure(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load(
        "a.html",
        "<html><head><title>The title</title><meta name=keywords content='x, y'>"
        "<meta property='article:published_time' content='2024-05-06T10:00'></head><body>"
        "<nav>Menu</nav><script>var x</script><style>p{}</style><div hidden>gone</div>"
        "<h1>Guide</h1><p>Some <b>bold</b>text,<br>next&nbsp;line</p><ul><li>one<li>two</ul>"
        "<pre>\n a\n  b</pre><table><caption>Prices</caption><tr><th>Product<th>Price"
        "<tr><td>X<td>3</table><footer>Imprint</footer></body></html>",
    )
    assert texts(document) == [
        "Guide",
        "Some boldtext,\nnext\xa0line",
        "one",
        "two",
        "a\n  b",
        "Prices",
        "Product: X; Price: 3.",
    ]
    assert (document.title, document.date, document.tags) == ("The title", "2024-05-06", ("x", "y"))
    assert document.blocks[-1].headings == ("Guide",)


def test_a_page_of_navigation_alone_keeps_it(load: Load) -> None:
    assert load("a.html", "<nav><a>Home</a></nav>").text == "Home"


def test_spans_repeat_their_cell(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load(
        "a.htm",
        "<table><tr><th>Year<th>Item<th>Sum<tr><td rowspan=2>2024<td>a<td>1<tr><td>b<td>2"
        "<tr><td colspan=2>all<td>3</table>",
    )
    assert texts(document) == [
        "Year: 2024; Item: a; Sum: 1.",
        "Year: 2024; Item: b; Sum: 2.",
        "Year: all; Item: all; Sum: 3.",
    ]


def test_layout_tables_are_read_as_text(load: Load, texts: Callable[..., list[str]]) -> None:
    document = load("a.html", "<table><tr><td><h2>News</h2><p>Text</p><td>Side</table>")
    assert texts(document) == ["News", "Text", "Side"]


def test_the_declared_encoding_is_used(load: Load) -> None:
    page = "<meta charset=shift_jis><p>日本語</p>".encode("shift_jis")
    assert load("a.html", page).text == "日本語"
    xhtml = '<?xml version="1.0" encoding="iso-8859-2"?><html><p>łódź</p></html>'
    assert load("a.xhtml", xhtml.encode("iso-8859-2")).text == "łódź"


def test_deep_nesting_does_not_recurse(load: Load) -> None:
    assert load("a.html", "<div>" * 5000 + "bottom").text == "bottom"
    assert load("a.html", "<b>" * 400 + "bottom" + "<table><tr><td>" * 400).text == "bottom"


def test_labels_come_from_the_head_and_only_once(load: Load) -> None:
    head = "<meta name=access content='hr, board'><meta name=access content=all>"
    page = f"<html><head>{head}</head><body><meta name=access content=x><p>Words.</body></html>"
    assert load("a.html", page).access == ("hr", "board")
    assert load("a.html", "<p>Words.").access == ()
