from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rag
from rag.adapters.tokenizers import FileTokenizer, encodable, load_tokenizer_file
from rag.errors import AssetError

MINILM = Path(rag.__file__).parent / "assets" / "all-minilm-l6-v2" / "tokenizer.json"
TOKENIZER = FileTokenizer(MINILM)


def test_counts_are_those_of_the_text_alone() -> None:
    assert TOKENIZER.count("") == 0
    assert TOKENIZER.count("hello world") == 2  # neither [CLS] nor [SEP]
    assert TOKENIZER.count("unaffable") == 3  # una ##ffa ##ble
    assert TOKENIZER.name == "file:all-minilm-l6-v2/tokenizer.json"


def test_long_texts_are_counted_to_their_end() -> None:
    assert TOKENIZER.count("word " * 5000) == 5000  # the file asks for truncation at 128


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_can_be_counted(text: str) -> None:
    assert 0 <= TOKENIZER.count(text) <= 4 * len(text)


@given(st.text(st.characters()))
def test_what_utf8_cannot_hold_is_replaced_in_place(text: str) -> None:
    clean = encodable(text)
    assert len(clean) == len(text)
    clean.encode()
    assert all(
        a == b or (b == "\ufffd" and a.isprintable() is False)
        for a, b in zip(text, clean, strict=True)
    )
    assert encodable("a\ud800\udc00b") == "a\ufffd\ufffdb"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"no tokenizer file: .*missing\.json\. Name a tiktoken"):
        load_tokenizer_file(tmp_path / "missing.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"model": {"type": "WordPiece"}}'])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(AssetError, match="not a tokenizer file"):
        FileTokenizer(path)
