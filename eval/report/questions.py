"""The worst questions: what was asked, what is right, what came, and from which context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from eval.records import Record, Row
from eval.report.contents import Contents, Entry
from eval.report.marks import KINDS, marked, places
from eval.report.markup import Html, element
from eval.report.numbers import NO_BREAK, UNKNOWN, scale_of, whole

_SHOWN: Final = 5  # of each kind


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of question to look at; ``rows`` are places in the record, the worst first."""

    key: str
    title: str
    rows: tuple[int, ...]


def troubles(record: Record) -> tuple[Trouble, ...]:
    """Return the kinds of which there is a question, with all their questions.

    Of equally bad ones those come first of which the system was surer, then in the set's order.
    """
    kinds = (
        ("wrong", "Wrong: answered, but not as the gold says", _wrong),
        ("ungrounded", "Ungrounded: says what the evidence does not", _ungrounded),
        ("needless", "Needlessly refused: the question has an answer", _needless),
        ("unwarranted", "Wrongly answered: the question has no answer", _unwarranted),
        ("unsafe", "Unsafe: something was found in the answer", _unsafe),
        ("missed", "Missed: no gold answer stands in the context", _missed),
    )
    found = [Trouble(key, title, _worst(record, badness)) for key, title, badness in kinds]
    found.append(Trouble("dear", "Most expensive, by energy", _dearest(record)))
    return tuple(trouble for trouble in found if trouble.rows)


def questions(contents: Contents) -> Iterator[Html]:
    """Yield a section for each kind of trouble; a question is shown in full where it first is."""
    seen: set[int] = set()
    found = troubles(contents.judged.record)
    if found:
        yield _legend()
    for trouble in found:
        shown = trouble.rows[:_SHOWN]
        total = len(trouble.rows)
        count = f"{whole(total)} of {whole(len(contents.judged.record.rows))} questions"
        note = count if trouble.key != "dear" else f"the first {len(shown)}"
        note += f"; the worst {len(shown)}" if total > len(shown) and trouble.key != "dear" else ""
        items = [_again(contents, i) if i in seen else _whole(contents, i) for i in shown]
        seen |= set(shown)
        title = element("h3", trouble.title, " ", element("small", f"({note})"))
        yield element("section", title, *items, id=f"trouble-{trouble.key}")


def anchors(contents: Contents) -> Mapping[str, str]:
    """Return where each question that is shown stands on the page, by its id."""
    record = contents.judged.record
    shown = {i for trouble in troubles(record) for i in trouble.rows[:_SHOWN]}
    return {record.rows[i].id: f"#question-{i + 1}" for i in sorted(shown)}


def _worst(record: Record, badness: Callable[[Row], float | None]) -> tuple[int, ...]:
    bad = [(value, i) for i, row in enumerate(record.rows) if (value := badness(row)) is not None]
    return tuple(i for _, i in sorted(bad, key=lambda pair: -pair[0]))


def _wrong(row: Row) -> float | None:
    return _surely(row) if row.scores.get("right_when_answered") == 0 else None


def _ungrounded(row: Row) -> float | None:
    if row.scores.get("grounded") != 0:
        return None
    return 1 - (row.scores.get("groundedness") or 0.0)


def _needless(row: Row) -> float | None:
    refused = row.answerable and row.outcome.refused
    # It is worst where the answer stood in the context.
    return (row.scores.get("answer_recall") or 0.0) + _surely(row) if refused else None


def _unwarranted(row: Row) -> float | None:
    return _surely(row) if not row.answerable and row.outcome.refused is False else None


def _unsafe(row: Row) -> float | None:
    return len(row.findings) or None


def _missed(row: Row) -> float | None:
    return _surely(row) if row.scores.get("answer_recall") == 0 else None


def _surely(row: Row) -> float:
    return row.outcome.confidence or 0.0


def _dearest(record: Record) -> tuple[int, ...]:
    known = [(-value, i) for i, value in enumerate(record.values("joules")) if value is not None]
    return tuple(i for _, i in sorted(known))[:_SHOWN]


def _legend() -> Html:
    marks = (
        element("span", element("mark", words, class_=kind), " ") for kind, words in KINDS.items()
    )
    return element("p", "Marked in the contexts: ", *marks, class_="legend")


def _again(contents: Contents, i: int) -> Html:
    row = contents.judged.record.rows[i]
    link = element("a", f"{row.id}, shown above", href=f"#question-{i + 1}")
    return element("p", link, ": ", row.question, class_="again")


def _whole(contents: Contents, i: int) -> Html:
    row = contents.judged.record.rows[i]
    kind = element("small", f" {row.kind}") if row.kind else None
    summary = element("summary", element("b", row.id), " ", row.question, kind)
    facts = (
        each
        for name, value in _facts(contents, i)
        for each in (element("dt", name), element("dd", value))
    )
    return element("details", summary, element("dl", *facts), id=f"question-{i + 1}")


def _facts(contents: Contents, i: int) -> Iterator[tuple[str, str]]:
    row = contents.judged.record.rows[i]
    outcome = row.outcome
    yield "Gold answer", "; ".join(row.answers) if row.answerable else "none: cannot be answered"
    if row.gold:
        yield "Gold documents", ", ".join(row.gold)
    yield "Answer", _answer(row)
    if outcome.short:
        yield "Exact answer", outcome.short
    if outcome.calls:
        yield "Asked of models", "; ".join(outcome.calls)
    if outcome.citations:
        yield "Citations", _citations(row)
    if row.findings:
        yield "Findings", "; ".join(row.findings)
    yield "Measured", _measured(contents.judged, i)
    for entry in contents.beside:
        yield f"Beside: {entry.name}", _measured(entry, i)
    wanted = _wanted(row, row.evidence)
    yield "Marked", _counted(outcome.context, wanted)
    yield "Context", element("div", marked(outcome.context, wanted), class_="context")


def _answer(row: Row) -> str:
    outcome = row.outcome
    if outcome.answer is not None:
        return outcome.answer
    if outcome.refused is None:
        return "the system does not answer"
    return f"refused: {outcome.reason or 'no reason given'}"


def _citations(row: Row) -> Html:
    return element(
        "ul",
        *(
            element("li", element("q", c.text), f" {c.doc_id}, {c.start} to {c.end}")
            for c in row.outcome.citations
        ),
    )


def _measured(entry: Entry, i: int) -> str:
    row = entry.record.rows[i]
    joules = entry.record.values("joules")[i]
    scale = scale_of("J", [joules])
    scores = (
        ("answer in the context", _yes(row.scores.get("answer_recall"))),
        ("right", _yes(row.scores.get("right_when_answered"))),
        ("groundedness", _share(row.scores.get("groundedness"))),
        ("confidence", _share(row.outcome.confidence)),
        ("energy", None if joules is None else f"{scale.shown(joules)}{NO_BREAK}{scale.unit}"),
    )
    tokens = f"{whole(row.outcome.context_tokens)} of {whole(row.outcome.cap_tokens)} tokens"
    return "; ".join([tokens, *(f"{name} {value}" for name, value in scores if value)])


def _yes(score: float | None) -> str | None:
    return None if score is None else ("yes" if score else "no")


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _wanted(row: Row, evidence: Sequence[str]) -> Mapping[str, Sequence[str]]:
    cited = [citation.text for citation in row.outcome.citations]
    return {"answer": row.answers, "evidence": evidence, "cited": cited}


def _counted(context: str, wanted: Mapping[str, Sequence[str]]) -> str:
    found = (
        f"{KINDS[kind]} {sum(bool(places(context, wording)) for wording in wordings)} of "
        f"{len(wordings)}"
        for kind, wordings in wanted.items()
        if wordings
    )
    return "; ".join(found) or UNKNOWN
