"""Which loader reads which kind of file, and the one function that loads a document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, TypeAlias, cast

from ingest.load.archive import check_archive
from ingest.load.builder import DocumentBuilder
from ingest.load.limits import DEFAULT_LIMITS, ParseLimits
from ingest.load.source import Source
from rag.errors import EmptyDocumentError, LoadError, UnsupportedFormatError
from rag.types import Document

Loader: TypeAlias = Callable[[Source, DocumentBuilder], None]
Container: TypeAlias = Literal["plain", "zip"]


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of file: its loader as ``module:function``, imported on first use.

    The function is a ``Loader``: it reads the source and fills the builder.
    """

    loader: str
    media_type: str
    container: Container = "plain"

    def resolve(self) -> Loader:
        """Return the loader.

        Raises:
            UnsupportedFormatError: A library that it needs is not installed.
        """
        module, _, function = self.loader.partition(":")
        try:
            return cast("Loader", getattr(import_module(module), function))
        except ModuleNotFoundError as exc:
            library = (exc.name or "").partition(".")[0]
            if library not in _OPTIONAL:
                raise
            raise UnsupportedFormatError(
                f"{library} is needed for {self.media_type} and is not installed",
                module,
                "run pip install 'frugal-rag[formats]'",
            ) from exc


_OPTIONAL = frozenset(("docutils", "docx", "openpyxl", "pptx"))
_OFFICE = "application/vnd.openxmlformats-officedocument"
_PROGRAM = Format("ingest.load.program:read", "text/x-source")
_PLAIN = Format("ingest.load.plain:read", "text/plain")
_LOG = Format("ingest.load.plain:read_log", "text/plain")
_MARKDOWN = Format("ingest.load.markdown:read", "text/markdown")
_REST = Format("ingest.load.restructured:read", "text/x-rst")
_HTML = Format("ingest.load.webpage:read", "text/html")
_MHTML = Format("ingest.load.mail:read_archive", "multipart/related")
_WORD = Format("ingest.load.word:read", f"{_OFFICE}.wordprocessingml.document", "zip")
_SLIDES = Format("ingest.load.slides:read", f"{_OFFICE}.presentationml.presentation", "zip")
_SHEET = Format("ingest.load.sheets:read", f"{_OFFICE}.spreadsheetml.sheet", "zip")
_ODF = "application/vnd.oasis.opendocument"
_ODF_LOADER = "ingest.load.opendocument:read"

FORMATS: Mapping[str, Format] = {
    **dict.fromkeys((".md", ".markdown", ".mdx"), _MARKDOWN),
    **dict.fromkeys((".rst", ".rest"), _REST),
    **dict.fromkeys((".txt", ".text", ".adoc", ".asciidoc", ".org", ".tex"), _PLAIN),
    **dict.fromkeys((".vtt", ".srt"), _PLAIN),
    ".log": _LOG,
    **dict.fromkeys((".html", ".htm", ".xhtml"), _HTML),
    **dict.fromkeys((".mhtml", ".mht"), _MHTML),
    ".pdf": Format("ingest.load.pdf:read", "application/pdf"),
    **dict.fromkeys((".docx", ".docm", ".dotx"), _WORD),
    **dict.fromkeys((".pptx", ".pptm"), _SLIDES),
    **dict.fromkeys((".xlsx", ".xlsm"), _SHEET),
    ".csv": Format("ingest.load.delimited:read", "text/csv"),
    ".tsv": Format("ingest.load.delimited:read", "text/tab-separated-values"),
    ".json": Format("ingest.load.structured:read", "application/json"),
    **dict.fromkeys(
        (".jsonl", ".ndjson"), Format("ingest.load.structured:read_lines", "application/jsonl")
    ),
    ".xml": Format("ingest.load.markup:read", "application/xml"),
    ".epub": Format("ingest.load.epub:read", "application/epub+zip", "zip"),
    ".eml": Format("ingest.load.mail:read", "message/rfc822"),
    ".odt": Format(_ODF_LOADER, f"{_ODF}.text", "zip"),
    ".odp": Format(_ODF_LOADER, f"{_ODF}.presentation", "zip"),
    ".ods": Format(_ODF_LOADER, f"{_ODF}.spreadsheet", "zip"),
    ".ipynb": Format("ingest.load.notebook:read", "application/x-ipynb+json"),
    **dict.fromkeys((".py", ".pyi", ".js", ".mjs", ".jsx", ".ts", ".tsx", ".go"), _PROGRAM),
    **dict.fromkeys((".rs", ".java", ".kt", ".scala", ".swift", ".c", ".h", ".cc"), _PROGRAM),
    **dict.fromkeys((".cpp", ".hpp", ".cs", ".rb", ".php", ".pl", ".lua", ".r"), _PROGRAM),
    **dict.fromkeys((".jl", ".hs", ".ex", ".dart", ".sh", ".bash", ".zsh", ".ps1"), _PROGRAM),
    **dict.fromkeys((".sql", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf"), _PROGRAM),
    **dict.fromkeys((".properties", ".env", ".tf", ".proto", ".graphql", ".css"), _PROGRAM),
}

_REMEDIES = {
    **dict.fromkeys((".doc", ".rtf", ".pages", ".wpd"), "convert it to .docx, .pdf or .txt"),
    **dict.fromkeys((".xls", ".xlsb", ".numbers"), "convert it to .xlsx or .csv"),
    **dict.fromkeys((".ppt", ".key"), "convert it to .pptx or .pdf"),
    **dict.fromkeys((".msg", ".mbox", ".pst"), "export the messages as .eml"),
    **dict.fromkeys((".zip", ".gz", ".tar", ".7z", ".rar", ".bz2", ".xz"), "unpack it first"),
    **dict.fromkeys(
        (".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp", ".heic"),
        "run OCR on it and load the text",
    ),
    **dict.fromkeys((".mp3", ".mp4", ".wav", ".m4a", ".mov"), "transcribe it and load the text"),
    **dict.fromkeys((".chm", ".mobi", ".azw3", ".djvu", ".ps"), "convert it to .epub or .pdf"),
    ".parquet": "export it as .csv or .jsonl",
}


def load_document(
    path: Path,
    doc_id: str,
    *,
    formats: Mapping[str, Format] = FORMATS,
    limits: ParseLimits = DEFAULT_LIMITS,
) -> Document:
    """Return the file's text with its structure.

    This runs third-party parsers in the calling process: load files that you did not write
    through a ``ParserPool``, which bounds their time and memory and survives their crashes.

    Args:
        path: A regular file; its suffix says what it is.
        doc_id: The document's id.
        formats: What loads which suffix; ``{**FORMATS, ".x": Format(...)}`` adds one.
        limits: What the file may cost; time and memory are not bounded here.

    Raises:
        UnsupportedFormatError: Nothing here reads such a file, or its library is missing.
        ParseLimitError: The file, or what it unpacks to, is too large.
        EmptyDocumentError: It holds no text.
        LoadError: It is damaged, encrypted, or not what its suffix says.
    """
    source = Source(path, doc_id, limits)
    form = _format_of(source, formats)
    if source.check() == 0:
        raise EmptyDocumentError("empty file", path.name, "leave the file out")
    loader = form.resolve()
    if form.container == "zip":
        check_archive(source)
    builder = DocumentBuilder(limits)
    loader(source, builder)
    return builder.build(doc_id, form.media_type, path.stem)


def _format_of(source: Source, formats: Mapping[str, Format]) -> Format:
    if source.suffix in formats:
        return formats[source.suffix]
    if not source.suffix and _reads_as_text(source):
        return _PLAIN
    raise UnsupportedFormatError(
        f"no loader for {source.suffix or 'a binary file without a suffix'}",
        source.path.name,
        _REMEDIES.get(source.suffix, "convert it to a format that is supported, such as .txt"),
    )


def _reads_as_text(source: Source) -> bool:
    source.check()
    try:
        source.text()
    except LoadError:
        return False
    return True
