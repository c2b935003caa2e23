"""Real connectors against a provider that misbehaves; no bound here is tight, for slow machines."""

import gzip
import importlib.util
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from eval.misbehaving_provider import (
    Behaviour,
    Provider,
    Wire,
    answering,
    cut_after,
    dripping,
    dripping_head,
    endless,
    refusing,
    running_provider,
    sending,
)
from rag.adapters.llama_index_llm import Connector, Endpoint, open_connector, open_endpoint
from rag.adapters.provider_http import Call
from rag.errors import (
    BackendError,
    BackendRejectedError,
    BackendTimeoutError,
    RagError,
    SettingsError,
)
from rag.generating import Ended, Generator, Message, Prompt, Sampling, TokensUsed
from rag.provider_calls import Counting, PassingError, RetryBudget, Retrying, Waits
from rag.provider_replies import whole_chain

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("llama_index") is None, reason="the extra `generate` is not installed"
)
KEY = "sk-not-a-real-key-4711"
PROMPT = Prompt((Message("system", "Answer."), Message("user", "How tall is it?")), "1", 12)
SLACK = 3.0  # seconds that a busy machine may add


class Words:
    """Counts words."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Import before the clock runs."""
    open_endpoint(Endpoint("http://127.0.0.1:1/v1", "m"))


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def generator(provider: Provider) -> Generator:
    return open_endpoint(Endpoint(provider.url, "tiny", KEY))


def ask(
    generator: Generator, seconds: float = 20.0, sampling: Sampling | None = None
) -> list[object]:
    pieces = generator.stream(PROMPT, sampling or Sampling(), time.monotonic() + seconds)
    return [piece for piece in pieces if piece != ""]


def fails(generator: Generator, seconds: float = 20.0) -> RagError:
    """Ask, and return the error; it must come in time and must not show the key."""
    started = time.monotonic()
    with pytest.raises(BackendError) as caught:
        ask(generator, seconds)
    assert time.monotonic() - started < seconds + SLACK
    shown: BaseException | None = caught.value
    while shown is not None:
        assert KEY not in f"{shown!r} {shown}"
        shown = shown.__cause__
    return caught.value


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


def test_pieces_come_with_the_end_and_what_was_used(generator: Generator) -> None:
    *pieces, end = ask(generator)
    assert pieces == ["Thirty", "-three", " metres", "."]
    assert end == Ended("stop", TokensUsed(20, 8, 5, reported=True))
    assert generator.name == "tiny"


def test_what_is_sent(provider: Provider, generator: Generator) -> None:
    ask(generator, sampling=Sampling(7, 0.3, 0.9, 0.5, -0.5, ("\n\n",)))
    (asked,) = provider.asked
    assert asked == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Answer."},
            {"role": "user", "content": "How tall is it?"},
        ],
        "max_tokens": 7,
        "temperature": 0.3,
        "top_p": 0.9,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "stop": ["\n\n"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert provider.headers[0]["authorization"] == f"Bearer {KEY}"


def test_a_key_of_the_environment_is_not_sent(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    ask(open_endpoint(Endpoint(provider.url, "tiny")))
    assert KEY not in str(provider.headers)


def test_pieces_are_not_held_back(provider: Provider, generator: Generator) -> None:
    provider.always = endless(every=0.05)
    pieces = generator.stream(PROMPT, Sampling(), time.monotonic() + 20)
    written = filter(None, pieces)
    assert [next(written) for _ in range(3)] == [" and"] * 3
    assert not provider.left.is_set()
    pieces.close()  # type: ignore[attr-defined]
    assert provider.left.wait(10)


@pytest.mark.parametrize(
    "behaviour",
    [answering(["late"], first=60), dripping(0.01), dripping_head(0.01), endless(every=0.01)],
    ids=["slow first byte", "slow drip", "slow drip of headers", "endless"],
)
def test_the_deadline_holds_however_bytes_come(
    provider: Provider, generator: Generator, behaviour: Behaviour
) -> None:
    provider.always = behaviour
    error = fails(generator, 0.5)
    assert isinstance(error, BackendTimeoutError)
    assert provider.left.wait(10)


def test_left_calls_leave_no_threads(provider: Provider, generator: Generator) -> None:
    provider.always = answering(["late"], first=60)
    ours = [thread.name for thread in threading.enumerate()].count("generation")
    for _ in range(8):
        fails(generator, 0.1)

    def ended() -> bool:
        return [thread.name for thread in threading.enumerate()].count("generation") <= ours

    assert eventually(ended)


def test_nothing_is_asked_after_the_deadline(provider: Provider, generator: Generator) -> None:
    assert isinstance(fails(generator, -1.0), BackendTimeoutError)
    assert not provider.asked


def test_an_endless_answer_is_cut_by_its_tokens(provider: Provider, generator: Generator) -> None:
    provider.always = endless()
    *pieces, end = ask(Counting(generator, Words()), 60, Sampling(max_tokens=20))
    assert len(pieces) == 2 * 20 + 16 + 1
    assert end == Ended("length", TokensUsed(12, None, len(pieces), reported=False))
    assert provider.left.wait(10)


def test_an_answer_that_is_cut_off_is_an_error(provider: Provider, generator: Generator) -> None:
    provider.always = cut_after(["Thirty"])
    pieces = filter(None, generator.stream(PROMPT, Sampling(), time.monotonic() + 20))
    assert next(pieces) == "Thirty"
    with pytest.raises(PassingError, match="broke off"):
        next(pieces)


def test_an_answer_that_was_cut_off_is_not_begun_again(
    provider: Provider, generator: Generator
) -> None:
    provider.always = cut_after(["Thirty"])
    retrying = Retrying(generator, RetryBudget(), sleep=lambda _: None)
    assert "broke off" in str(fails(retrying))
    assert len(provider.asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_a_failure_that_passes(provider: Provider, generator: Generator, status: int) -> None:
    provider.next = [refusing(status)]
    error = fails(generator)
    assert isinstance(error, PassingError)
    assert f"status {status}" in str(error)
    assert error.retry_after is None
    assert ask(generator)[0] == "Thirty"


def test_the_wait_that_a_busy_provider_names(provider: Provider, generator: Generator) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    provider.next = [refusing(429, {"Retry-After": said}) for said in ("17", soon, "soon")]
    seconds, date, nonsense = (fails(generator) for _ in range(3))
    waits = [getattr(error, "retry_after", -1) for error in (seconds, date, nonsense)]
    assert waits[0] == 17
    assert 90 - 30 < waits[1] <= 90
    assert waits[2] is None


def test_a_try_that_fails_is_followed_by_one_that_succeeds(
    provider: Provider, generator: Generator
) -> None:
    provider.next = [refusing(429, {"Retry-After": "2"}), refusing(500)]
    slept: list[float] = []
    retrying = Retrying(generator, RetryBudget(), Waits(), lambda: 0.5, slept.append)
    assert ask(retrying)[0] == "Thirty"
    assert slept == [2.25, 0.5]
    assert len(provider.asked) == 3


def test_a_provider_that_always_fails(provider: Provider, generator: Generator) -> None:
    provider.always = refusing(500)
    retrying = Retrying(generator, RetryBudget(), sleep=lambda _: None)
    assert isinstance(fails(retrying), PassingError)
    assert len(provider.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_tried_again(
    provider: Provider, generator: Generator, status: int
) -> None:
    echo = {"message": f"wrong key {KEY}, for How tall is it?", "code": "bad_request"}
    provider.always = refusing(status, error=echo)
    error = fails(Retrying(generator, RetryBudget()))
    assert isinstance(error, BackendRejectedError)
    assert f"status {status} (bad_request)" in str(error)
    assert "How tall" not in str(error)
    assert len(provider.asked) == 1


def test_a_code_that_holds_the_key_is_not_shown(provider: Provider, generator: Generator) -> None:
    provider.always = refusing(401, error={"message": "", "code": KEY})
    assert "status 401" in str(fails(generator))


def test_a_redirect_is_refused(provider: Provider, generator: Generator) -> None:
    with running_provider() as other:
        provider.always = refusing(307, {"Location": f"{other.url}/chat/completions"})
        assert isinstance(fails(generator), BackendRejectedError)
        assert not other.asked


@pytest.mark.parametrize(
    "lines",
    [
        ["data: {not json\n\n"],
        ["data: []\n\n"],
        ['data: {"choices": 3}\n\n'],
        ['data: {"choices": [{"delta": {"content": 5}}]}\n\n'],
        ["data: \xff\xfe{}\n\n"],
        ["no field of an event\n\n"],
        ['{"choices": [{"message": {"content": "not a stream"}}]}'],
        ["<html>It works!</html>\n"],
        [""],
        ["data: [DONE]\n\n"],
        ['data: {"error": {"message": "out of memory"}}\n\n'],
    ],
)
def test_what_is_no_answer(provider: Provider, generator: Generator, lines: list[str]) -> None:
    provider.always = sending(*lines)
    assert not isinstance(fails(generator), BackendTimeoutError | BackendRejectedError)


def test_an_error_amid_the_stream_keeps_its_status(
    provider: Provider, generator: Generator
) -> None:
    provider.always = sending('data: {"error": {"message": "too long", "code": 400}}\n\n')
    assert isinstance(fails(generator), BackendRejectedError)


def test_a_reply_without_bound_is_cut(provider: Provider, generator: Generator) -> None:
    provider.always = sending(*("data: " + " " * 1_000_000 for _ in range(20)))
    error = fails(generator, 60)
    assert "DecodingError" in str(error)
    assert not isinstance(error, PassingError)


def test_an_answer_without_text_has_an_end(provider: Provider, generator: Generator) -> None:
    provider.always = answering([])
    assert ask(generator) == [Ended("stop", TokensUsed(20, 8, 5, reported=True))]


def test_a_withheld_answer(provider: Provider, generator: Generator) -> None:
    provider.always = answering(["Some"], reason="content_filter")
    assert isinstance(fails(generator), BackendRejectedError)


def test_the_end_for_length(provider: Provider, generator: Generator) -> None:
    provider.always = answering(["Some"], reason="length", usage=None)
    assert ask(generator) == ["Some", Ended("length", None)]


@pytest.mark.parametrize(
    "usage",
    [
        None,
        "none of your business",
        {"prompt_tokens": "many", "completion_tokens": 4},
        {"prompt_tokens": -20, "completion_tokens": 4},
        {"prompt_tokens": 12, "completion_tokens": 0},
        {
            "prompt_tokens": 12,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 13},
        },
        {"prompt_tokens": 12_000_000, "completion_tokens": 4},
        {"prompt_tokens": 12, "completion_tokens": 5_000},
    ],
)
def test_usage_that_cannot_be_is_counted(
    provider: Provider, generator: Generator, usage: object
) -> None:
    provider.always = answering(["Thirty", " three", " metres", " high"], usage=usage)
    end = ask(Counting(generator, Words()))[-1]
    assert end == Ended("stop", TokensUsed(12, None, 4, reported=False))


def test_an_address_where_nobody_is() -> None:
    nowhere = open_endpoint(Endpoint("http://127.0.0.1:9/v1", "tiny", KEY))
    error = fails(nowhere)
    assert isinstance(error, PassingError)
    assert "cannot be reached" in str(error)


def test_several_at_once(provider: Provider, generator: Generator) -> None:
    provider.always = answering(["Thirty", "-three"], first=0.3)
    results: list[list[object]] = []
    threads = [threading.Thread(target=lambda: results.append(ask(generator))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each[:2] for each in results] == [["Thirty", "-three"]] * 6


def test_any_connector_by_its_import_path(provider: Provider) -> None:
    options = {"api_base": provider.url, "api_key": KEY, "is_chat_model": True}
    path = "llama_index.llms.openai_like:OpenAILike"
    generator = open_connector(Connector(path, "tiny", options), 20.0)
    assert ask(generator)[0] == "Thirty"
    provider.always = refusing(401, error={"message": KEY, "code": KEY})
    assert KEY not in str(fails(generator))


def test_a_connector_whose_connections_are_its_own() -> None:
    path = "llama_index.core.llms:MockLLM"
    generator = open_connector(Connector(path, "mock", {"max_tokens": 3}, ()), 20.0)
    *pieces, end = ask(generator)
    assert "".join(map(str, pieces)) == "text text text"
    assert end == Ended("stop", None)


@pytest.mark.parametrize(
    "path",
    ["llama_index.llms.nothing:Nothing", "llama_index.core.llms:Nothing", "json:loads", "json:"],
)
def test_a_connector_that_is_none(path: str) -> None:
    with pytest.raises(SettingsError):
        open_connector(Connector(path, "m"), 1.0)


def test_options_that_do_not_fit_are_not_shown() -> None:
    path = "llama_index.llms.openai_like:OpenAILike"
    options = {"api_key": KEY, "context_window": "huge"}
    with pytest.raises(SettingsError) as caught:
        open_connector(Connector(path, "m", options), 1.0)
    assert KEY not in f"{caught.value!r}{caught.value.__cause__!r}{Connector(path, 'm', options)!r}"


def test_a_byte_order_mark_takes_no_word_away(provider: Provider, generator: Generator) -> None:
    said = '{"choices": [{"index": 0, "delta": {"content": "Thirty"}, "finish_reason": "stop"}]}'
    for begin in ("\ufeff", ""):
        provider.always = sending(f"{begin}data: {said}\n\n", "data: [DONE]\n\n")
        assert ask(generator) == ["Thirty", Ended("stop", None)]

    def by_bytes(wire: Wire) -> None:
        wire.head()
        for byte in f"\ufeffdata: {said}\r\n\r\ndata: [DONE]\r\n\r\n".encode():
            wire.send(bytes([byte]))
        wire.send(b"")

    provider.always = by_bytes
    assert ask(generator) == ["Thirty", Ended("stop", None)]


def test_a_reply_is_not_unpacked(provider: Provider, generator: Generator) -> None:
    def packed(wire: Wire) -> None:
        wire.head(200, {"Content-Encoding": "gzip"})
        wire.send(gzip.compress(b"data: " + b" " * 100_000_000, 1))
        wire.send(b"")

    provider.always = packed
    started = time.process_time()
    error = fails(generator)
    assert not isinstance(error, PassingError)
    assert time.process_time() - started < 1
    assert provider.headers[0]["accept-encoding"] == "identity"


def test_characters_that_were_cut_in_two_are_whole(
    provider: Provider, generator: Generator
) -> None:
    provider.always = answering(["tall \ud83d", "\ude00", " \ud800 ", "\udc00", "end\ud83d"])
    *pieces, end = ask(generator)
    assert "".join(map(str, pieces)) == "tall \U0001f600 \ufffd \ufffdend\ufffd"
    assert isinstance(end, Ended)


def test_half_a_character_in_a_prompt_is_sent_as_a_mark(
    provider: Provider, generator: Generator
) -> None:
    prompt = Prompt((Message("user", "a\ud800b\0"),), "1", 3)
    list(generator.stream(prompt, Sampling(), time.monotonic() + 20))
    assert provider.asked[0]["messages"][0]["content"] == "a\ufffdb\0"


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_an_answer_that_the_provider_gave_up_is_none(
    provider: Provider, generator: Generator, reason: str
) -> None:
    provider.always = answering(["Thirty"], reason=reason)
    assert isinstance(fails(generator), PassingError)


@pytest.mark.parametrize(
    "said",
    ["nan", "-5", "9" * 400, "Mon, 01 Jan 99999 00:00:00 GMT", "Jan 99999 99999 -9999999925:61"],
)
def test_a_wait_that_cannot_be(provider: Provider, generator: Generator, said: str) -> None:
    provider.always = refusing(429, {"Retry-After": said})
    error = fails(Retrying(generator, RetryBudget(), sleep=lambda _: None))
    assert isinstance(error, PassingError)


def test_a_key_deep_in_the_options_is_not_shown(provider: Provider) -> None:
    options = {
        "api_base": provider.url,
        "api_key": "none at all",
        "is_chat_model": True,
        "default_headers": {"X-Key": KEY},
    }
    path = "llama_index.llms.openai_like:OpenAILike"
    generator = open_connector(Connector(path, "tiny", options), 20.0)
    assert ask(generator)[0] == "Thirty"
    assert provider.headers[0]["x-key"] == KEY
    provider.always = refusing(401, error={"message": f"no {KEY}", "code": KEY})
    error = fails(generator)
    assert not any(KEY in f"{each!r}{each}" for each in whole_chain(error))
    assert KEY not in repr(generator._calls)


def test_an_error_that_shows_a_key_is_not_held_on_to(provider: Provider) -> None:
    generator = open_endpoint(Endpoint(provider.url, "tiny", KEY))
    provider.always = refusing(401, error={"message": f"wrong key {KEY}"})
    chain = whole_chain(fails(generator))
    assert not any(KEY in f"{each!r}{each}" for each in chain)


def test_no_proxy_of_the_environment_hears_a_key(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_provider() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert ask(open_endpoint(Endpoint(provider.url, "tiny", KEY)))[0] == "Thirty"
        assert not proxy.asked
        assert len(provider.asked) == 1


def test_a_call_that_was_cut_before_it_had_a_connection_ends_once_it_has() -> None:
    ours, theirs = socket.socketpair()
    stream = SimpleNamespace(get_extra_info={"socket": ours}.get)
    call = Call()
    call.cut()
    call.trace("connection.connect_tcp.complete", {"return_value": stream})
    theirs.settimeout(5)
    assert theirs.recv(1) == b""
    ours.close()
    theirs.close()
