"""What two questions over the same sources share, in the real chat template of a real model."""

import time
from collections.abc import Callable
from itertools import takewhile

import pytest

from rag.adapters.embedded_llm import EmbeddedGenerator, packaged_model
from rag.build import build_tokenizer
from rag.errors import AssetError
from rag.generating import Ended, Message, Prompt, Sampling, TokensUsed
from rag.prompting import Prompts
from rag.results import Context
from rag.settings import load_settings

LINES = [f"Rule {n}: records of kind {n} are kept for {n + 20} days in Berlin." for n in range(8)]
CONTEXT = Context("\n".join(LINES), 200, 300, ())
QUESTIONS = ("How long are records of kind 3 kept?", "Where are they, and who says so?")
TOKENIZER = build_tokenizer(load_settings())
FILE = Prompts().load("answer-1")


def built(question: str) -> Prompt:
    return FILE.build(question, CONTEXT, (), TOKENIZER, 1_000)


def question_first(question: str) -> Prompt:
    text = f"Question: {question}\n{CONTEXT.text}"
    return Prompt((Message("user", text),), "question first", 0)


@pytest.fixture(scope="module")
def used() -> Callable[[Prompt], TokensUsed]:
    pytest.importorskip("xllamacpp")
    try:
        generator = EmbeddedGenerator(packaged_model())
    except AssetError as exc:
        pytest.skip(str(exc))

    def ask(prompt: Prompt) -> TokensUsed:
        *_, end = generator.stream(prompt, Sampling(max_tokens=1), time.monotonic() + 120)
        assert isinstance(end, Ended)
        assert end.used is not None
        return end.used

    return ask


def test_all_but_the_question_is_shared_in_the_configured_tokenizer() -> None:
    one, two = (built(question) for question in QUESTIONS)
    texts = ["\n".join(m.text for m in prompt.messages) for prompt in (one, two)]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
    shared = TOKENIZER.count("".join(pair[0] for pair in same).rstrip())
    assert shared >= one.tokens - TOKENIZER.count(f" {QUESTIONS[0]}")


@pytest.mark.slow
def test_all_but_the_question_is_served_from_the_cache(
    used: Callable[[Prompt], TokensUsed],
) -> None:
    one, two = (used(built(question)) for question in QUESTIONS)
    asked = TOKENIZER.count(QUESTIONS[1])
    assert two.cached is not None
    # Behind the question the template ends the message and begins the answer: 5 tokens.
    assert two.prompt - two.cached <= 2 * asked + 5
    assert two.cached / two.prompt > 0.9
    assert one.prompt > 200


@pytest.mark.slow
def test_with_the_question_first_hardly_anything_is(used: Callable[[Prompt], TokensUsed]) -> None:
    _, two = (used(question_first(question)) for question in QUESTIONS)
    assert two.cached is not None
    assert two.cached / two.prompt < 0.2
