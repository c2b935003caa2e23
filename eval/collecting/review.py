"""The judging of drafts in a terminal: each judgement is kept at once, so any end is good."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, TypeAlias

from eval.collecting.sheet import Draft
from eval.importing.table import parts

Save: TypeAlias = Callable[[Draft], None]
_Step: TypeAlias = Literal["stay", "next", "quit"]
KEYS: Final = (
    "a accept  c correct  u unanswerable  s skip | g/n grounded or not  h/x helpful or not | q quit"
)
_FLAGS: Final[dict[str, tuple[str, bool]]] = {
    "g": ("grounded", True),
    "n": ("grounded", False),
    "h": ("helpful", True),
    "x": ("helpful", False),
}


class Terminal(Protocol):
    """Where a person reads and writes."""

    def show(self, text: str) -> None:
        """Show lines of text."""

    def ask(self, prompt: str) -> str | None:
        """Return the line that was typed, or None when there is no more input."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many questions are judged, and how many are left."""

    judged: int
    left: int


def review(drafts: Sequence[Draft], terminal: Terminal, save: Save) -> Progress:
    """Show each draft that is not judged yet and keep what the person says of it.

    Args:
        drafts: All of them; those that are judged are passed over.
        terminal: Where the person sits.
        save: Called with the changed draft at each key that says something; has to keep it before
            it returns.

    Returns:
        What is judged when the drafts or the input end, or the person quits.
    """
    open_drafts = [draft for draft in drafts if not draft.judged]
    judged = len(drafts) - len(open_drafts)
    for number, draft in enumerate(open_drafts):
        terminal.show(f"\n{judged + 1} of {len(drafts)}\n{shown(draft)}")
        end = _judged(draft, terminal, save)
        if end == "quit":
            return Progress(judged, len(open_drafts) - number)
        judged += 1
    return Progress(judged, 0)


def shown(draft: Draft) -> str:
    """Return a draft as a person reads it."""
    lines = [f"Question: {draft.question}", f"Draft:    {draft.draft_answer or '(none)'}"]
    lines += [f"  {line}" for line in draft.quote.splitlines()]
    lines += [f"  [{number}] is {source}" for number, source in enumerate(draft.source, start=1)]
    if draft.confidence is not None:
        lines.append(f"Confidence {draft.confidence:.2f}{_automatic(draft)}")
    said = [name for name in ("grounded", "helpful") if getattr(draft, name) is not None]
    lines += [f"You said: {name} {'yes' if getattr(draft, name) else 'no'}" for name in said]
    return "\n".join(lines)


def _automatic(draft: Draft) -> str:
    grounded = draft.grounded_automatic
    return "" if grounded is None else f", grounded {grounded:.2f} by the program"


def _judged(draft: Draft, terminal: Terminal, save: Save) -> _Step:
    terminal.show(KEYS)
    while True:
        key = terminal.ask("> ")
        if key is None:
            return "quit"
        step, changed = _said(key.strip().lower(), draft, terminal)
        if changed != draft:
            save(changed)
            draft = changed
        if step != "stay":
            return step


def _said(key: str, draft: Draft, terminal: Terminal) -> tuple[_Step, Draft]:
    """Return where a key leads and what the draft is then."""
    if key in _FLAGS:
        if not draft.draft_answer and key in "gn":
            terminal.show("There is no draft that could be grounded.")
            return "stay", draft
        name, value = _FLAGS[key]
        terminal.show(f"{name}: {'yes' if value else 'no'}")
        changed = (
            replace(draft, grounded=value) if name == "grounded" else replace(draft, helpful=value)
        )
        return "stay", changed
    decide = _DECISIONS.get(key)
    if decide is not None:
        return decide(draft, terminal)
    terminal.show(f"One of these keys, and Enter:\n{KEYS}")
    return "stay", draft


def _unanswerable(draft: Draft, _: Terminal) -> tuple[_Step, Draft]:
    return "next", replace(draft, verdict="unanswerable", answerable=False)


def _skipped(draft: Draft, _: Terminal) -> tuple[_Step, Draft]:
    return "next", replace(draft, verdict="skip")


def _left(draft: Draft, _: Terminal) -> tuple[_Step, Draft]:
    return "quit", draft


def _accepted(draft: Draft, terminal: Terminal) -> tuple[_Step, Draft]:
    if not draft.draft_answer:
        terminal.show("There is no draft to accept: c gives the answer, u says there is none.")
        return "stay", draft
    return "next", replace(draft, verdict="accept", answerable=True)


def _corrected(draft: Draft, terminal: Terminal) -> tuple[_Step, Draft]:
    answer = terminal.ask("Right answer (several with | between; Enter: back): ")
    if answer is None or not answer.strip():
        return ("quit" if answer is None else "stay"), draft
    kept = ", ".join(draft.source)
    told = terminal.ask(f"Where it stands: numbers, or ids with | between (Enter: {kept}): ")
    if told is None:
        return "quit", draft
    source = sources(told, draft.source)
    if not source:
        terminal.show("A correction needs the document that holds the answer.")
        return "stay", draft
    corrected = replace(draft, corrected_answer=answer.strip(), source=source)
    return "next", replace(corrected, verdict="correct", answerable=True)


_DECISIONS: Final[dict[str, Callable[[Draft, Terminal], tuple[_Step, Draft]]]] = {
    "a": _accepted,
    "c": _corrected,
    "u": _unanswerable,
    "s": _skipped,
    "q": _left,
}


def sources(told: str, shown: Sequence[str]) -> tuple[str, ...]:
    """Return the document ids that a person named: by numbers, by ids with ``|``, all with Enter.

    Nothing where a number is none of those that are shown.
    """
    if not told.strip():
        return tuple(shown)
    if told.strip() in shown or not re.fullmatch(r"[\d\s,]+", told):
        return parts(told)
    numbers = [int(each) for each in re.findall(r"\d+", told)]
    if not all(1 <= number <= len(shown) for number in numbers):
        return ()
    return tuple(dict.fromkeys(shown[number - 1] for number in numbers))
