"""Exact answers without generation: EM and F1 by set and tier, against the whole sentence.

The weights of ``rag.phrases`` are fitted on every second SQuAD question; all that is printed of
SQuAD comes from the others, and no other set is fitted on. Verdicts are judged on PubMedQA, whose
abstracts lack their conclusions, and on the same abstracts with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from eval.bench import choices
from eval.bench.choices import TIERS, Asked, Asking, Corpus, asking
from eval.bench.corpora import SEED
from eval.bench.logistic import Matrix, fit_choice
from eval.bench.records import provenance, table, write_record
from eval.metrics.answers import exact_match, token_f1
from eval.metrics.words import answer_recall
from rag.answer import Choice
from rag.build import build_analyzer
from rag.kinds import aim, asks_for_verdict
from rag.phrases import WEIGHTS, Signs, ranked_phrases
from rag.settings import load_settings

_QUESTIONS = 1000
_QUICK_QUESTIONS = 200


@dataclass(frozen=True, slots=True)
class Scores:
    """One set in one tier, as shares of its answerable questions.

    ``holds``: the sentence holds an answer; ``sentence_f1``: of the sentence itself; ``exact``,
    ``f1``: of the exact answer, or of the sentence where there is none; ``shown``: the exact answer
    is sure enough to be shown; ``shown_exact``, ``shown_f1``, ``shown_holds``: of those alone, the
    last that an answer stands in it.
    """

    tier: str
    name: str
    questions: int
    holds: float
    sentence_f1: float
    exact: float
    f1: float
    shown: float
    shown_exact: float | None
    shown_f1: float | None
    shown_holds: float | None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Yes/no questions of a set in one tier: ``majority`` is the share of the commonest answer."""

    tier: str
    name: str
    questions: int
    majority: float
    given: float
    right: float | None


@dataclass(frozen=True, slots=True)
class Candidates:
    """One question's phrases: their texts, signs (phrases, signs), and whether each is right."""

    golds: tuple[str, ...]
    texts: tuple[str, ...]
    signs: Matrix
    right: Matrix


@dataclass(slots=True)
class _Tables:
    """What has been measured so far; ``ranked`` are phrases by set, ``half`` those to fit on."""

    scores: list[Scores]
    verdicts: list[Verdicts]
    ranked: dict[str, list[Candidates]]
    half: list[Candidates]


def bench(data: Path, *, quick: bool) -> None:
    """Print the tables and leave ``answers.json``."""
    begun, tables = provenance(), _Tables([], [], {}, [])
    for corpus in _corpora(data, _QUICK_QUESTIONS if quick else _QUESTIONS):
        for tier in TIERS:
            with asking(corpus, tier) as here:
                _measure(here, tier, tables)
    print(table(*_rows(tables.scores)), "\n")
    print(table(*_rows(tables.verdicts)), "\n")
    weights = fit_choice([(c.signs, c.right) for c in tables.half])
    print(f"fitted Signs{tuple(round(float(w), 2) for w in weights)}, shipped {WEIGHTS}\n")
    ablated = _ablations(tables.half, tables.ranked)
    print(table(("without", *tables.ranked), ablated))
    if not quick:
        body = {name: [asdict(v) for v in getattr(tables, name)] for name in ("scores", "verdicts")}
        write_record("answers", {**begun, "seed": SEED, **body, "ablations": ablated})


def _corpora(data: Path, count: int) -> Iterator[Corpus]:
    yield choices.squad(data, 2 * count)
    yield choices.passages(data, "nq_gold", count)
    yield choices.checklist(data, count)
    yield choices.passages(data, "pubmedqa", count)
    yield choices.concluded(data, count)


def _measure(here: Asking, tier: str, tables: _Tables) -> None:
    name = here.corpus.name
    if name.startswith("pubmedqa"):
        tables.verdicts.append(_verdicts(tier, name, here.everywhere()))
        return
    at_gold = here.at_gold()
    asked = at_gold if name == "checklist_squad" else here.everywhere()
    if name == "squad":
        if tier == "neural":
            tables.half = [c for c in _candidates(asked[::2]) if c.right.any()]
        at_gold, asked = at_gold[1::2], asked[1::2]
    tables.scores.append(_scores(tier, name, asked))
    if asked is not at_gold:
        tables.scores.append(_scores(tier, f"{name}, gold document", at_gold))
    if tier == "neural":
        tables.ranked[name] = _candidates(asked)


def _scores(tier: str, name: str, asked: Sequence[Asked]) -> Scores:
    threshold = load_settings().answer_threshold
    judged = [(a.case.answers, a.choice) for a in asked]
    sentences = [(golds, c.evidence.text if c else "") for golds, c in judged]
    exact = [(golds, _said(c)) for golds, c in judged]
    shown = [
        (golds, c.short.text)
        for golds, c in judged
        if c and c.short and c.short.confidence >= threshold and c.confidence >= threshold
    ]
    return Scores(
        tier=tier,
        name=name,
        questions=len(asked),
        holds=fmean(answer_recall(text, golds) for golds, text in sentences),
        sentence_f1=fmean(token_f1(text, golds) for golds, text in sentences),
        exact=fmean(exact_match(text, golds) for golds, text in exact),
        f1=fmean(token_f1(text, golds) for golds, text in exact),
        shown=len(shown) / len(asked),
        shown_exact=_mean([exact_match(text, golds) for golds, text in shown]),
        shown_f1=_mean([token_f1(text, golds) for golds, text in shown]),
        shown_holds=_mean([answer_recall(text, golds) for golds, text in shown]),
    )


def _said(choice: Choice | None) -> str:
    if choice is None:
        return ""
    return choice.short.text if choice.short else choice.evidence.text


def _verdicts(tier: str, name: str, asked: Sequence[Asked]) -> Verdicts:
    put = [a for a in asked if asks_for_verdict(a.case.text)]
    golds = [a.case.answers[0] for a in put]
    given = [(a.choice.short.text, a.case.answers[0]) for a in put if a.choice and a.choice.short]
    return Verdicts(
        tier=tier,
        name=name,
        questions=len(put),
        majority=max(golds.count(gold) for gold in golds) / len(golds),
        given=len(given) / len(put),
        right=_mean([said == gold for said, gold in given]),
    )


def _candidates(asked: Sequence[Asked]) -> list[Candidates]:
    """Return the phrases of every sentence that holds an answer."""
    analyzer, found = build_analyzer(), []
    for each in asked:
        wanted = aim(each.case.text, analyzer)
        if each.choice is None or wanted.kind == "account":
            continue
        sentence, golds = each.choice.evidence.text, each.case.answers
        if not answer_recall(sentence, golds):
            continue
        phrases = ranked_phrases(sentence, wanted, each.choice.idf, analyzer)
        phrases.sort(key=lambda phrase: phrase.span.start)  # so that no tie falls as shipped
        texts = tuple(sentence[p.span.start : p.span.end] for p in phrases)
        signs = np.array([p.signs for p in phrases], float).reshape(-1, len(Signs._fields))
        right = np.array([exact_match(text, golds) for text in texts], float)
        found.append(Candidates(golds, texts, signs, right))
    return found


def _ablations(half: Sequence[Candidates], ranked: dict[str, list[Candidates]]) -> list[list[str]]:
    """Return exact matches where the sentence holds the answer, with each sign left out."""
    rows = []
    for left_out in (None, *range(len(Signs._fields))):
        kept = [i for i in range(len(Signs._fields)) if i != left_out]
        weights = fit_choice([(c.signs[:, kept], c.right) for c in half])
        name = "nothing" if left_out is None else Signs._fields[left_out]
        shares = (
            fmean(_is_right(c, c.signs[:, kept] @ weights) for c in found)
            for found in ranked.values()
        )
        rows.append([name, *(_written(share) for share in shares)])
    return rows


def _is_right(candidates: Candidates, scores: Matrix) -> bool:
    return bool(len(scores)) and bool(candidates.right[int(np.argmax(scores))])


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _rows(values: Sequence[Scores] | Sequence[Verdicts]) -> tuple[list[str], list[list[str]]]:
    rows = [asdict(value) for value in values]
    header = [name.replace("_", " ") for name in rows[0]] if rows else []
    return header, [[_written(cell) for cell in row.values()] for row in rows]


def _written(cell: object) -> str:
    return "-" if cell is None else f"{cell:.3f}" if isinstance(cell, float) else str(cell)
