"""What an Office file says about itself."""

from __future__ import annotations

from ingest.load.archive import open_archive, read_member
from ingest.load.builder import DocumentBuilder
from ingest.load.dates import iso_date
from ingest.load.markup import local_name, parse_xml
from ingest.load.source import Source
from rag.errors import UnsupportedFormatError

_CORE = "docProps/core.xml"
_RELATIONS = "_rels/.rels"
_STRICT = b"http://purl.oclc.org/ooxml/"  # Source: ISO/IEC 29500-1, annex A
_PLACEHOLDERS = frozenset(("powerpoint presentation", "word document", "untitled", "document"))


def describe(source: Source, into: DocumentBuilder) -> None:
    """Take title, keywords and the day of the last change from the core properties.

    Read from the part itself: the libraries make up a title and the present day where a file
    has none.

    Raises:
        LoadError: The properties are damaged.
        UnsupportedFormatError: The file is in the strict variant, which the libraries misread.
    """
    with open_archive(source.path) as archive:
        if _STRICT in read_member(archive, _RELATIONS):
            raise UnsupportedFormatError(
                "Strict Open XML", source.path.name, "save it in the application's usual format"
            )
        if _CORE not in archive.namelist():
            return
        core = parse_xml(read_member(archive, _CORE), source.path.name)
    values = {local_name(item): (item.text or "").strip() for item in core.iter("{*}*")}
    title = values.get("title", "")
    into.title = None if title.lower() in _PLACEHOLDERS else title
    into.date = iso_date(values.get("modified")) or iso_date(values.get("created"))
    keywords = values.get("keywords", "").replace(";", ",").split(",")
    into.tags = tuple(word.strip() for word in keywords if word.strip())
