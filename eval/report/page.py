"""The page: the verdict first, then what it rests on. One file, no network, no script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from eval.report.contents import Contents, swept_settings
from eval.report.costs import costs
from eval.report.markup import Html, element, joined
from eval.report.plots import PRICES, QUALITIES, frontier
from eval.report.provenance import provenance
from eval.report.questions import questions
from eval.report.tables import measures, swept_points
from eval.report.verdict import banner, checks, glance, outcome


@dataclass(frozen=True, slots=True)
class _Section:
    key: str
    title: str
    parts: tuple[Html, ...]
    note: str | None = None

    def html(self) -> Html:
        note = element("p", self.note) if self.note else None
        title = element("h2", self.title, id=self.key)
        return element("section", title, note, *self.parts, aria_labelledby=self.key)


def page(contents: Contents) -> str:
    """Return the report as an HTML document that needs nothing but itself."""
    style = files("eval.report").joinpath("report.css").read_text(encoding="utf-8")
    judged = contents.judged
    title = f"{judged.name} on {judged.record.data.name}: {outcome(contents.verdict)}"
    document = element("html", _head(title, style), _body(title, contents), lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def _head(title: str, style: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Html(style)),
    )


def _body(title: str, contents: Contents) -> Html:
    sections = [section for section in _sections(contents) if section.parts]
    links = (element("a", s.title, href=f"#{s.key}") for s in sections)
    top = [banner(contents), glance(contents), checks(contents)]
    return element(
        "body",
        element("a", "Skip to the verdict", href="#main", class_="skip"),
        element("header", element("h1", title), element("p", _asked(contents))),
        element(
            "main",
            *top,
            element("nav", joined(links, " "), aria_label="Parts of the report"),
            *(section.html() for section in sections),
            id="main",
            tabindex=-1,
        ),
        element("footer", element("p", _made(contents))),
    )


def _sections(contents: Contents) -> Iterator[_Section]:
    plots = (frontier(contents, q, p) for q in QUALITIES for p in PRICES)
    drawn = tuple(plot for plot in plots if plot)
    figures = [element("div", *drawn, class_="plots")] if drawn else []
    if drawn and contents.swept:
        figures.append(swept_points(contents))
    yield _Section("frontier", "What quality costs", tuple(figures), _plot_note(contents))
    note = "Means over the questions that have a value, with 95 % bootstrap intervals."
    yield _Section("measures", "All measures", tuple(measures(contents)), note)
    worst = tuple(questions(contents))
    note = f"Of {contents.judged.name}. Each opens to its answer and its context."
    yield _Section("questions", "The worst questions", worst, note)
    note = "Energy, gas and water are ranges: as little and as much as it may have been."
    yield _Section("costs", "Where it goes", tuple(costs(contents)), note)
    yield _Section("settings", "What was run", tuple(provenance(contents)))


def _plot_note(contents: Contents) -> str:
    note = (
        "Up and to the left is better. Filled marks, joined by the line, are efficient: no other "
        "record is as cheap and as good. Bars are 95 % intervals."
    )
    names = [name.replace("_", " ") for name in swept_settings(contents)]
    if names:
        note += f" Small marks are the same system at other settings: {' / '.join(names)}."
    if not any(entry.lines["prompt_tokens"].n for entry in contents.every):
        note += " No generator was called: the energy is without the reading of the context."
    return note


def _asked(contents: Contents) -> str:
    data, identity = contents.judged.record.data, contents.judged.record.identity
    return (
        f"{identity.questions:,} of {data.questions:,} questions over {data.documents:,} "
        f"documents. Left out: {data.left_out or 'nothing'}."
    )


def _made(contents: Contents) -> str:
    records = ", ".join(entry.record.identity.key for entry in contents.every)
    return f"Made by rag-eval report from the records {records}."
