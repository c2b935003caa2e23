import base64
import socket
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.adapters import vocabulary
from rag.adapters.vocabulary import TiktokenTokenizer
from rag.errors import AssetError

PACKAGED = vocabulary._ASSETS / "cl100k_base.tiktoken"
CL100K = TiktokenTokenizer()
PIECES = st.sampled_from(
    "word 's 'LL 1 2024 1234567 \n \r\n  \t . !? é 词 a_b <|endoftext|>".split(" ")
)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a tokenizer reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as tiktoken fills it, with the packaged vocabulary."""
    folder = tmp_path_factory.mktemp("tiktoken")
    name = vocabulary._VOCABULARIES["cl100k_base"].cached_as
    (folder / name).write_bytes(PACKAGED.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("2 + 2 = 4", 7),
        ("お誕生日おめでとう", 9),
    ],
)
def test_published_examples(text: str, count: int) -> None:
    # Source: OpenAI Cookbook, "How to count tokens with tiktoken", its table of encodings.
    assert CL100K.count(text) == count
    assert CL100K.name == "cl100k_base"


def test_special_token_strings_count_as_plain_text() -> None:
    special = ["<|endoftext|>", "<|fim_prefix|>", "<|endofprompt|>"]
    assert [CL100K.count(text) for text in special] == [7, 7, 7]
    assert CL100K.count("a<|endoftext|>b") > CL100K.count("ab") + 1


def test_counts_equal_those_of_tiktoken_itself(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache_dir))
    reference = tiktoken.get_encoding("cl100k_base")

    @settings(deadline=None)
    @given(st.one_of(st.text(st.characters()), st.lists(PIECES).map("".join)))
    def check(text: str) -> None:
        assert CL100K.count(text) == len(reference.encode_ordinary(text))
        safe = text.encode("utf-8", "replace").decode()
        assert CL100K.count(safe) == len(reference.encode(safe, disallowed_special=()))

    check()


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters()))
def test_a_count_is_bounded_by_the_bytes_of_the_text(text: str, more: str) -> None:
    assert CL100K.count(text) <= len(text.encode())
    assert bool(CL100K.count(text)) == bool(text)
    assert CL100K.count(more) >= 0


@pytest.mark.parametrize(
    "text",
    ["👩‍👩‍👧‍👦", "\x00" * 50, "\u202eevil", "a" * 5000, " " * 5000, "\ud800", "\n\r\n \u2028"],
)
def test_hostile_text_is_counted(text: str) -> None:
    assert 0 < CL100K.count(text) <= 3 * len(text) + 10


def test_an_altered_packaged_vocabulary_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = base64.b64encode(b"evil") + b" 0\n" + PACKAGED.read_bytes()
    (tmp_path / PACKAGED.name).write_bytes(altered)
    monkeypatch.setattr(vocabulary, "_ASSETS", tmp_path)
    with pytest.raises(AssetError, match=r"altered: .*cl100k_base\.tiktoken\. Delete it"):
        TiktokenTokenizer()


def test_a_vocabulary_may_come_from_the_cache_folder(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "_ASSETS", tmp_path)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(cache_dir))
    assert TiktokenTokenizer().count("tiktoken is great!") == 6


def test_an_encoding_that_is_nowhere_says_what_to_do() -> None:
    with pytest.raises(AssetError, match=r"o200k_base\. Set TIKTOKEN_CACHE_DIR to a folder"):
        TiktokenTokenizer("o200k_base")
    with pytest.raises(AssetError, match=r"unknown tokenizer: gpt9\. Use cl100k_base, o200k_base"):
        TiktokenTokenizer("gpt9")


def test_an_altered_file_in_the_cache_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = vocabulary._VOCABULARIES["o200k_base"].cached_as
    (tmp_path / name).write_bytes(b"IQ== 0\n")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(AssetError, match="altered"):
        TiktokenTokenizer("o200k_base")
