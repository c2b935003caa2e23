"""Markdown: CommonMark with tables, and a simple YAML front matter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.load import plain, webpage
from ingest.load.builder import DocumentBuilder
from ingest.load.dates import iso_date
from ingest.load.source import Source
from ingest.load.tables import write_table

_MOST_NESTED = 100  # deeper blocks are dropped by the parser, so such files are read as text
_FRONT = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_FRONT_LINE = re.compile(r"([\w-]+)[ \t]*:(?:[ \t]+(.*))?$")
_ACCESS_LINE = re.compile(r"^[ \t]*[\"']?access[\"']?[ \t]*:.*", re.IGNORECASE | re.MULTILINE)
_TAG_NAME = re.compile(r"</?([A-Za-z][\w-]*)|<!|<\?")
# Source: HTML Living Standard, index of elements; other names in angle brackets are content.
_HTML_ELEMENTS = frozenset(
    "a abbr address article aside audio b base bdi bdo big blockquote body br button canvas "
    "caption center cite code col colgroup data datalist dd del details dfn dialog div dl dt em "
    "embed fieldset figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hgroup hr "
    "html i iframe img input ins kbd label legend li link main map mark math menu meta meter nav "
    "noscript object ol optgroup option output p param picture pre progress q rp rt ruby s samp "
    "script section select slot small source span strike strong style sub summary sup svg table "
    "tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr".split()
)


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the file's blocks; title, date, tags and access come from its front matter.

    Raises:
        LoadError: The file is not text.
    """
    text = source.text()
    front = _FRONT.match(text)
    if front and _read_front_matter(front[1], into):
        text = text[front.end() :]
    elif front and (line := _ACCESS_LINE.search(front[1])):
        # Labels that cannot be made out must not pass for none: this one is refused.
        into.access = (f"? {line[0]}",)
    render(text, into)


def render(text: str, into: DocumentBuilder) -> None:
    """Add the blocks of Markdown ``text``; links are read as their words."""
    tokens = _parser().parse(text)
    if any(token.level >= _MOST_NESTED - 2 for token in tokens):
        plain.render(text, into)
        return
    _Renderer(into).run(tokens)


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"maxNesting": _MOST_NESTED}).enable("table")


@dataclass(slots=True)
class _Renderer:
    """Turns the parser's flat token list into blocks."""

    into: DocumentBuilder
    lead: str | None = None  # what stands before the next text: an item's number
    row: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def run(self, tokens: Sequence[Token]) -> None:
        """Add all blocks."""
        for index, token in enumerate(tokens):
            if token.type == "inline":
                self.inline(tokens[index - 1], token)
            elif token.type == "list_item_open":
                self.lead = f"{token.info}{token.markup} " if token.info else ""
            elif token.type in {"fence", "code_block"}:
                self.into.add(token.content, "code")
            elif token.type == "html_block":
                self.html(token.content)
            elif token.type == "tr_close":
                self.rows.append(self.row)
                self.row = []
            elif token.type == "table_close":
                write_table(self.into, self.rows[1:], self.rows[0])
                self.rows = []

    def inline(self, opener: Token, token: Token) -> None:
        """Add the words of one heading, cell, item or paragraph."""
        text = inline_text(token.children or ())
        if opener.type in {"th_open", "td_open"}:
            self.row.append(text)
        elif opener.type == "heading_open" and opener.level == 0:
            self.into.heading(text, int(opener.tag[1:]))
        elif self.lead is not None:
            self.into.add(self.lead + text if text.strip() else "", "list_item")
            self.lead = None
        else:
            self.into.add(text)

    def html(self, content: str) -> None:
        """Add what a block of HTML shows."""
        found = _TAG_NAME.search(content)
        if found and found[1] and found[1].lower() not in _HTML_ELEMENTS:
            self.into.add(content)
        else:
            webpage.render(content, self.into)


def inline_text(tokens: Sequence[Token]) -> str:
    """Return the words that a reader sees of inline markup."""
    pieces = []
    for token in tokens:
        if token.type in {"text", "code_inline", "text_special", "image"}:
            pieces.append(token.content)
        elif token.type == "softbreak":
            pieces.append(" ")
        elif token.type == "hardbreak":
            pieces.append("\n")
        elif token.type == "html_inline":
            pieces.append(_inline_html(token.content))
    return "".join(pieces)


def _inline_html(tag: str) -> str:
    found = _TAG_NAME.match(tag)
    name = (found[1] or "").lower() if found else ""
    if name == "br":
        return "\n"
    return "" if not name or name in _HTML_ELEMENTS else tag


def _read_front_matter(front: str, into: DocumentBuilder) -> bool:
    """Take title, date, tags and access from ``key: value`` lines; False if it is not made so."""
    values: dict[str, list[str]] = {}
    key = None
    for line in front.split("\n"):
        found = _FRONT_LINE.match(line)
        if found:
            key = found[1].lower()
            values[key] = _items(found[2] or "")
        elif key is not None and line.lstrip().startswith("- "):
            values[key].append(_unquoted(line.lstrip()[2:]))
        elif line.strip() and not line.startswith(("#", " ", "\t")):
            return False
    if not values:
        return False
    into.title = next(iter(values.get("title", ())), None)
    into.date = iso_date(next(iter(values.get("date", ())), None))
    into.tags = tuple(values.get("tags") or values.get("keywords") or ())
    into.access = tuple(values.get("access", ()))
    return True


def _items(value: str) -> list[str]:
    value = value.strip()
    if value.startswith("[") and value.endswith("]"):
        return [_unquoted(item) for item in value[1:-1].split(",") if item.strip()]
    return [_unquoted(value)] if value else []


def _unquoted(value: str) -> str:
    value = value.strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value
