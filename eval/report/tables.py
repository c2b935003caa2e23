"""Tables: what is measured, with intervals, a column a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from eval.measures import MEASURES, Group, Measure
from eval.report.contents import Contents, Entry
from eval.report.markup import Html, element, joined
from eval.report.numbers import NO_BREAK, UNKNOWN, Scale, scale_of, whole

GROUPS: Final[tuple[tuple[Group, str], ...]] = (
    ("retrieval", "Retrieval: are the right documents found?"),
    ("context", "Context: does what is packed hold the answer?"),
    ("answer", "Answers: are they right, cited, and refused where they should be?"),
    ("groundedness", "Groundedness: is what is said in the evidence?"),
    ("safety", "Safety: is anything said that should not be?"),
    ("cost", "Cost a question"),
)
_PLOTTED: Final = ("answer_recall", "groundedness", "context_tokens", "joules")
_OF_ANSWERS: Final = frozenset({"answer", "groundedness", "safety"})
_OF_GENERATORS: Final = frozenset({"prompt_tokens", "completion_tokens"})
_BETTER: Final = {"higher": "higher is better", "lower": "lower is better"}


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """Return a table whose first column names its rows, in a frame that scrolls by keyboard."""
    top = element("tr", *(element("th", name, scope="col") for name in head))
    body = (
        element("tr", element("th", row[0], scope="row"), *(element("td", v) for v in row[1:]))
        for row in rows
    )
    return framed(caption, element("thead", top), element("tbody", *body))


def framed(caption: str, *parts: Html) -> Html:
    """Return a table of ready parts, in a frame that scrolls by keyboard."""
    whole_table = element("table", element("caption", element("span", caption)), *parts)
    return element(
        "div", whole_table, class_="scroll", role="region", aria_label=caption, tabindex=0
    )


def measures(contents: Contents) -> Iterator[Html]:
    """Yield a table for each group of metrics that some record has values for."""
    for group, caption in GROUPS:
        members = [measure for measure in MEASURES.values() if measure.group == group]
        entries = contents.compared
        if any(entry.lines[m.name].n for entry in entries for m in members):
            head = ("Measure", *(entry.name for entry in entries))
            yield table(caption, head, (_row(measure, entries) for measure in members))


def swept_points(contents: Contents) -> Html:
    """Return every record with what the plots show of it, as a table that opens."""
    members = [MEASURES[name] for name in _PLOTTED]
    scales = [
        scale_of(measure.unit, [entry.lines[measure.name].mean for entry in contents.every])
        for measure in members
    ]
    pairs = list(zip(members, scales, strict=True))
    head = ("Record", *(f"{measure.label} [{scale.unit}]" for measure, scale in pairs))
    rows = (
        (e.name, *(cell(e, measure, scale) for measure, scale in pairs)) for e in contents.every
    )
    summary = element("summary", "The points of the plots as a table")
    return element("details", summary, table("The points of the plots", head, rows))


def missing(entry: Entry, measure: Measure) -> str:
    """Return in words why a record has no value for a measure."""
    if not entry.answers and (measure.group in _OF_ANSWERS or measure.name == "unused_context"):
        return "does not answer"
    return "no generator called" if measure.name in _OF_GENERATORS else UNKNOWN


def cell(entry: Entry, measure: Measure, scale: Scale) -> Html:
    """Return a record's mean with its interval and n, or why there is none."""
    line = entry.lines[measure.name]
    if line.mean is None:
        return element("span", missing(entry, measure), class_="none")
    spread = f"{scale.ranged(line.low, line.high)}; n {whole(line.n)}".replace(" ", NO_BREAK)
    spread = spread.replace(f";{NO_BREAK}", "; ")
    return joined((element("b", scale.shown(line.mean)), element("small", spread)))


def _row(measure: Measure, entries: Sequence[Entry]) -> list[Html]:
    lines = [entry.lines[measure.name] for entry in entries]
    scale = scale_of(measure.unit, [line.mean for line in lines])
    unit = "" if scale.unit == "share" else f", {scale.unit}"
    note = f"{measure.of}{unit}; {_BETTER[measure.better]}"
    name = joined((measure.label, element("small", note)))
    return [name, *(cell(entry, measure, scale) for entry in entries)]
