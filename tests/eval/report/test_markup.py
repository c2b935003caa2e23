"""Text is text, whatever it holds."""

from __future__ import annotations

from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from eval.report.markup import Html, element, joined, text
from rag.receipts import printable

# What XML can hold after the controls are gone.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn", "Zl", "Zp"]), max_size=60)


@given(said=TEXTS, named=TEXTS)
def test_what_goes_in_comes_out_of_a_parser(said: str, named: str) -> None:
    found = ElementTree.fromstring(element("p", said, title=named))
    assert (found.text or "") == printable(said)
    # Parsers turn white space in attributes into spaces.
    assert found.attrib["title"] == printable(named).replace("\n", " ").replace("\t", " ")


def test_markup_is_not_escaped_twice() -> None:
    inner = element("b", "a < b")
    assert inner == "<b>a &lt; b</b>"
    assert element("p", inner, " & c") == "<p><b>a &lt; b</b> &amp; c</p>"
    assert text(inner) is inner
    assert isinstance(joined([inner, "x"]), Html)


def test_attributes_keep_their_names_and_none_is_left_out() -> None:
    found = element("i", class_="x", aria_label='"', title=None, x1=0.123456, tabindex=0)
    assert found == '<i class="x" aria-label="&quot;" x1="0.12" tabindex="0"></i>'


def test_children_stand_between_separators() -> None:
    assert joined(["a", None, element("br"), "<"], ", ") == "a, <br/>, &lt;"


def test_controls_and_directions_are_left_out() -> None:
    assert text("a\x00\x1b[31m\u202eb") == "a[31mb"
