"""HTML: what a reader sees of a page, without navigation, scripts and footers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ingest.load.builder import DocumentBuilder
from ingest.load.dates import iso_date
from ingest.load.encoding import decode
from ingest.load.source import Source
from ingest.load.tables import write_table
from rag.types import BlockKind

_INVISIBLE = frozenset(
    "script style noscript template head iframe object svg canvas audio video -comment "
    "annotation annotation-xml datalist rp".split()
)
_BOILERPLATE = frozenset(("nav", "footer"))
_BLOCKS = frozenset(
    "address article aside blockquote body center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html legend li "
    "listing main menu nav noframes ol optgroup option p plaintext pre search section select "
    "summary table caption thead tbody tfoot tr td th ul xmp".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_PREFORMATTED = frozenset(("pre", "listing", "xmp", "plaintext", "textarea"))
_ITEMS = frozenset(("li", "dt", "dd"))
# A table that holds any of these lays out a page; its cells are not a row's values.
_LAYOUT = "table, ul, ol, pre, h1, h2, h3, h4, form, blockquote"
_CELL_CHARS = 2_000
_MOST_SPANNED = 100
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\f]+")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)""")
_PRESCAN_BYTES = 4096


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the page's content; its title, date and keywords are taken from its head.

    Raises:
        LoadError: The file is not text.
    """
    data = source.data()
    render(page_text(data, source.path.name), into)


def page_text(data: bytes, name: str) -> str:
    """Return the markup in ``data``, believing the encoding that it declares.

    Raises:
        LoadError: ``data`` is not text.
    """
    head = data[:_PRESCAN_BYTES]
    found = _CHARSET.search(head) or _XML_ENCODING.search(head)
    return decode(data, name, found[1].decode("ascii") if found else None)


def render(html: str, into: DocumentBuilder) -> None:
    """Add the content of a page or fragment; all of it if it is nothing but navigation."""
    tree = LexborHTMLParser(html)
    root = tree.body or tree.root
    if root is None:
        return
    _describe(tree, into)
    before = into.position
    for skipped in (_INVISIBLE | _BOILERPLATE, _INVISIBLE):
        if into.position == before:
            _Renderer(into, skipped).run(root)


def _describe(tree: LexborHTMLParser, into: DocumentBuilder) -> None:
    title = tree.css_first("head > title")
    if title is not None and not into.title:
        into.title = title.text()
    if tree.head is None:
        return
    for meta in tree.head.css("meta[content]"):
        key = (meta.attributes.get("property") or meta.attributes.get("name") or "").lower()
        content = meta.attributes.get("content") or ""
        if key in {"article:published_time", "date", "dc.date", "dcterms.date"}:
            into.date = into.date or iso_date(content)
        elif key == "keywords" and not into.tags:
            into.tags = tuple(word.strip() for word in content.split(",") if word.strip())
        elif key == "access" and not into.access:
            into.access = tuple(word.strip() for word in content.split(",") if word.strip())


@dataclass(slots=True)
class _Renderer:
    """Walks a tree and turns each run of inline text between two block borders into a block."""

    into: DocumentBuilder
    skipped: frozenset[str]
    pieces: list[str] = field(default_factory=list)
    kinds: list[BlockKind] = field(default_factory=lambda: ["paragraph"])
    preformatted: int = 0

    def run(self, root: LexborNode) -> None:
        """Walk the tree below ``root`` and add its blocks."""
        walk = _walk(root, self.skipped)
        for entering, node in walk:
            if node.tag == "-text":
                self.text(node.text_content or "")
            elif entering:
                self.enter(node)
            else:
                self.leave(node)
        self.flush("paragraph")

    def text(self, content: str) -> None:
        """Take in a piece of text."""
        self.pieces.append(content if self.preformatted else _SPACE.sub(" ", content))

    def enter(self, node: LexborNode) -> None:
        """Take in the start of an element."""
        tag = node.tag or ""
        if tag == "br":
            self.pieces.append("\n")
        elif tag == "img":
            self.pieces.append(f" {node.attributes.get('alt') or ''} ")
        elif tag in _BLOCKS:
            self.flush(self.kinds[-1])
            if tag in _ITEMS:
                self.kinds.append("list_item")
        if tag in _PREFORMATTED:
            self.preformatted += 1
        if tag == "table" and _is_data(node):
            self.table(node)

    def leave(self, node: LexborNode) -> None:
        """Take in the end of an element."""
        tag = node.tag or ""
        if tag in _HEADINGS:
            self.into.heading(self.take(), _HEADINGS[tag])
        elif tag in _PREFORMATTED:
            self.flush("code")
            self.preformatted -= 1
        elif tag in _BLOCKS:
            self.flush(self.kinds[-1])
        if tag in _ITEMS and len(self.kinds) > 1:
            self.kinds.pop()

    def table(self, node: LexborNode) -> None:
        """Add the rows of a table."""
        rows = [row for row in node.css("tr") if _visible(row)]
        caption = node.css_first("caption")
        if caption is not None:
            self.into.add(_inline(caption, self.skipped))
        grid = list(_grid(rows, self.skipped))
        named = bool(rows) and _names_columns(rows[0])
        names = grid[0] if named else None if len(grid) > 2 else ()
        write_table(self.into, grid[1:] if named else grid, names)

    def take(self) -> str:
        """Return the text collected so far and forget it."""
        content = "".join(self.pieces)
        self.pieces.clear()
        return content

    def flush(self, kind: BlockKind) -> None:
        """Add the text collected so far as a block, if there is any."""
        if not self.pieces:
            return
        content = self.take()
        if kind != "code":
            content = "\n".join(" ".join(line.split(" ")).strip() for line in content.split("\n"))
            content = re.sub(r"  +", " ", content)
        self.into.add(content, kind)


def _walk(root: LexborNode, skipped: frozenset[str]) -> Iterator[tuple[bool, LexborNode]]:
    """Yield (entering, node) in document order; a loop, since nesting has no bound in HTML."""
    node: LexborNode | None = root
    depth = 0
    while node is not None:
        visible = node.tag not in skipped and (node.tag == "-text" or _visible(node))
        if visible:
            yield True, node
        child = node.child if visible and not _whole(node) else None
        if child is not None:
            node, depth = child, depth + 1
            continue
        if visible and node.tag != "-text":
            yield False, node
        while node is not None and depth and node.next is None:
            node, depth = node.parent, depth - 1
            if node is not None:
                yield False, node
        node = node.next if node is not None and depth else None


def _whole(node: LexborNode) -> bool:
    return node.tag == "table" and _is_data(node)


def _visible(node: LexborNode) -> bool:
    attributes = node.attributes
    if not attributes:
        return True
    if "hidden" in attributes or attributes.get("role") == "navigation":
        return False
    return not _HIDDEN.search(attributes.get("style") or "")


def _is_data(table: LexborNode) -> bool:
    """Tell whether a table holds rows of values: two columns or more, nothing large inside."""
    if any(inner.mem_id != table.mem_id for inner in table.css(_LAYOUT)):
        return False
    rows = table.css("tr")
    widths = [len(row.css("td, th")) for row in rows]
    if max(widths, default=0) < 2:
        return False
    return all(len(cell.text()) <= _CELL_CHARS for cell in table.css("td, th"))


def _names_columns(row: LexborNode) -> bool:
    if row.parent is not None and row.parent.tag == "thead":
        return True
    cells = row.css("td, th")
    return bool(cells) and all(cell.tag == "th" or not cell.text().strip() for cell in cells)


def _grid(rows: list[LexborNode], skipped: frozenset[str]) -> Iterator[list[str]]:
    """Yield the cells' texts, each repeated over the columns and rows that it spans."""
    hanging: dict[int, tuple[int, str]] = {}
    for row in rows:
        line: list[str] = []
        for cell in row.css("td, th"):
            _hang(line, hanging)
            text = " ".join(_inline(cell, skipped).split())
            below = _span(cell, "rowspan") - 1
            for _ in range(_span(cell, "colspan")):
                if below > 0:
                    hanging[len(line)] = (below, text)
                line.append(text)
        _hang(line, hanging)
        yield line


def _hang(line: list[str], hanging: dict[int, tuple[int, str]]) -> None:
    while len(line) in hanging:
        left, text = hanging.pop(len(line))
        if left > 1:
            hanging[len(line)] = (left - 1, text)
        line.append(text)


def _span(cell: LexborNode, name: str) -> int:
    value = cell.attributes.get(name) or ""
    digits = value.strip()
    return min(max(int(digits), 1), _MOST_SPANNED) if digits.isdecimal() else 1


def _inline(node: LexborNode, skipped: frozenset[str]) -> str:
    pieces = []
    for entering, part in _walk(node, skipped):
        if part.tag == "-text":
            pieces.append(part.text_content or "")
        elif part.tag == "img" and entering:
            pieces.append(f" {part.attributes.get('alt') or ''} ")
        elif part.tag == "br" or part.tag in _BLOCKS:
            pieces.append(" ")
    return "".join(pieces)
