"""The condense stage: a follow-up becomes a question that stands alone, by rules or by a model."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from rag.followup import is_of, standalone
from rag.meter import RequestMeter
from rag.protocols import Analyzer
from rag.results import Question
from rag.writing import Call, Writer

# Of the time left, so that a slow model does not cost the answer. Source: chosen.
_SHARE_OF_TIME = 0.5


@dataclass(frozen=True, slots=True)
class Condenser:
    """Makes questions stand alone; ``writer`` is None where no model may be asked."""

    analyzer: Analyzer
    writer: Writer | None

    def condensed(self, question: Question, meter: RequestMeter) -> tuple[Question, Call | None]:
        """Return a question that stands alone, and the call of a model where one was asked.

        The history stays with a question that leans on it, for whoever writes the answer; a
        model's rewriting needs it no more. That is taken only if all its words were said.
        """
        if not question.history:
            return question, None
        with meter.stage("condense") as step:
            alone = standalone(question.text, question.history, self.analyzer)
            step.decision = alone.how
        if not alone.changed:
            return replace(question, history=()), None
        if self.writer is None or question.generate == "never" or question.without("generate"):
            return replace(question, text=alone.text), None
        now = time.monotonic()
        deadline = now + _SHARE_OF_TIME * (question.deadline - now)
        text, call = self.writer.condense(question, deadline, meter)
        if text and is_of(text, question.text, question.history, self.analyzer):
            return replace(question, text=text, history=()), call
        return replace(question, text=alone.text), call
