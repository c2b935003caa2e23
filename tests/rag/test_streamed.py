import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.build import build_splitter
from rag.streamed import LONGEST, Said, SentenceStream

SPLITTER = build_splitter()


def read(text: str, size: int = 7) -> list[Said]:
    stream = SentenceStream(SPLITTER)
    said = []
    for start in range(0, len(text), size):
        said += stream.feed(text[start : start + size])
    return [*said, *stream.end()]


def short(text: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(said.text, said.marks) for said in read(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It is tall [1]. It is old.[2] It is red. [3]", [(1,), (2,), (3,)]),
        ("[1] It is tall. [2] It is old.", [(1,), (2,)]),
        ("It is tall [1, 2]. It is old [1][3].", [(1, 2), (1, 3)]),
        ("It is tall [1-3]. It is old [[4]].", [(1, 2, 3), (4,)]),
        ("It is tall [^1]. It is old [Source 2].", [(1,), (2,)]),
        ("It is tall 【1】. It is old. 【2】 It is red", [(1,), (2,), ()]),
        ("It is tall. It is old.", [(), ()]),
        ("It is tall [1]. [2] It is old.", [(1,), (2,)]),
        ("It is tall [1–9999].", [tuple(range(1, 22))]),
        ("It is [ 1] and [x] and [0] and `a[1]`.", [()]),
    ],
)
def test_marks_go_to_their_sentence(text: str, wanted: object) -> None:
    assert [said.marks for said in read(text)] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Dr. Smith built it in 1889 [1]. It cost 3.5 million, e.g. for steel.", 2),
        ("The U.S. has 50 states [1]. They vary.", 2),
        ("He said “Yes.” [1] Then he left.", 2),
        ("Version 2.1.0 is out [1]. See v3.x for more.", 2),
        ("No end mark [1]\nNo end mark either [2]", 2),
        ("日本は国です [1]\n次の文です [2]", 2),
        ("", 0),
        ("[1]", 0),
        (" \n \n", 0),
    ],
)
def test_sentences_are_whole(text: str, wanted: object) -> None:
    assert len(read(text)) == wanted


def test_marks_leave_no_gap() -> None:
    assert short("It is tall [1] . It, too [2], is old [3].") == [
        ("It is tall .", (1,)),
        ("It, too, is old.", (2, 3)),
    ]


def test_list_items_stand_alone_with_their_bullets() -> None:
    text = "There are:\n- a tower [1]\n* a bridge. Old [2]\n\n1. first [3]\n12) twelfth\n# Head"
    assert read(text) == [
        Said("There are:", (), ""),
        Said("- a tower", (1,), "\n"),
        Said("* a bridge.", (), "\n"),
        Said("Old", (2,), " "),
        Said("1. first", (3,), "\n"),
        Said("12) twelfth", (), "\n"),
        Said("# Head", (), "\n"),
    ]


def test_a_block_of_code_is_one_sentence() -> None:
    text = "Run it:\n```python\nx = a[1]. More here\n\nprint(x)\n``` [2]\nThen stop. ```a``` [1]"
    assert read(text) == [
        Said("Run it:", (), ""),
        Said("```python\nx = a[1]. More here\n\nprint(x)\n```", (2,), "\n"),
        Said("Then stop.", (), "\n"),
        Said("```a```", (1,), " "),
    ]
    assert [said.text for said in read("```\nnever closed [1]\nat all")] == [
        "```\nnever closed [1]\nat all"
    ]


def test_a_sentence_is_said_as_soon_as_the_next_has_a_word() -> None:
    stream = SentenceStream(SPLITTER)
    assert list(stream.feed("It is tall [1]. [2")) == []
    assert list(stream.feed("] It")) == []
    assert list(stream.feed(" is")) == [Said("It is tall.", (1,), "")]
    assert list(stream.end()) == [Said("It is", (2,), " ")]


PIECES = st.sampled_from(
    [
        *("It is tall", ". ", " [1]", "[2]", "\n", "- ", "```", "Dr. ", "e.g. ", "3.5 ", "! "),
        *("[", "]", "`", " ", '"', "1. ", "word ", "é", "x" * 900, "[1, ", "。", "\r\n", "…"),
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join), st.integers(1, 40))
def test_how_a_stream_is_cut_makes_no_difference(text: str, size: int) -> None:
    assert read(text, size) == read(text, 10**6)


@given(st.lists(PIECES, max_size=25).map("".join))
def test_nothing_is_said_that_was_not_there(text: str) -> None:
    for said in read(text):
        assert len(said.text) <= LONGEST + 1
        if not said.marks:
            assert said.text.replace("\r", "") in text.replace("\r", "") or said.too_long


@pytest.mark.parametrize(
    "text",
    [
        "x" * 300_000,
        "word " * 50_000,
        "[1]" * 100_000,
        "[" * 300_000,
        "." * 300_000,
        ". " * 20_000,
        "A. [1] " * 8_000,
        " " * 1_000_000,
        "```\n" + "x\n" * 100_000,
        "`" * 300_000,
        "[1, " * 100_000,
        "1. " * 10_000,
    ],
)
def test_whatever_comes_takes_bounded_time(text: str) -> None:
    started = time.process_time()
    said = read(text, 50)
    assert time.process_time() - started < 3
    assert all(len(each.text) <= LONGEST + 1 for each in said)


def test_after_an_endless_sentence_the_next_is_read() -> None:
    said = read("word " * 1000 + "end. The next one is short [1]. And one more.")
    assert [each.too_long for each in said] == [True, False, False]
    assert said[1:] == [Said("The next one is short.", (1,), " "), Said("And one more.", (), " ")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("It is tall.\n[1]\nIt is old.\n\n [2], [3].\n", [(1,), (2, 3)]),
        ("It is tall.\n[1]", [(1,)]),
        ("- tall\n[1]\n- old\n【2】", [(1,), (2,)]),
        ("It is tall.\n[1] It is old.", [(), (1,)]),
        ("It is tall [1].\n[2] It is old.", [(1,), (2,)]),
        ("```\nx\n```\n[1]\nIt is old.", [(1,), ()]),
        ("```\n[1]\nx\n```", [()]),
        ("It is tall.\n[1\nIt is old.", [(), (), ()]),
        ("It is tall.\n" + " " * 3_000 + "\n[1]\n", [()]),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_line_of_marks_belongs_to_the_line_before(text: str, wanted: object, size: int) -> None:
    assert [said.marks for said in read(text, size)] == wanted


def test_a_line_is_handed_on_once_the_next_has_begun() -> None:
    stream = SentenceStream(SPLITTER)
    assert list(stream.feed("It is tall\n")) == []
    assert list(stream.feed("[1")) == []
    assert [said.marks for said in stream.feed("] and")] == [()]
    stream = SentenceStream(SPLITTER)
    assert [said.marks for said in stream.feed("It is tall [1]\n")] == [(1,)]


@pytest.mark.parametrize("text", ["```\n[1]\nx\n```", "```\nx\n\n[1]\ny\n```"])
def test_a_line_of_marks_within_code_is_code(text: str) -> None:
    assert short(text) == [(text, ())]
