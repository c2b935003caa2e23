"""reStructuredText: parsed without file access, without raw output, without losing Sphinx."""

from __future__ import annotations

import re
from typing import Any

from docutils import frontend, nodes, utils
from docutils.parsers.rst import Directive, Parser, directives, languages, roles

from ingest.load import plain
from ingest.load.builder import DocumentBuilder
from ingest.load.dates import iso_date
from ingest.load.source import Source
from ingest.load.tables import write_table

_DIRECTIVE = re.compile(r"\.\. ?(?:\|[^|\n]+\| )?([A-Za-z][\w.:+-]*?) ?::(?:\s|$)", re.MULTILINE)
_ROLE = re.compile(r":([A-Za-z][\w.:+-]*):`|`:([A-Za-z][\w.:+-]*):")
_TARGET = re.compile(r"\s*<[^<>]*>$", re.DOTALL)
_HEADER_FIELDS = re.compile(r"[A-Za-z][\w-]*: .*\n[A-Za-z][\w-]*:")
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,  # above "severe": nothing is printed
    "halt_level": 6,
    "warning_stream": False,
    "syntax_highlight": "none",
    "smart_quotes": False,
}


class _Unknown(Directive):
    """Stands in for any directive that docutils does not know and keeps what is in it."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the argument as a paragraph and the content, parsed as reST."""
        holder = nodes.container()
        if self.arguments:
            words, _ = self.state.inline_text(self.arguments[0], self.lineno)
            holder += nodes.paragraph("", "", *words)
        self.state.nested_parse(self.content, self.content_offset, holder, match_titles=True)
        return [holder]


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the file's blocks; header fields such as a PEP's give title and date.

    Raises:
        LoadError: The file is not text.
    """
    render(source.text(), into)


def render(text: str, into: DocumentBuilder) -> None:
    """Add the blocks of reST ``text``; text nested beyond reason is read as plain paragraphs."""
    settings = frontend.get_default_settings(Parser)
    for name, value in _SETTINGS.items():
        setattr(settings, name, value)
    document = utils.new_document("text", settings)
    _keep_unknown(text, document)
    try:
        Parser(rfc2822=bool(_HEADER_FIELDS.match(text))).parse(text, document)
    except RecursionError:
        plain.render(text, into)
        return
    DoctreeRenderer(into, document).children(document)


def _keep_unknown(text: str, document: nodes.document) -> None:
    """Register a stand-in for each directive and role of ``text`` that docutils lacks.

    Without one docutils turns the markup into an error message. Its registries belong to the
    process; a stand-in registered for one file serves the next.
    """
    english: Any = languages.get_language("en")
    for name in set(_DIRECTIVE.findall(text)):
        if directives.directive(name.lower(), english, document)[0] is None:
            directives.register_directive(name.lower(), _Unknown)
    for name in {first or second for first, second in _ROLE.findall(text)}:
        if roles.role(name.lower(), english, 0, document.reporter)[0] is None:
            roles.register_local_role(name.lower(), _unknown_role)


def _unknown_role(
    _name: str, rawtext: str, text: str, *_context: object
) -> tuple[list[Any], list[Any]]:
    """Return the words of ``:role:`words <target>``` and no messages."""
    words = utils.unescape(text)
    return [nodes.inline(rawtext, _TARGET.sub("", words).lstrip("~!") or words)], []


_SILENT = (
    nodes.comment,
    nodes.substitution_definition,
    nodes.target,
    nodes.pending,
    nodes.meta,
    nodes.label,
)
_CODE = (nodes.literal_block, nodes.doctest_block, nodes.math_block, nodes.raw)
_DATES = ("date", "created")


class DoctreeRenderer:
    """Turns a document tree into blocks."""

    def __init__(self, into: DocumentBuilder, document: nodes.document) -> None:
        self._into = into
        self._substitutions = document.substitution_defs
        self._depth = 0
        self._lead: str | None = None  # what stands before the next text: an item's number

    def children(self, node: nodes.Element) -> None:
        """Add the blocks of all children."""
        for child in node.children:
            if isinstance(child, nodes.Element):
                self._add(child)

    def _add(self, node: nodes.Element) -> None:
        if isinstance(node, _SILENT):
            return
        if isinstance(node, _CODE):
            self._into.add(node.astext(), "code")
        elif isinstance(node, nodes.system_message):
            self._failed(node)
        elif isinstance(node, nodes.image):
            self._into.add(str(node.get("alt", "")))
        elif isinstance(node, nodes.title):
            self._title(node)
        elif isinstance(node, nodes.TextElement):
            self._text(self._inline(node))
        else:
            self._structure(node)

    def _structure(self, node: nodes.Element) -> None:
        if isinstance(node, nodes.section):
            self._depth += 1
            self.children(node)
            self._depth -= 1
        elif isinstance(node, nodes.bullet_list | nodes.enumerated_list):
            self._list(node)
        elif isinstance(node, nodes.field | nodes.option_list_item | nodes.definition_list_item):
            self._labelled(node)
        elif isinstance(node, nodes.footnote | nodes.citation):
            self._lead = f"[{self._label(node)}] "
            self.children(node)
        elif isinstance(node, nodes.table):
            self._table(node)
        elif isinstance(node, nodes.line_block):
            self._into.add("\n".join(self._inline(line) for line in node.findall(nodes.line)))
        else:
            if isinstance(node, nodes.Admonition) and not isinstance(node, nodes.admonition):
                self._lead = f"{type(node).__name__.capitalize()}: "
            self.children(node)

    def _title(self, node: nodes.title) -> None:
        text = self._inline(node)
        if isinstance(node.parent, nodes.section):
            self._into.heading(text, self._depth)
        else:
            self._into.add(text)

    def _text(self, text: str) -> None:
        if self._lead is None:
            self._into.add(text)
            return
        in_list = not self._lead.endswith(": ") and not self._lead.startswith("[")
        self._into.add(self._lead + text, "list_item" if in_list else "paragraph")
        self._lead = None

    def _list(self, node: nodes.Element) -> None:
        start = int(node.get("start", 1))
        for number, item in enumerate(node.children, start):
            self._lead = f"{number}. " if isinstance(node, nodes.enumerated_list) else ""
            if isinstance(item, nodes.Element):
                self.children(item)
        self._lead = None

    def _labelled(self, node: nodes.Element) -> None:
        """Add a field, option or definition: its name and, if short, its body in one line."""
        *labels, body = (child for child in node.children if isinstance(child, nodes.Element))
        label = " ".join(self._inline(part) for part in labels)
        first = body.children[0] if body.children else None
        single = isinstance(first, nodes.paragraph)
        words = self._inline(first) if isinstance(first, nodes.paragraph) else ""
        if isinstance(node, nodes.field):
            self._describe(label.lower(), words)
        self._into.add(f"{label}: {words}" if words else label, "list_item")
        for child in body.children[1 if single else 0 :]:
            if isinstance(child, nodes.Element):
                self._add(child)

    def _describe(self, name: str, value: str) -> None:
        if name == "title" and not self._into.title:
            self._into.title = value
        elif name in _DATES and not self._into.date:
            self._into.date = iso_date(value)

    def _table(self, node: nodes.table) -> None:
        for title in node.findall(nodes.title):
            self._into.add(self._inline(title))
        header = [row for head in node.findall(nodes.thead) for row in head.children]
        body = [row for part in node.findall(nodes.tbody) for row in part.children]
        columns = [
            " ".join(words).strip() for words in zip(*map(self._cells, header), strict=False)
        ]
        write_table(self._into, map(self._cells, body), columns)

    def _cells(self, row: nodes.Node) -> list[str]:
        cells = []
        for entry in row.findall(nodes.entry):
            parts = [self._inline(child) for child in entry.children]
            cells += [" ".join(parts)] + [""] * int(entry.get("morecols", 0))
        return cells

    def _failed(self, message: nodes.system_message) -> None:
        """Keep the source that an error message quotes: markup that could not be run."""
        for child in message.children:
            if isinstance(child, nodes.literal_block):
                self._into.add(child.astext(), "code")

    def _label(self, node: nodes.Element) -> str:
        for child in node.findall(nodes.label):
            return str(child.astext())
        return str(next(iter(node.get("names", ())), "#"))

    def _inline(self, node: nodes.Node) -> str:
        """Return the words of inline markup; line ends of the source become spaces."""
        if isinstance(node, nodes.Text):
            return str(node.astext()).replace("\n", " ")
        if isinstance(node, nodes.footnote_reference | nodes.citation_reference):
            return f"[{node.astext() or node.get('refname', '#')}]"
        if isinstance(node, nodes.substitution_reference):
            definition = self._substitutions.get(node.get("refname", ""))
            return self._inline(definition) if definition is not None else str(node.astext())
        if isinstance(node, nodes.image):
            return str(node.get("alt", ""))
        if isinstance(node, nodes.label | nodes.system_message):
            return ""
        glue = "" if isinstance(node, nodes.TextElement) else " "
        return glue.join(self._inline(child) for child in node.children)
