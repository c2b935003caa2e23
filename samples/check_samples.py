"""Check the sample documents and the questions about them.

Needs the standard library only. Answers in PDF and DOCX files are looked up if ``pypdf`` and
``python-docx`` can be imported; otherwise those documents are skipped, and the report says so.
"""

from __future__ import annotations

import csv
import html
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DOCS = HERE / "docs"
EXPECTED_QUESTIONS = 120
EXPECTED_PER_SPLIT = 60
HOPS = 2
KINDS = frozenset(
    {"lookup", "paraphrase", "table", "number", "date", "identifier", "distractor", "two_hop"}
    | {"list", "yes_no", "unanswerable", "pdf", "docx", "html", "csv"}
)


def normalise(text: str) -> str:
    """Fold case and white space, and close the gap before a percent sign.

    Args:
        text: Any text.

    Returns:
        The text in the form used for comparison.
    """
    folded = re.sub(r"\s+", " ", text).casefold().strip()
    return re.sub(r"(?<=\d) %", "%", folded)


def read_pdf(path: Path) -> str | None:
    """Return the text of a PDF, or None if ``pypdf`` is missing."""
    try:
        from pypdf import PdfReader
    except ImportError:
        return None
    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def read_docx(path: Path) -> str | None:
    """Return the text of a DOCX with tables, or None if ``python-docx`` is missing."""
    try:
        from docx import Document
    except ImportError:
        return None
    document = Document(str(path))
    lines = [paragraph.text for paragraph in document.paragraphs]
    rows = [row for table in document.tables for row in table.rows]
    lines += [" | ".join(cell.text for cell in row.cells) for row in rows]
    return "\n".join(lines)


def read_document(path: Path) -> str | None:
    """Return the normalised text of a document.

    Args:
        path: The document.

    Returns:
        The text, or None if the package for its format is missing.
    """
    text: str | None
    if path.suffix == ".pdf":
        text = read_pdf(path)
    elif path.suffix == ".docx":
        text = read_docx(path)
    elif path.suffix == ".eml":
        message = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        body = message.get_body(("plain",))
        text = f"{message['subject']}\n{body.get_content() if body else ''}"
    else:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".html":
            text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    return None if text is None else normalise(text)


def load_queries() -> list[dict[str, Any]]:
    """Return the questions."""
    lines = (HERE / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def load_gold() -> dict[str, list[str]]:
    """Return the paths of the gold documents by question."""
    gold: dict[str, list[str]] = {}
    with (HERE / "qrels.tsv").open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            gold.setdefault(row["query-id"], []).append(row["corpus-id"])
    return gold


def check_shape(queries: list[dict[str, Any]], gold: dict[str, list[str]]) -> Iterator[str]:
    """Yield problems with ids, counts, kinds and gold documents.

    Args:
        queries: The questions.
        gold: Gold documents by question.
    """
    ids = [query["_id"] for query in queries]
    yield from (f"{i}: id used more than once" for i, n in Counter(ids).items() if n > 1)
    yield from (f"{i}: in qrels.tsv only" for i in gold.keys() - set(ids))
    if len(ids) != EXPECTED_QUESTIONS:
        yield f"{len(ids)} questions instead of {EXPECTED_QUESTIONS}"
    splits = Counter(query["meta"]["split"] for query in queries)
    if splits != {"dev": EXPECTED_PER_SPLIT, "test": EXPECTED_PER_SPLIT}:
        yield f"uneven split: {dict(splits)}"
    for path in sorted({path for paths in gold.values() for path in paths}):
        if not (DOCS / path).is_file():
            yield f"{path}: gold document does not exist"
    for query in queries:
        yield from check_question(query, gold.get(query["_id"], []))


def check_question(query: dict[str, Any], paths: list[str]) -> Iterator[str]:
    """Yield problems with the fields of one question.

    Args:
        query: The question.
        paths: Its gold documents.
    """
    name, kind, answerable = query["_id"], query["meta"]["kind"], query["meta"]["answerable"]
    if kind not in KINDS:
        yield f"{name}: unknown kind {kind}"
    if answerable == (kind == "unanswerable"):
        yield f"{name}: kind and answerable disagree"
    if answerable != bool(paths) or answerable != bool(query["answers"]):
        yield f"{name}: answers or gold documents do not fit answerable={answerable}"
    if answerable != bool(query["meta"]["evidence"]):
        yield f"{name}: evidence does not fit answerable={answerable}"
    if len(paths) != len(set(paths)) or (kind == "two_hop" and len(paths) != HOPS):
        yield f"{name}: wrong number of gold documents"


def check_text(query: dict[str, Any], texts: list[str | None]) -> Iterator[str]:
    """Yield answers and evidence that do not occur in the gold documents.

    The first answer must occur; further answers are other ways to write it. Answers of kind
    ``yes_no`` are not looked up, their evidence is.

    Args:
        query: The question.
        texts: Texts of its gold documents, None where a format cannot be read.
    """
    if None in texts:
        return
    wanted = list(query["meta"]["evidence"])
    if query["meta"]["kind"] != "yes_no":
        wanted += query["answers"][:1]
    for item in wanted:
        if not any(normalise(item) in (text or "") for text in texts):
            yield f"{query['_id']}: not in its gold documents: {item!r}"


def report(queries: list[dict[str, Any]], texts: dict[str, str | None]) -> None:
    """Print the counts.

    Args:
        queries: The questions.
        texts: Text by path, None where a format cannot be read.
    """
    formats = Counter(Path(path).suffix.lstrip(".") for path in texts)
    kinds = Counter(query["meta"]["kind"] for query in queries)
    print(f"documents: {len(texts)}", dict(sorted(formats.items())))
    print(f"questions: {len(queries)}", dict(sorted(kinds.items())))
    skipped = [path for path, text in texts.items() if text is None]
    if skipped:
        print("skipped, pypdf or python-docx missing:", ", ".join(skipped))


def main() -> int:
    """Run all checks.

    Returns:
        Zero if everything is in order, one otherwise.
    """
    queries, gold = load_queries(), load_gold()
    files = sorted(path for path in DOCS.rglob("*") if path.is_file())
    texts = {path.relative_to(DOCS).as_posix(): read_document(path) for path in files}
    problems = list(check_shape(queries, gold))
    for query in queries:
        found = [texts[path] for path in gold.get(query["_id"], []) if path in texts]
        if found:
            problems += check_text(query, found)
    report(queries, texts)
    for problem in problems:
        print("problem:", problem)
    print("failed" if problems else "all checks passed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
