"""What a follow-up's question finds alone, with what it takes up, and with the whole conversation.

MTRAG's last questions with gold passages and a conversation before them, in halves by conversation:
the constants of ``rag.followup`` were chosen on the first. The set has no rewritten questions.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Final, TypeAlias

from eval.bench.records import CACHE, RESULTS, provenance, table, write_record
from eval.datasets import Case, load_dataset
from eval.statistics import mean_estimate
from eval.systems.indexed import built_index, chunked, single
from rag.build import build_analyzer
from rag.followup import standalone
from rag.generating import Message, Role
from rag.protocols import IndexReader
from rag.results import Question
from rag.retrieve import Asked, Retrieval, retrieve
from rag.settings import Settings, load_settings
from rag.types import Filter

_PASSAGES = 5
_LONGEST = 2_000  # characters of a question; of more, the last are asked
_ROLES: Final[dict[str, Role]] = {"user": "user", "agent": "assistant"}
_Way: TypeAlias = Callable[[str, Sequence[Message]], str]


@dataclass(frozen=True, slots=True)
class Row:
    """Recall of the gold passages among the first five, with its 95 % interval.

    ``changed``: questions that are not asked as they stand; their recall, and theirs alone.
    """

    half: str
    way: str
    questions: int
    recall: float
    low: float
    high: float
    changed: int
    recall_of_changed: float | None
    alone_of_changed: float | None


def bench(data: Path, *, quick: bool) -> None:
    """Measure, print the table, and keep a record of a full run."""
    origin = provenance()
    settings = load_settings(tier="lexical", tokenizer="cl100k_base")
    dataset = load_dataset(data / "mtrag")
    asked = [case for case in dataset.cases if case.gold and case.meta["history"]]
    rows = []
    with tempfile.TemporaryDirectory(prefix="rag-bench-") as scratch:
        chunks = chunked(map(single, dataset.texts), settings)
        with built_index(Path(scratch), chunks, None, settings.tenant) as index:
            looking = _Looking(index, settings)
            for number, half in enumerate(("chosen on", "reported")):
                cases = [case for case in asked if _half(case) == number]
                rows += _rows(half, cases[:: 10 if quick else 1], looking)
    print(_table(rows))
    left_out = f"{len(dataset.cases) - len(asked)} questions without history or gold passages"
    body = {"data": dataset.sha256, "left_out": left_out, "rows": [asdict(row) for row in rows]}
    write_record("followup", origin | body, CACHE if quick else RESULTS)


class _Looking:
    """Looks questions up by their words, in the first search of the lexical tier."""

    def __init__(self, index: IndexReader, settings: Settings) -> None:
        self._index = index
        self._where = Filter(settings.tenant)
        self._budget = settings.budget_tokens
        self._analyzer = build_analyzer()
        self._retrieval = Retrieval(
            settings.candidates, settings.offered_passages, settings.dense_weight
        )

    def recall(self, text: str, case: Case) -> float:
        """Return the share of the gold passages, five at most, among the first five."""
        asked = Asked.prepare(text[-_LONGEST:], self._analyzer, None)
        question = Question(text, self._where, self._budget, 0.0)
        found = retrieve(asked, question, self._index, self._retrieval)
        first = list(dict.fromkeys(p.chunk.doc_id for p in found.passages))[:_PASSAGES]
        return len({*first} & {*case.gold_ids}) / min(len(case.gold_ids), _PASSAGES)


def _alone(question: str, _history: Sequence[Message]) -> str:
    return question


def _ours(question: str, history: Sequence[Message]) -> str:
    return standalone(question, history, build_analyzer()).text


def _after_the_last(question: str, history: Sequence[Message]) -> str:
    return " ".join([*_asked_before(history)[-1:], question])


def _after_all_questions(question: str, history: Sequence[Message]) -> str:
    return " ".join([*_asked_before(history), question])


def _after_all(question: str, history: Sequence[Message]) -> str:
    return " ".join([*(message.text for message in history), question])


def _asked_before(history: Sequence[Message]) -> list[str]:
    return [message.text for message in history if message.role == "user"]


_WAYS: Final[dict[str, _Way]] = {
    "the last question alone": _alone,
    "standalone": _ours,
    "behind the question before it, always": _after_the_last,
    "behind all questions": _after_all_questions,
    "behind the whole conversation": _after_all,
}


def _rows(half: str, cases: Sequence[Case], looking: _Looking) -> list[Row]:
    alone = [looking.recall(case.text, case) for case in cases]
    rows = []
    for name, way in _WAYS.items():
        texts = [way(case.text, _history(case)) for case in cases]
        recalls = [looking.recall(text, case) for text, case in zip(texts, cases, strict=True)]
        mean = mean_estimate(recalls)
        changed = [
            i for i, (text, c) in enumerate(zip(texts, cases, strict=True)) if text != c.text
        ]
        of_changed = fmean(recalls[i] for i in changed) if changed else None
        before = fmean(alone[i] for i in changed) if changed else None
        estimate = (mean.mean, mean.low, mean.high)
        rows.append(Row(half, name, len(cases), *estimate, len(changed), of_changed, before))
    return rows


def _history(case: Case) -> tuple[Message, ...]:
    said = case.meta["history"]
    return tuple(Message(_ROLES[each["speaker"]], each["text"]) for each in said)


def _half(case: Case) -> int:
    conversation = case.id.partition("<")[0]
    return int(hashlib.sha256(conversation.encode()).hexdigest(), 16) % 2


def _table(rows: Sequence[Row]) -> str:
    header = (
        "half",
        "asked",
        "questions",
        "recall@5 (95 %)",
        "changed",
        "recall of these",
        "alone",
    )
    return table(
        header,
        [
            (
                row.half,
                row.way,
                row.questions,
                f"{row.recall:.3f} ({row.low:.3f} to {row.high:.3f})",
                row.changed,
                "-" if row.recall_of_changed is None else f"{row.recall_of_changed:.3f}",
                "-" if row.alone_of_changed is None else f"{row.alone_of_changed:.3f}",
            )
            for row in rows
        ],
    )
