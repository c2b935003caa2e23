"""HTML and SVG in which all text is escaped by the way it is made.

Records hold questions and documents that anybody may have written: a plain ``str`` is text and is
escaped, only what ``element`` made is markup.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final, TypeAlias

from rag.receipts import printable

_VOID: Final = frozenset({"br", "col", "meta"})


class Html(str):
    """Markup: stands in a page as it is."""

    __slots__ = ()


Child: TypeAlias = str | None  # None is left out
Attribute: TypeAlias = str | float | None  # None is left out


def text(value: str) -> Html:
    """Return a text as markup: escaped, and without control characters."""
    return value if isinstance(value, Html) else Html(html.escape(printable(value)))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """Return an element; ``class_`` stands for ``class``, and ``aria_label`` for ``aria-label``.

    A child that is a plain string is text.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(printable(_value(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Iterable[Child], between: str = "") -> Html:
    """Return the children one after the other, with the escaped text ``between`` them."""
    return Html(text(between).join(text(child) for child in children if child is not None))


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}"
