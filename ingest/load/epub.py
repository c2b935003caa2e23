"""EPUB: the chapters of the spine, each an XHTML page."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote
from zipfile import ZipFile

from ingest.load import webpage
from ingest.load.archive import open_archive, read_member
from ingest.load.builder import DocumentBuilder
from ingest.load.dates import iso_date
from ingest.load.markup import Element, attribute, local_name, parse_xml
from ingest.load.source import Source
from rag.errors import LoadError

_PAGES = frozenset(("application/xhtml+xml", "text/html", "application/xml"))


def read(source: Source, into: DocumentBuilder) -> None:
    """Add the chapters in reading order; title and date come from the package.

    Raises:
        LoadError: The file is damaged or has no package document.
    """
    with open_archive(source.path) as archive:
        package_path = _package_path(archive, source.path.name)
        package = parse_xml(read_member(archive, package_path), package_path)
        _describe(package, into)
        for name in _chapters(package, posixpath.dirname(package_path)):
            webpage.render(webpage.page_text(read_member(archive, name), name), into)


def _package_path(archive: ZipFile, name: str) -> str:
    container = parse_xml(read_member(archive, "META-INF/container.xml"), name)
    for rootfile in container.iter("{*}rootfile"):
        return attribute(rootfile, "full-path")
    raise LoadError("EPUB without a package document", name, "export the book again")


def _describe(package: Element, into: DocumentBuilder) -> None:
    for element in package.iter("{*}title", "{*}date", "{*}subject"):
        text = (element.text or "").strip()
        if local_name(element) == "title":
            into.title = into.title or text
        elif local_name(element) == "date":
            into.date = into.date or iso_date(text)
        elif text:
            into.tags = (*into.tags, text)


def _chapters(package: Element, folder: str) -> list[str]:
    pages = {
        attribute(item, "id"): attribute(item, "href")
        for item in package.iter("{*}item")
        if attribute(item, "media-type") in _PAGES
    }
    # Each once, as the format has it: a chapter read a million times would be a bomb.
    order = dict.fromkeys(attribute(item, "idref") for item in package.iter("{*}itemref"))
    paths = (unquote(pages[key]).partition("#")[0] for key in order if key in pages)
    return [posixpath.normpath(posixpath.join(folder, path)) for path in paths]
