"""The generate stage: the smallest model writes, its sentences are checked as they come.

A sentence is said once it is kept, if the first kept sentence decides that the answer stands; else
the whole answer is held back until it is accepted. What cannot come to a good end is stopped: the
tokens that it would still write are not paid for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, TypeAlias

from rag.cited import CitedAnswer, CitedReader, Fault, Sentence
from rag.errors import BackendError, BackendRejectedError, ValueRangeError
from rag.generating import Ended, Generator, Listener, Message, Prompt, Sampling, TokensUsed
from rag.meter import RequestMeter, Step
from rag.prompting import PromptFile
from rag.protocols import Tokenizer
from rag.provider_calls import Bounds, closed
from rag.remote import Remote
from rag.results import Context, Question

Ungrounded: TypeAlias = Literal["remove", "escalate", "refuse"]

# Without support, in a row, after which nothing better is waited for. Source: chosen.
_MOST_DROPPED: Final = 2
# What is left out without a doubt about the rest.
_HARMLESS: Final[frozenset[Fault | None]] = frozenset(
    {None, "says nothing", "was cut off", "comes after too many sentences"}
)
_CONDENSING: Final = Sampling(max_tokens=64, stop=("\n",))  # one line, as a question is
_NO_SOURCES: Final = Context("", 0, 0, ())
_LEFT: Final = "nobody listened any more"


@dataclass(frozen=True, slots=True)
class Author:
    """A generator as it is configured: its ``name``, its bounds, and what a call takes elsewhere.

    ``remote`` returns None where the generator's work is metered in this process.
    """

    name: str
    generator: Generator
    bounds: Bounds
    remote: Callable[[TokensUsed], Remote | None]


@dataclass(frozen=True, slots=True)
class Desk:
    """What all generators write by: prompts, how answers are read, and the rules.

    ``ungrounded``: of sentences without support, each is removed, or the next generator is asked
    (the last one's are removed), or the first is enough for the whole answer to fall.
    ``prompt_tokens``: most that is sent [tokens].
    """

    prompt: PromptFile
    condensing: PromptFile | None
    reader: Callable[[Context], CitedReader]
    tokenizer: Tokenizer
    ungrounded: Ungrounded = "remove"
    prompt_tokens: int = 2048


@dataclass(frozen=True, slots=True)
class Brief:
    """What is to be written: the question, the turns before it, what to write from, and how."""

    question: str
    history: tuple[Message, ...]
    context: Context
    sampling: Sampling
    deadline: float


class Call(NamedTuple):
    """One call of a model, and the tokens that it took."""

    model: str
    used: TokensUsed


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it: ``answer`` is None where no model's answer stands, ``why`` then says why.

    ``failed``: the last provider's failure, where that is why. ``lasts``: whether it would be the
    same another time, that is no provider failed and somebody listened to the end.
    """

    answer: CitedAnswer | None
    calls: tuple[Call, ...] = ()
    why: str = ""
    failed: BackendError | None = None
    lasts: bool = True


@dataclass(slots=True)
class _Running:
    """One call of a generator: what it is sent, and what has come of it."""

    author: Author
    prompt: Prompt
    sampling: Sampling
    deadline: float
    text: str = ""
    ended: Ended | None = None
    failed: BackendError | None = None


@dataclass(slots=True)
class _Draft:
    """One generator's answer while it is written.

    ``strict``: one sentence without support is enough for it not to stand. ``doubted``: there was
    one; ``dropped``: so many of them in a row. ``left``: nobody listens any more.
    """

    running: _Running
    reader: CitedReader
    listener: Listener
    strict: bool
    doubted: bool = False
    dropped: int = 0
    left: bool = False


class Writer:
    """Writes answers from packed evidence; safe to use from several threads."""

    def __init__(self, authors: Sequence[Author], desk: Desk) -> None:
        if not authors:
            raise ValueRangeError("generators", "none", "configure one")
        self._authors = tuple(authors)
        self._desk = desk

    def write(self, brief: Brief, meter: RequestMeter, listener: Listener) -> Written:
        """Return the first answer that stands; each generator is a stage of the trace."""
        tried: list[Written] = []
        for author in self._authors:
            with meter.stage("generate") as step:
                tried.append(self._written(author, brief, listener, step))
            if self._settled(tried[-1], listener):
                break
        calls = tuple(call for each in tried for call in each.calls)
        return replace(tried[-1], calls=calls, lasts=all(each.lasts for each in tried))

    def condense(
        self, question: Question, deadline: float, meter: RequestMeter
    ) -> tuple[str | None, Call | None]:
        """Return a follow-up as a question that stands alone, and the call that it took.

        The smallest generator writes it. Both are None where no prompt is set for it, the text
        alone where nothing came of it.
        """
        file, author = self._desk.condensing, self._authors[0]
        if file is None or not question.history:
            return None, None
        brief = Brief(question.text, question.history, _NO_SOURCES, _CONDENSING, deadline)
        with meter.stage("condense") as step:
            try:
                running = self._running(author, file, brief)
            except BackendRejectedError as error:
                step.decision = f"{author.name}: left as it is, {error.what}"
                return None, None
            deque(_pieces(running), maxlen=0)
            used = self._account(running, step)
            text = " ".join(running.text.split()) if running.failed is None else ""
            step.decision = f"{_paid(author, used)}: {'rewritten' if text else 'left as it is'}"
        return text or None, Call(author.generator.name, used)

    def _settled(self, written: Written, listener: Listener) -> bool:
        """Whether no other generator is to be asked."""
        refused = self._desk.ungrounded == "refuse" and written.failed is None
        return written.answer is not None or refused or listener.gone()

    def _running(self, author: Author, file: PromptFile, brief: Brief) -> _Running:
        """Return a call that is yet to be made.

        Raises:
            BackendRejectedError: Its prompt is longer than may be sent.
        """
        desk, wanted = self._desk, brief.sampling.max_tokens
        most = min(desk.prompt_tokens, author.bounds.prompt_tokens(wanted))
        try:
            prompt = file.build(brief.question, brief.context, brief.history, desk.tokenizer, most)
        except ValueRangeError as exc:
            raise BackendRejectedError(exc.what, exc.value, exc.remedy) from exc
        return _Running(author, prompt, brief.sampling, brief.deadline)

    def _written(self, author: Author, brief: Brief, listener: Listener, step: Step) -> Written:
        desk, name = self._desk, author.generator.name
        if listener.gone():
            step.decision = f"{author.name} was not asked: {_LEFT}"
            return Written(None, why=_LEFT, lasts=False)
        try:
            running = self._running(author, desk.prompt, brief)
        except BackendRejectedError as error:
            step.decision = f"{author.name} was not asked: {error.what}"
            return Written(None, why=f"{name} was not asked: {error.what}", failed=error)
        draft = self._drafted(running, brief.context, listener)
        used = self._account(running, step)
        answer, why = draft.reader.answer(), _why_not(draft)
        step.decision = f"{_paid(author, used)}, {_outcome(draft, answer, why)}"
        if not why and draft.strict:
            for sentence in answer.kept:
                listener.say(sentence.shown)
        return Written(
            answer=None if why else answer,
            calls=(Call(name, used),),
            why=why and f"{name} gave no answer that stands: {why}",
            failed=running.failed if why else None,
            lasts=not draft.left and running.failed is None,
        )

    def _drafted(self, running: _Running, context: Context, listener: Listener) -> _Draft:
        """Return what a generator wrote, said as far as it is sure to stand."""
        desk, last = self._desk, running.author is self._authors[-1]
        strict = desk.ungrounded == "refuse" or (desk.ungrounded == "escalate" and not last)
        draft = _Draft(running, desk.reader(context), listener, strict)
        with closed(_sentences(draft)) as sentences:
            for sentence in sentences:
                _weigh(sentence, draft)
                if _hopeless(draft):
                    break
        return draft

    def _account(self, running: _Running, step: Step) -> TokensUsed:
        """Return the tokens of a call and note what it took; of one that was stopped, counted."""
        author, ended = running.author, running.ended
        used = ended.used if ended else None
        if used is None:
            written = self._desk.tokenizer.count(running.text)
            used = TokensUsed(running.prompt.tokens, None, written, reported=False)
        if running.failed is None:
            step.elsewhere(author.remote(used), ended.cpu_seconds if ended else 0.0)
        else:
            # What the other side had done by then is not told: nothing, up to all of it.
            longest = max(used.completion, running.sampling.max_tokens)
            most = author.remote(replace(used, completion=longest))
            step.elsewhere(most and most.at_most())
        return used


def _sentences(draft: _Draft) -> Iterator[Sentence]:
    """Yield what is written, judged; leaving it stops the generation."""
    reader, running = draft.reader, draft.running
    with closed(_pieces(running)) as pieces:
        for piece in pieces:
            draft.left = draft.listener.gone()
            if draft.left:
                return
            yield from reader.feed(piece)
            if reader.done:
                return
    yield from reader.end(cut=running.ended is None or running.ended.reason != "stop")


def _pieces(running: _Running) -> Iterator[str]:
    """Yield what is written, noting it and how it ended; leaving it stops the generation."""
    generator = running.author.generator
    try:
        with closed(generator.stream(running.prompt, running.sampling, running.deadline)) as pieces:
            for piece in pieces:
                if isinstance(piece, Ended):
                    running.ended = piece
                    return
                running.text += piece
                yield piece
    except BackendError as error:
        running.failed = error


def _weigh(sentence: Sentence, draft: _Draft) -> None:
    if sentence.fault not in _HARMLESS:
        draft.doubted = True
        draft.dropped += 1
    elif sentence.fault is None:
        draft.dropped = 0
        if not draft.strict:
            draft.listener.say(sentence.shown)


def _hopeless(draft: _Draft) -> bool:
    """Whether what may still come cannot change what becomes of the answer, or hardly will."""
    return (draft.doubted and draft.strict) or draft.dropped >= _MOST_DROPPED


def _why_not(draft: _Draft) -> str:
    """Return why an answer does not stand, empty if it does."""
    answer, failed = draft.reader.answer(), draft.running.failed
    if failed is not None and (answer.text is None or draft.strict):
        return f"it failed: {failed.what}"
    if answer.refused:
        return "it finds no answer in the sources"
    if answer.text is None:
        fault = next((each.fault for each in answer.dropped), None)
        return f"what it wrote {fault}" if fault else "it wrote nothing"
    if draft.doubted and draft.strict:
        fault = next(each.fault for each in answer.dropped if each.fault not in _HARMLESS)
        return f"a sentence {fault}"
    return ""


def _paid(author: Author, used: TokensUsed) -> str:
    how = "reported" if used.reported else "counted"
    return f"{author.name}: {used.prompt} + {used.completion} tokens ({how})"


def _outcome(draft: _Draft, answer: CitedAnswer, why: str) -> str:
    sentences = len(answer.kept) + len(answer.dropped)
    failed, kept = draft.running.failed, f"{len(answer.kept)} of {sentences} sentences kept"
    if why:
        return f"{kept}: {why}"
    if failed is not None:
        return f"{kept}: accepted as far as it came: {failed.what}"
    return f"{kept}: {f'stopped, {_LEFT}' if draft.left else 'accepted'}"
