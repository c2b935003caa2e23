"""The kinds of files that ingest reads, by suffix: what may be sent to the service."""

from __future__ import annotations

from typing import Final

_TEXTS = ".md .markdown .mdx .rst .rest .txt .text .adoc .asciidoc .org .tex .vtt .srt .log"
_PAGES = ".html .htm .xhtml .mhtml .mht .pdf .epub .eml .xml"
_OFFICE = ".docx .docm .dotx .pptx .pptm .xlsx .xlsm .odt .odp .ods"
_TABLES = ".csv .tsv .json .jsonl .ndjson .ipynb"
_PROGRAMS = (
    ".py .pyi .js .mjs .jsx .ts .tsx .go .rs .java .kt .scala .swift .c .h .cc .cpp .hpp .cs .rb"
    " .php .pl .lua .r .jl .hs .ex .dart .sh .bash .zsh .ps1 .sql .yaml .yml .toml .ini .cfg .conf"
    " .properties .env .tf .proto .graphql .css"
)

# Those of ingest.load.registry, which this package does not import; a test compares them.
SUFFIXES: Final = frozenset(" ".join((_TEXTS, _PAGES, _OFFICE, _TABLES, _PROGRAMS)).split())
