"""XML: the one parser for it, which refuses entities, and a loader for XML of any vocabulary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from lxml import etree
from lxml.etree import _Element

from ingest.load.builder import DocumentBuilder
from ingest.load.source import Source
from rag.errors import LoadError

Element: TypeAlias = _Element


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the text of every element that holds text of its own; ``title`` elements are headings.

    Raises:
        LoadError: The file is not XML, or it uses entities.
    """
    root = parse_xml(source.data(), source.path.name)
    for element in _textual(root):
        text = " ".join("".join(_strings(element)).split())
        if local_name(element) in {"title", "head", "heading"}:
            into.heading(text, 1 + sum(1 for _ in element.iterancestors()))
        else:
            into.add(text)


def parse_xml(data: bytes, name: str) -> Element:
    """Return the root element; nothing is fetched and no entity is expanded.

    Raises:
        LoadError: ``data`` is not well-formed, or it uses entities of its own.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise LoadError("not well-formed XML", f"{name}: {exc}", "export it again") from exc
    if root is None:
        raise LoadError("not well-formed XML", f"{name}: no element", "export it again")
    if any(True for _ in root.iter(etree.Entity)):
        raise LoadError("XML entities are refused", name, "replace them by what they stand for")
    return root


def local_name(element: Element) -> str:
    """Return the element's tag without its namespace; empty for what is not an element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str:
    """Return the attribute with the local name ``name``, whatever its namespace, or ``""``."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return ""


def _textual(root: Element) -> Iterator[Element]:
    """Yield the highest elements that have text of their own: all below them is inline."""
    stack = [root]
    while stack:
        element = stack.pop()
        if _has_own_text(element):
            yield element
        else:
            stack.extend(reversed(element))


def _has_own_text(element: Element) -> bool:
    own = [element.text, *(child.tail for child in element)]
    return any(text and text.strip() for text in own)


def _strings(element: Element) -> Iterator[str]:
    for part in element.itertext():
        yield str(part)
