import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.adapters.scripted_generator import Script, ScriptedGenerator
from rag.build import build_groundedness, build_splitter, build_tokenizer
from rag.cited import CitedReader, Demands
from rag.errors import BackendError, BackendTimeoutError, ValueRangeError
from rag.generating import Message, Sampling, TokensUsed
from rag.listening import NOBODY
from rag.meter import RequestMeter
from rag.place import Place
from rag.prompting import Prompts
from rag.provider_calls import Bounds
from rag.remote import Remote
from rag.results import Context, Evidence, Question
from rag.settings import load_settings
from rag.types import Chunk, Filter, Interval
from rag.writing import Author, Brief, Call, Desk, Ungrounded, Writer, Written

TOKENIZER = build_tokenizer(load_settings())
SCORER, SPLITTER = build_groundedness(None), build_splitter()
BOUNDS = Bounds(30.0, 512, 2048)
PLACE = Place(None, None, None, 1.0)
BROKEN = BackendError("the provider broke off", "no end was sent", "ask again")
TRUE = "The X200 pump has a warranty of 24 months [1]."
ALSO_TRUE = "The pump weighs 35 kg [2]."
FALSE = "Napoleon invented the pump on the moon [1]."
NOTHING = "---"
KINDS = {
    "grounded": Script(TRUE),
    "partly": Script(f"{TRUE} {FALSE}"),
    "not": Script(FALSE),
    "refused": Script("NONE"),
    "empty": Script(""),
    "cut": Script(f"{TRUE} The pump weighs", reason="length"),
    "failing before": Script(fails=BROKEN),
    "failing after": Script(f"{TRUE} The pump", fails=BROKEN),
}
RULES: tuple[Ungrounded, ...] = ("remove", "escalate", "refuse")


@dataclass
class Ear:
    """Remembers what was said; goes after so many looks whether it is gone."""

    stays: int = 10**9
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def gone(self) -> bool:
        self.stays -= 1
        return self.stays < 0

    @property
    def heard(self) -> str:
        return "".join(self.said)


@pytest.fixture(scope="module")
def context(make_chunk: Callable[..., Chunk]) -> Context:
    texts = ("The X200 pump has a warranty of 24 months.", "The pump weighs 35 kg.")
    chunks = [make_chunk([text], doc_id=f"doc{number}") for number, text in enumerate(texts, 1)]
    evidence = tuple(
        Evidence(chunk, 0, 0.5, None, 1.0, source=n) for n, chunk in enumerate(chunks, 1)
    )
    return Context("\n".join(texts), 20, 100, evidence)


def reader(context: Context) -> CitedReader:
    return CitedReader(SCORER, context, SPLITTER, Demands())


DESK = Desk(Prompts().load("answer-1"), Prompts().load("condense-1"), reader, TOKENIZER)


def here(_: TokensUsed) -> Remote | None:
    return None


def author(generator: ScriptedGenerator, name: str = "small", bounds: Bounds = BOUNDS) -> Author:
    return Author(name, generator, bounds, here)


def brief_of(context: Context, **more: object) -> Brief:
    known = Brief("How long?", (), context, Sampling(), time.monotonic() + 60)
    return replace(known, **more)  # type: ignore[arg-type]


def run(
    scripts: Sequence[Script],
    context: Context,
    rule: Ungrounded = "remove",
    ear: Ear | None = None,
) -> tuple[Written, list[ScriptedGenerator], RequestMeter]:
    """Return what generators with a script each write, the smallest first."""
    generators = [ScriptedGenerator(each, name=f"m{n}") for n, each in enumerate(scripts, 1)]
    writer = Writer(
        [author(each, f"a{n}") for n, each in enumerate(generators, 1)],
        replace(DESK, ungrounded=rule),
    )
    meter = RequestMeter(PLACE)
    written = writer.write(brief_of(context), meter, ear or NOBODY)
    return written, generators, meter


def decisions(meter: RequestMeter) -> list[str]:
    assert all(step.stage in ("generate", "condense") for step in meter.trace())
    return [step.decision for step in meter.trace()]


# Whose answer is given, of two generators of which the second is right; 0 is nobody's.
BY_WHOM = {
    "remove": "grounded 1, partly 1, not 2, refused 2, empty 2, cut 1, failing before 2, "
    "failing after 1",
    "escalate": "grounded 1, partly 2, not 2, refused 2, empty 2, cut 1, failing before 2, "
    "failing after 2",
    "refuse": "grounded 1, partly 0, not 0, refused 0, empty 0, cut 1, failing before 2, "
    "failing after 2",
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_whose_answer_is_given(context: Context, rule: Ungrounded, kind: str) -> None:
    expected = dict(pair.rsplit(" ", 1) for pair in BY_WHOM[rule].split(", "))[kind]
    ear = Ear()
    written, (first, second), meter = run([KINDS[kind], Script(ALSO_TRUE)], context, rule, ear)
    asked = len(first.prompts) + len(second.prompts)
    assert len(written.calls) == len(decisions(meter)) == asked == (2 if expected == "2" else 1)
    texts = {"0": None, "1": "The X200 pump has a warranty of 24 months. [1]"}
    text = texts.get(expected, "The pump weighs 35 kg. [1]")
    assert (written.answer.text if written.answer else None) == text
    assert ear.heard == (text or "")
    assert bool(written.why) == (expected == "0")


# Whether the answer of one generator stands: of the last one, sentences are removed.
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", KINDS)
def test_whether_the_last_ones_answer_stands(context: Context, rule: Ungrounded, kind: str) -> None:
    stands = kind in ("grounded", "cut") or (
        rule != "refuse" and kind in ("partly", "failing after")
    )
    ear = Ear()
    written, _, _ = run([KINDS[kind]], context, rule, ear)
    assert (written.answer is not None) == stands
    assert ear.heard == ("The X200 pump has a warranty of 24 months. [1]" if stands else "")
    assert written.lasts == (not kind.startswith("failing"))
    assert (written.failed is BROKEN) == (not stands and kind.startswith("failing"))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("not", "m1 gave no answer that stands: what it wrote is not supported by the sources"),
        ("refused", "m1 gave no answer that stands: it finds no answer in the sources"),
        ("empty", "m1 gave no answer that stands: it wrote nothing"),
        ("failing before", "m1 gave no answer that stands: it failed: the provider broke off"),
    ],
)
def test_why_an_answer_does_not_stand(context: Context, kind: str, why: str) -> None:
    assert run([KINDS[kind]], context)[0].why == why


def test_the_trace_tells_each_generator_its_tokens_and_what_became_of_it(context: Context) -> None:
    used = TokensUsed(90, 40, 12, reported=True)
    scripts = [KINDS["not"], replace(KINDS["partly"], used=used)]
    written, (first, _), meter = run(scripts, context)
    counted = TOKENIZER.count(f"{FALSE} ")
    one, two = decisions(meter)
    sent = first.prompts[0].tokens
    assert one == (
        f"a1: {sent} + {counted} tokens (counted), 0 of 1 sentences kept: "
        "what it wrote is not supported by the sources"
    )
    assert two == "a2: 90 + 12 tokens (reported), 1 of 2 sentences kept: accepted"
    assert written.calls == (
        Call("m1", TokensUsed(sent, None, counted, reported=False)),
        Call("m2", used),
    )


def test_a_failure_is_told_though_the_answer_stands(context: Context) -> None:
    written, _, meter = run([KINDS["failing after"]], context)
    assert decisions(meter)[0].endswith("accepted as far as it came: the provider broke off")
    assert (written.failed, written.lasts) == (None, False)


def test_an_answer_after_a_failing_provider_does_not_last(context: Context) -> None:
    written, _, _ = run([KINDS["failing before"], KINDS["grounded"]], context)
    assert written.answer is not None
    assert not written.lasts


@pytest.mark.parametrize("rule", RULES)
def test_babble_is_stopped_early(context: Context, rule: Ungrounded) -> None:
    babble = Script(FALSE, endless=True)
    written, (generator,), _ = run([babble], context, rule)
    most = (2 if rule != "refuse" else 1) * len(FALSE.split()) + 2  # words until it was seen
    assert generator.written <= most < Sampling().max_tokens / 4
    (call,) = written.calls
    assert call.used.completion <= TOKENIZER.count(f"{FALSE} {FALSE} {FALSE}")
    assert not call.used.reported


def test_what_is_dropped_now_and_then_is_no_babble(context: Context) -> None:
    text = " ".join([FALSE, TRUE, FALSE, ALSO_TRUE, FALSE, ALSO_TRUE])
    written, _, _ = run([Script(text)], context)
    assert written.answer is not None
    assert (len(written.answer.kept), len(written.answer.dropped)) == (3, 3)


def test_marks_and_numbers_of_lists_are_no_babble(context: Context) -> None:
    written, _, _ = run([Script(f"{NOTHING}\n\n***\n\n{NOTHING}\n\n{TRUE}")], context)
    assert written.answer is not None


@pytest.mark.parametrize(("rule", "streamed"), [("remove", True), ("refuse", False)])
def test_a_sentence_is_said_while_the_next_is_written(
    context: Context, rule: Ungrounded, *, streamed: bool
) -> None:
    generator = ScriptedGenerator(Script(f"{TRUE} {ALSO_TRUE}"))

    class Early(Ear):
        def say(self, text: str) -> None:
            super().say(text)
            taken.append(generator.written)

    taken: list[int] = []
    writer = Writer([author(generator)], replace(DESK, ungrounded=rule))
    writer.write(brief_of(context), RequestMeter(PLACE), Early())
    whole = len(f"{TRUE} {ALSO_TRUE}".split())
    assert len(taken) == 2
    assert (taken[0] < whole) == streamed


def test_the_last_one_of_a_cascade_is_heard_at_once(context: Context) -> None:
    taken: list[int] = []
    last = ScriptedGenerator(Script(f"{TRUE} {ALSO_TRUE}"))

    class Early(Ear):
        def say(self, text: str) -> None:
            super().say(text)
            taken.append(last.written)

    first = ScriptedGenerator(KINDS["partly"])
    writer = Writer([author(first), author(last)], replace(DESK, ungrounded="escalate"))
    writer.write(brief_of(context), RequestMeter(PLACE), Early())
    assert taken[0] < last.written


def test_who_goes_away_stops_the_generation(context: Context) -> None:
    endless = Script("and so on and on", endless=True)  # never a whole sentence
    written, (first, second), meter = run([endless, Script(TRUE)], context, ear=Ear(stays=5))
    assert first.written <= 6
    assert not second.prompts
    assert not written.lasts
    assert len(written.calls) == 1
    assert decisions(meter)[0].startswith("a1: ")


def test_nothing_is_asked_for_nobody(context: Context) -> None:
    written, (first, second), meter = run([Script(TRUE), Script(TRUE)], context, ear=Ear(stays=0))
    assert not first.prompts
    assert not second.prompts
    assert (written.answer, written.calls, written.lasts) == (None, (), False)
    assert decisions(meter) == ["a1 was not asked: nobody listened any more"]


def test_what_was_heard_until_one_went_stands_as_it_is(context: Context) -> None:
    ear = Ear(stays=12)
    written, _, meter = run([Script(f"{TRUE} {ALSO_TRUE}")], context, ear=ear)
    assert written.answer is not None
    assert written.answer.text == ear.heard == "The X200 pump has a warranty of 24 months. [1]"
    assert decisions(meter)[0].endswith("stopped, nobody listened any more")


def test_a_deadline_ends_a_slow_generator(context: Context) -> None:
    slow = ScriptedGenerator(Script(TRUE, wait_seconds=0.05))
    writer = Writer([author(slow), author(slow)], DESK)
    began = time.monotonic()
    brief = brief_of(context, deadline=began + 0.2)
    written = writer.write(brief, RequestMeter(PLACE), NOBODY)
    assert 0.15 < time.monotonic() - began < 2
    assert isinstance(written.failed, BackendTimeoutError)
    assert not written.lasts
    assert slow.written < len(TRUE.split())


def test_the_sampling_and_the_deadline_reach_the_generator(context: Context) -> None:
    generator = ScriptedGenerator(Script(TRUE))
    sampling = Sampling(99, 0.3)
    writer = Writer([author(generator)], DESK)
    writer.write(brief_of(context, sampling=sampling), RequestMeter(PLACE), NOBODY)
    assert generator.samplings == [sampling]
    assert "How long?" in generator.prompts[0].messages[-1].text


HISTORY = tuple(
    message
    for turn in range(120)
    for message in (
        Message("user", f"How is pump number {turn} repaired and cleaned?"),
        Message("assistant", f"Pump {turn} is repaired with a wrench."),
    )
)


@pytest.mark.parametrize("bounds", [BOUNDS, Bounds(30.0, 512, 600), Bounds(30.0, 9, 600)])
def test_history_leaves_room_for_the_answer(context: Context, bounds: Bounds) -> None:
    generator = ScriptedGenerator(Script(TRUE))
    writer = Writer([author(generator, bounds=bounds)], DESK)
    brief = brief_of(context, history=HISTORY)
    writer.write(brief, RequestMeter(PLACE), NOBODY)
    (prompt,) = generator.prompts
    assert "pump number 119" in prompt.messages[-1].text
    assert "pump number 0 " not in prompt.messages[-1].text
    room = bounds.context_tokens - prompt.tokens - 64
    kept = min(bounds.max_tokens, Sampling().max_tokens, bounds.context_tokens // 4)
    assert kept <= room < kept + 100


def test_a_prompt_that_does_not_fit_is_not_sent_but_to_who_can_take_it(context: Context) -> None:
    short, long = ScriptedGenerator(Script(TRUE)), ScriptedGenerator(Script(TRUE))
    authors = [author(short, "short", Bounds(30.0, 512, 128)), author(long, "long")]
    meter = RequestMeter(PLACE)
    written = Writer(authors, DESK).write(brief_of(context), meter, NOBODY)
    assert not short.prompts
    assert written.answer is not None
    assert written.lasts
    assert decisions(meter)[0] == "short was not asked: prompt over its limit"
    alone = Writer(authors[:1], DESK).write(brief_of(context), RequestMeter(PLACE), NOBODY)
    assert (alone.answer, alone.calls) == (None, ())
    assert alone.failed is not None
    assert alone.why == "scripted was not asked: prompt over its limit"


def test_the_prompts_own_limit_holds_too(context: Context) -> None:
    generator = ScriptedGenerator(Script(TRUE))
    writer = Writer([author(generator)], replace(DESK, prompt_tokens=300))
    writer.write(brief_of(context, history=HISTORY), RequestMeter(PLACE), NOBODY)
    assert 200 < generator.prompts[0].tokens <= 300


def test_without_generators_nothing_is_written() -> None:
    with pytest.raises(ValueRangeError, match="Configure one"):
        Writer([], DESK)


def per_token(used: TokensUsed) -> Remote:
    """A joule for each token sent, ten for each one written."""
    joules = float(used.prompt + 10 * used.completion)
    return Remote(Interval(joules, 2 * joules), None, None)


def cost_of(script: Script, context: Context, sampling: Sampling) -> tuple[Interval, TokensUsed]:
    meter = RequestMeter(PLACE)
    writer = Writer([Author("far", ScriptedGenerator(script), BOUNDS, per_token)], DESK)
    written = writer.write(brief_of(context, sampling=sampling), meter, NOBODY)
    (step,) = meter.trace()
    assert step.joules is not None
    return step.joules, written.calls[0].used


def test_what_a_call_took_elsewhere_is_in_its_stage(context: Context) -> None:
    joules, used = cost_of(Script(TRUE), context, Sampling())
    told = used.prompt + 10 * used.completion
    assert told <= joules.low < told + 5
    assert joules.high >= 2 * told


@pytest.mark.parametrize("most", [50, 4])
def test_what_a_failed_call_took_is_from_nothing_to_the_most(context: Context, most: int) -> None:
    failing = KINDS["failing after"]
    failing = replace(failing, fails=BROKEN) if most > 4 else replace(failing, text="a b c d")
    joules, used = cost_of(failing, context, Sampling(most))
    assert joules.low < 5
    longest = max(used.completion, most)
    assert 2 * (used.prompt + 10 * longest) <= joules.high < 2 * (used.prompt + 10 * longest) + 5


def test_processor_time_of_an_embedded_model_is_its_own(context: Context) -> None:
    meter = RequestMeter(PLACE)
    script = Script(TRUE, cpu_seconds=100.0)
    Writer([author(ScriptedGenerator(script))], DESK).write(brief_of(context), meter, NOBODY)
    used = meter.impact().cpu_seconds
    assert used is not None
    assert used.low >= 100


TALK = (Message("user", "What is the warranty of the X200?"), Message("assistant", "24 months."))


def asked(text: str, history: tuple[Message, ...] = TALK) -> Question:
    return Question(text, Filter("here"), 100, time.monotonic() + 60, history=history)


def test_a_model_condenses_a_follow_up() -> None:
    generator = ScriptedGenerator(Script("What is the\n warranty of the X300?"), name="m1")
    meter = RequestMeter(PLACE)
    writer = Writer([author(generator), author(ScriptedGenerator())], DESK)
    text, call = writer.condense(asked("And of the X300?"), time.monotonic() + 9, meter)
    assert text == "What is the warranty of the X300?"
    assert call is not None
    assert (call.model, call.used.prompt) == ("m1", generator.prompts[0].tokens)
    assert generator.prompts[0].version == "condense-1"
    assert generator.samplings[0].stop == ("\n",)
    assert decisions(meter)[0].endswith("tokens (counted): rewritten")


@pytest.mark.parametrize("script", [Script(""), Script(" \n"), Script("What", fails=BROKEN)])
def test_a_failed_condensing_leaves_the_question(script: Script) -> None:
    meter = RequestMeter(PLACE)
    writer = Writer([author(ScriptedGenerator(script))], DESK)
    text, call = writer.condense(asked("And it?"), time.monotonic() + 9, meter)
    assert text is None
    assert call is not None  # it is paid for
    assert decisions(meter)[0].endswith(": left as it is")


def test_nothing_is_condensed_without_a_prompt_a_history_or_room() -> None:
    generator = ScriptedGenerator(Script("What?"))
    meter, soon = RequestMeter(PLACE), time.monotonic() + 9
    without = Writer([author(generator)], replace(DESK, condensing=None))
    assert without.condense(asked("And it?"), soon, meter) == (None, None)
    writer = Writer([author(generator)], DESK)
    assert writer.condense(asked("And it?", ()), soon, meter) == (None, None)
    assert not decisions(meter)
    assert writer.condense(asked("long " * 3000), soon, meter) == (None, None)
    assert decisions(meter) == ["small: left as it is, prompt over its limit"]
    assert not generator.prompts


SENTENCES = st.sampled_from([TRUE, ALSO_TRUE, FALSE, NOTHING, "NONE", "Sure!", "The pump weighs"])
SCRIPTS = st.builds(
    Script,
    text=st.lists(SENTENCES, max_size=5).map(" ".join),
    endless=st.booleans(),
    fails=st.sampled_from([None, None, BROKEN]),
    reason=st.sampled_from(["stop", "length"]),
)


@settings(max_examples=150, deadline=None)
@given(
    scripts=st.lists(SCRIPTS, min_size=1, max_size=3),
    rule=st.sampled_from(RULES),
    stays=st.sampled_from([0, 3, 8, 10**6]),
)
def test_what_is_heard_is_the_answer(
    context: Context, scripts: list[Script], rule: Ungrounded, stays: int
) -> None:
    ear = Ear(stays=stays)
    written, generators, meter = run(scripts, context, rule, ear)
    assert ear.heard == (written.answer.text or "" if written.answer else "")
    assert (written.answer is None) == bool(written.why)
    assert len(written.calls) == sum(len(each.prompts) for each in generators)
    assert len(decisions(meter)) >= len(written.calls)
    if written.answer is not None:
        assert written.answer.text
        assert written.answer.citations
        assert "Napoleon" not in written.answer.text
