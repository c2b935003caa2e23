"""What a push did, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ingest.agreement import Agreement
from ingest.report import StageCost, cost_lines
from rag.results import Impact


@dataclass(frozen=True, slots=True)
class PushReport:
    """The result of one push, over all tenants.

    Of ``chunks`` on the server ``copied`` were brought by this run, the others by one before it
    that was killed; ``discarded`` were there and not in the generation.
    """

    collection: str
    target: str
    generation: int
    chunks: int
    copied: int
    discarded: int
    agreement: Agreement
    stages: tuple[StageCost, ...]
    impact: Impact
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the report as one JSON object on one line."""
        return json.dumps(asdict(self))

    def to_text(self) -> str:
        """Return the report as people read it."""
        there = self.chunks - self.copied
        place = f"collection {self.collection}, on {self.target}"
        lines = [
            f"Generation {self.generation} published ({place})",
            f"  chunks      {self.copied:,} copied, {there:,} were there from a push before",
            f"  others      {self.discarded:,} removed",
            *_agreement_lines(self.agreement),
            *cost_lines(self.stages, self.impact, None),
            "  now         set index to server and sync with it from here on",
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _agreement_lines(agreement: Agreement) -> list[str]:
    if not agreement.questions:
        return ["  answers     not compared"]
    legs = f"words {agreement.words:.1%}"
    if agreement.vectors is not None:
        legs += f", vectors {agreement.vectors:.1%}"
    same = f"{agreement.contexts:.1%} of contexts the same"
    lines = [
        f"  answers     {agreement.questions:,} questions out of the documents: {same}",
        f"  found       {agreement.passages:.1%} of passages shared; of the first ten {legs}",
    ]
    if agreement.differing:
        lines.append(f"  differ      chunks {', '.join(agreement.differing)}")
    return lines
