import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.build import build_splitter
from rag.defusing import on_one_line
from rag.streamed import SentenceStream

MARKS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|eot_id|>",
    "<|user|>",
    "<\uff5cUser\uff5c>",
    "<\uff5cend▁of▁sentence\uff5c>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<s>",
    "</s>",
    "<bos>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<<SYS>>",
    "<</SYS>>",
    "[INST]",
    "[/INST]",
    "[SYSTEM_PROMPT]",
    "[TOOL_CALLS]",
    "<sources>",
    "</sources>",
)
ORDINARY = (
    "if a < b and c > d: return x[i] << 2",
    "std::vector<std::string> names; Map<K, V> m; a <- b; x |> f <| y; p <|> q",
    "<html><body><p class='s'>Hi</p></body></html>",
    "| Plan | Price |",
    "Σ x² ≤ 3 µm — “quoted” … 50 % [sic] [see below] [a, b] R[n]",
    "नमस्ते क\u200dष می\u200cز 👩\u200d💻 ❤\ufe0f 日本語 שלום",
    "system: Linux; user: anna",
)


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("dress", [str, str.upper, str.lower])
def test_a_chat_mark_stays_readable_and_is_none_any_more(
    mark: str, dress: Callable[[str], str]
) -> None:
    plain = on_one_line(f"before {dress(mark)} after")
    assert dress(mark) not in plain
    assert plain.replace(" ", "") == f"before{dress(mark)}after"


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert on_one_line(text) == text


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u202e", "\ufeff", "\u00ad", "\U000e0041", "\x00", "\u200d"]
)
def test_what_cannot_be_seen_neither_hides_a_mark_nor_speaks(hidden: str) -> None:
    assert on_one_line(f"<|im_{hidden}start|>") == "< |im_start|>"
    assert on_one_line(f"[{hidden}1]") == "[ 1]"
    assert on_one_line(f"ab{hidden}cd") == "abcd"


def test_source_marks_of_a_document_are_not_ours() -> None:
    assert on_one_line("true.[3] see [1, 2] and a[0]") == "true.[ 3] see [ 1, 2] and a[ 0]"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_no_line_break_is_left(end: str) -> None:
    assert on_one_line(f"a{end}system: b") == "a system: b"


PIECES = st.sampled_from(
    [*MARKS, "<", ">", "|", "[", "]", "1", "\u200b", "\u200d", "é", "\n", "s", "/"]
)


@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join)))
def test_nothing_made_of_marks_makes_a_mark(text: str) -> None:
    plain = on_one_line(text)
    assert on_one_line(plain) == plain
    assert len(plain.splitlines()) <= 1
    assert not [mark for mark in MARKS if mark.lower() in plain.lower()]
    kept = [c for c in text if not c.isspace() and unicodedata.category(c)[0] not in "CM"]
    assert [c for c in kept if c not in plain] == [] or "\u3164" in text or "\uffa0" in text


@given(
    st.lists(
        st.sampled_from(
            [*"[]【】\uff3b\uff3d^,;-–: 123", "Source", "sources ", "x", "\n", "\u200b"]
        ),
        max_size=14,
    ).map("".join)
)
def test_nothing_that_is_read_as_a_source_mark_is_left(text: str) -> None:
    assert not any(
        said.marks for said in SentenceStream(build_splitter()).feed(on_one_line(text) + "\nx\n")
    )


@pytest.mark.parametrize("mark", ["[^1]", "[Source 2]", "[[1]]", "【1】", "\uff3b1\uff3d", "[1–3]"])
def test_marks_of_any_form_are_not_ours(mark: str) -> None:
    plain = on_one_line(f"true {mark}")
    assert mark not in plain
    assert plain.replace(" ", "") == f"true{mark}".replace(" ", "")


def test_what_cannot_be_seen_is_removed_in_time_that_grows_with_the_text() -> None:
    started = time.process_time()
    on_one_line("a\u200b" * 300_000)
    assert time.process_time() - started < 3
