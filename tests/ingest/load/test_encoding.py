from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.load.encoding import decode
from rag.errors import LoadError


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "naïve – 日本語 🙂"),
        ("utf-8-sig", "with a mark"),
        ("utf-16", "wörld 日本"),
        ("utf-32", "wörld"),
        ("utf-16-le", "without a mark, but with words"),
        ("utf-16-be", "without a mark, but with words"),
        ("latin-1", "Le café est fermé à cause de l'été. Où est la forêt?"),
        ("cp1252", "“Smart quotes” — naïve café costs €5"),
        ("cp1250", "Zażółć gęślą jaźń. Wczoraj poszedłem do sklepu, żeby kupić chleb."),
        ("cp1251", "Привет, мир! Это проверка кодировки текста на русском языке."),
        ("shift_jis", "これは日本語のテキストです。文字コードの検出を確認します。"),
    ],
)
def test_common_encodings_are_found(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding), "file") == text


@given(st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), min_size=1))
def test_utf8_is_kept_as_it_is(text: str) -> None:
    data = text.encode("utf-8")
    assert decode(data, "file") == text.removeprefix("\ufeff")


def test_line_ends_become_newlines() -> None:
    assert decode(b"a\r\nb\rc\nd", "file") == "a\nb\nc\nd"


def test_a_declared_encoding_is_believed_only_if_it_fits() -> None:
    assert decode("日本".encode("iso-2022-jp"), "file", "iso-2022-jp") == "日本"
    assert decode("日本".encode(), "file", "ascii") == "日本"
    assert decode("日本".encode(), "file", "no-such-code") == "日本"
    assert decode(b"plain", "file", "rot13") == "plain"


@pytest.mark.parametrize("data", [b"\x00\x01\x02binary", bytes(range(1, 32)) * 9 + b"\xff"])
def test_binary_content_is_a_clear_error(data: bytes) -> None:
    with pytest.raises(LoadError, match=r"not a text file: thing\.txt"):
        decode(data, "thing.txt")


def test_a_false_byte_order_mark_is_an_error() -> None:
    with pytest.raises(LoadError, match="byte order mark"):
        decode(b"\xef\xbb\xbf" + b"\xff\xfe\xfd" * 40, "file")
