"""Draft answers with sources, by the real pipeline over the user's own collection."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from eval.collecting.questions import folded
from eval.collecting.sheet import Draft
from eval.metrics.sentences import sentences
from eval.systems.subjects import neural
from rag.answering import Answering
from rag.build import build_groundedness, build_splitter
from rag.claims import grounded_share, statements
from rag.errors import DeadlineError
from rag.logs import question_hash
from rag.protocols import GroundednessScorer, SentenceSplitter
from rag.results import Answer, Question
from rag.settings import Settings
from rag.types import Filter


@dataclass(frozen=True, slots=True)
class Grounding:
    """How far answers are supported by their context, as evaluations score it.

    The service's own value holds an extracted answer against the quote that it is: always 1.
    """

    splitter: SentenceSplitter
    scorer: GroundednessScorer

    def share(self, answer: str, context: str) -> float:
        """Return the expected share of the answer's words that the context supports."""
        said, evidence = statements(answer, self.splitter), sentences(context, self.splitter)
        if not said or not evidence:
            return 0.0
        return grounded_share(said, self.scorer.score(said, evidence))


def built_grounding(settings: Settings) -> Grounding:
    """Return the scorer of ``rag-eval run``, whatever the tier.

    Raises:
        AssetError: The model is missing.
    """
    return Grounding(build_splitter(), build_groundedness(neural(settings)))


def drafted(
    questions: Iterable[str], answering: Answering, settings: Settings, grounding: Grounding
) -> Iterator[Draft]:
    """Yield a draft for each question, as ``rag ask`` would answer it.

    Ids are the same for the same question whenever it is drafted. A question that is not finished
    in its time has no draft, and a note that says so.

    Raises:
        RagError: The collection cannot be asked.
    """
    where = Filter(settings.tenant)
    for text in questions:
        deadline = time.monotonic() + settings.deadline_seconds
        budget, frugality = settings.budget_tokens, settings.frugality
        draft_id = f"q-{question_hash(folded(text))}"
        try:
            answer = answering.answer(Question(text, where, budget, deadline, frugality))
        except DeadlineError as exc:
            yield Draft(draft_id, text, note=f"not drafted: {exc.what}")
            continue
        yield _draft(draft_id, text, answer, grounding)


def _draft(draft_id: str, question: str, answer: Answer, grounding: Grounding) -> Draft:
    cited = answer.citations or answer.nearest
    sources = tuple(dict.fromkeys(citation.doc_id for citation in cited))
    said = answer.short.text if answer.short else answer.text or ""
    # The short answer is a piece of a sentence: what can be supported is the sentence.
    share = None if answer.text is None else grounding.share(answer.text, answer.context.text)
    return Draft(
        id=draft_id,
        question=question,
        draft_answer=_plain(said),
        source=sources,
        quote="\n".join(f"[{sources.index(c.doc_id) + 1}] {_plain(c.quote)}" for c in cited),
        confidence=round(answer.confidence, 3),
        grounded_automatic=None if share is None else round(share, 3),
    )


def _plain(text: str) -> str:
    return " ".join(text.replace("\0", "\ufffd").split())
