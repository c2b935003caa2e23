"""What it costs: by stage, a question and a grounded answer, and the work that is no question's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from eval.records import Indexing, Work
from eval.report.contents import Contents, Entry
from eval.report.markup import Html, element, joined
from eval.report.numbers import UNKNOWN, Scale, scale_of, whole
from eval.report.stages import stages
from eval.report.tables import framed, table
from eval.sci import differing_grids, rates, unknown_for
from eval.summary import Spent, per_grounded_answer, per_question
from rag.sci import STANDARD
from rag.types import Interval

# Field of what was spent, what it is called, its unit, and what it means that there is none.
_SPENT: Final = (
    ("context_tokens", "Context", "tokens", UNKNOWN),
    ("prompt_tokens", "Into the generator", "tokens", "no generator called"),
    ("completion_tokens", "Out of the generator", "tokens", "no generator called"),
    ("seconds", "Wall time", "s", UNKNOWN),
    ("cpu_seconds", "Processor time", "s", UNKNOWN),
    ("joules", "Energy", "J", UNKNOWN),
    ("gco2e", "Greenhouse gas, by location", "g", UNKNOWN),
    ("market_gco2e", "Greenhouse gas, by market", "g", UNKNOWN),
    ("embodied_gco2e", "Embodied: share of making the machine", "g", UNKNOWN),
    ("sci_gco2e", "SCI, for one of them", "gCO2e", UNKNOWN),
    ("litres", "Water", "L", UNKNOWN),
)


def costs(contents: Contents) -> Iterator[Html]:
    """Yield the tables of what was spent."""
    yield _totals([_Purse.of(entry) for entry in contents.compared])
    yield element("p", " ".join(_sci_notes(contents.compared)))
    yield from (found for entry in contents.compared if (found := stages(entry)))
    yield _apart(contents.compared)


@dataclass(frozen=True, slots=True)
class _Purse:
    """What a record spent on a question, and on a grounded answer."""

    entry: Entry
    question: Spent | None
    grounded: Spent | None

    @classmethod
    def of(cls, entry: Entry) -> _Purse:
        return cls(entry, per_question(entry.record), per_grounded_answer(entry.record))

    @property
    def both(self) -> tuple[Spent | None, Spent | None]:
        return self.question, self.grounded

    def cell(self, spent: Spent | None, field: str, scale: Scale, none: str) -> Html:
        """Return one amount, or why there is none."""
        if spent is None:
            none = "no grounded answer" if self.entry.answers else "does not answer"
        bounds = _bounds(spent, field)
        kind = None if bounds else "none"
        return element("span", scale.interval(bounds) if bounds else none, class_=kind)


def _bounds(spent: Spent | None, field: str) -> Interval | None:
    value = getattr(spent, field) if spent else None
    return value if isinstance(value, Interval | None) else Interval(value, value)


def _totals(purses: Sequence[_Purse]) -> Html:
    first = element(
        "tr",
        element("td"),
        *(element("th", p.entry.name, scope="colgroup", colspan=2) for p in purses),
    )
    heads = (element("th", words, scope="col") for purse in purses for words in _counted(purse))
    second = element("tr", element("th", "Spent", scope="col"), *heads)
    rows = (_total_row(purses, *spent) for spent in _SPENT)
    caption = "For a question, and for a grounded answer: all that was spent, by how many there are"
    return framed(caption, element("thead", first, second), element("tbody", *rows))


def _counted(purse: _Purse) -> Iterator[Html]:
    for spent, words in zip(purse.both, ("a question", "a grounded answer"), strict=True):
        yield joined((words, element("small", f"of {whole(spent.count) if spent else 0}")))


def _total_row(purses: Sequence[_Purse], field: str, name: str, unit: str, none: str) -> Html:
    bounds = [_bounds(spent, field) for purse in purses for spent in purse.both]
    scale = scale_of(unit, [each.high for each in bounds if each])
    cells = (purse.cell(spent, field, scale, none) for purse in purses for spent in purse.both)
    head = element("th", f"{name} [{scale.unit}]", scope="row")
    return element("tr", head, *(element("td", cell) for cell in cells))


def _sci_notes(entries: Sequence[Entry]) -> Iterator[str]:
    yield (
        f"SCI is the software carbon intensity (E x I + M) / R of {STANDARD}: greenhouse gas of "
        "the energy, by location, and the share of making the machine; R is one question, or one "
        "grounded answer."
    )
    for entry in entries:
        found = rates(entry.record)
        if found.missing:
            yield f"{entry.name}: {unknown_for(found)}."
        elif found.gco2e_per_kwh is not None:
            intensity = Scale("gCO2e/kWh").shown(found.gco2e_per_kwh)
            yield f"{entry.name}: counted at {intensity} gCO2e/kWh."
    if differing_grids([entry.record for entry in entries]):
        yield "Careful: the grids differ, so greenhouse gas and SCI cannot be compared."


def _apart(entries: Sequence[Entry]) -> Html:
    measured = [entry.record.measured for entry in entries]
    works = [w for each in measured for w in (each.indexing, each.evaluation) if w]
    energy = scale_of("J", [work.joules.high for work in works])
    rows = [
        [
            entry.name,
            *_work(each.indexing, energy),
            _cached(each.indexing),
            *_work(each.evaluation, energy),
        ]
        for entry, each in zip(entries, measured, strict=True)
    ]
    head = (
        "Record",
        "Indexing, processor time [s]",
        f"Indexing, energy [{energy.unit}]",
        "Vectors that came from the cache",
        "Scoring, processor time [s]",
        f"Scoring, energy [{energy.unit}]",
    )
    caption = "Apart from the questions: building the index, and the evaluation itself"
    return table(caption, head, rows)


def _work(work: Work | None, energy: Scale) -> list[str]:
    if work is None:
        return [UNKNOWN, UNKNOWN]
    return [Scale("s").shown(work.cpu_seconds), energy.interval(work.joules)]


def _cached(indexing: Indexing | None) -> str:
    return f"{whole(indexing.from_cache)} of {whole(indexing.chunks)}" if indexing else UNKNOWN
