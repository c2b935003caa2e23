import re
import unicodedata
from itertools import pairwise
from typing import TypeAlias, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.chunk import Chunker, chunk_document, chunk_id
from ingest.partition import balanced_cuts
from rag.adapters.sentences import NupunktSplitter
from rag.adapters.vocabulary import TiktokenTokenizer
from rag.errors import ValueRangeError
from rag.protocols import Tokenizer
from rag.types import Block, BlockKind, Chunk, Document, Span


class WordTokenizer:
    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


class CharacterTokenizer:
    name = "characters"

    def count(self, text: str) -> int:
        return len(text)


class PlainSplitter:
    """Splits after an end mark before white space."""

    def split(self, text: str) -> tuple[Span, ...]:
        ends = [m.end() for m in re.finditer(r"[.!?](?=\s)", text)] + [len(text)]
        spans = []
        start = 0
        for end in ends:
            piece = text[start:end]
            left = start + len(piece) - len(piece.lstrip())
            if piece.strip():
                spans.append(Span(left, left + len(piece.strip())))
            start = end
        return tuple(spans)


CL100K = TiktokenTokenizer("cl100k_base")
TOKENIZERS = (WordTokenizer(), CharacterTokenizer(), CL100K)
WORDS = ("pump", "valve", "a", "3.5", "e.g.", "reset.", "Stop!", "pH", "of", "the", "—", "x" * 90)

hostile_text = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=st.characters(min_codepoint=0x4E00, max_codepoint=0x4E80), max_size=120),
    st.text(alphabet="\u0301e\u200d👩🏽🇩🇪\ufe0f🏴", max_size=60),
    st.text(alphabet="\n\t \u00a0\u2028\r\x1c", max_size=40),
    st.sampled_from(["A" * 700, "ab\x00" * 50, "\ufdfa" * 20, "።" * 40, "\ud800" * 9, ". " * 90]),
    st.lists(st.sampled_from(WORDS), max_size=90).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=60).map("\n".join),
)
kinds: st.SearchStrategy[BlockKind] = st.sampled_from(get_args(BlockKind))
paths = st.lists(st.sampled_from(["A", "B", "C"]), max_size=3).map(tuple)
short_gaps = st.sampled_from(["", " ", "\n", "\n\n"])
any_gaps = st.sampled_from(["", " ", "\n", "\n\n", " " * 200, "stray", "\n- "])


@st.composite
def documents(draw: st.DrawFn, gaps: st.SearchStrategy[str] = any_gaps) -> Document:
    text = draw(gaps)
    blocks = []
    rows = draw(st.lists(st.tuples(hostile_text, kinds, paths, gaps), max_size=9))
    for page, (piece, kind, path, gap) in enumerate(rows, start=1):
        blocks.append(Block(len(text), len(text) + len(piece), kind, path, page))
        text += piece + gap
    return Document("doc", "Title", text, tuple(blocks), "text/plain", ("tag",), "2025-01-31")


def outside(text: str, spans: list[tuple[int, int]]) -> str:
    """What is left of a text without the spans, which must be ordered and disjoint."""
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))


def check(document: Document, chunks: tuple[Chunk, ...], chunker: Chunker) -> None:
    assert not outside(document.text, [(c.start, c.end) for c in chunks]).strip()
    for chunk in chunks:
        assert document.text[chunk.start : chunk.end] == chunk.text
        assert chunk.tokens == chunker.tokenizer.count(chunk.text) <= chunker.limit_tokens
        assert chunk.text.strip() == chunk.text != ""
        assert not outside(chunk.text, [(s.start, s.end) for s in chunk.sentences]).strip()
        assert all(chunk.text[s.start : s.end].strip() for s in chunk.sentences)
        assert (chunk.title, chunk.tags, chunk.date) == ("Title", ("tag",), "2025-01-31")
    assert len({chunk.id for chunk in chunks}) == len(chunks)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.sampled_from(TOKENIZERS), st.sampled_from([16, 32, 50, 192]))
def test_every_document_gives_exact_bounded_disjoint_chunks(
    document: Document, tokenizer: Tokenizer, limit: int
) -> None:
    chunker = Chunker(tokenizer, PlainSplitter(), limit)
    chunks = chunk_document(document, chunker)
    check(document, chunks, chunker)
    assert chunk_document(document, chunker) == chunks


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.sampled_from([32, 192]))
def test_the_real_splitter_and_tokenizer_keep_the_invariants(
    document: Document, limit: int
) -> None:
    chunker = Chunker(CL100K, NupunktSplitter(), limit)
    check(document, chunk_document(document, chunker), chunker)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(short_gaps), st.sampled_from(TOKENIZERS[:2]), st.sampled_from([32, 192]))
def test_structure_bounds_sentences_and_headings_keep_their_text(
    document: Document, tokenizer: Tokenizer, limit: int
) -> None:
    chunks = chunk_document(document, Chunker(tokenizer, PlainSplitter(), limit))
    edges = {c.start + s.start for c in chunks for s in c.sentences}
    for block in document.blocks:
        piece = document.text[block.start : block.end]
        lines = piece.split("\n") if block.kind == "code" else [piece]
        at = block.start
        for line in lines:
            if line.strip():
                assert at + len(line) - len(line.lstrip()) in edges
            at += len(line) + 1
    for chunk, following in pairwise(chunks):
        inside = [b for b in document.blocks if b.start < chunk.end and chunk.start < b.end]
        covered = sum(b.end - b.start for b in inside)
        if covered >= len(chunk.text) and all(b.kind == "heading" for b in inside):
            # A heading stands alone only if it is over the limit itself or, with the gap to its
            # text, takes more than half of it.
            over = any(tokenizer.count(document.text[b.start : b.end]) > limit for b in inside)
            gap = following.start - chunk.end
            assert over or chunk.tokens + gap + 2 > limit // 2


@given(st.text(alphabet=" \n\t\u00a0\u2003", max_size=30))
def test_a_blank_document_has_no_chunks(text: str) -> None:
    blocks = (Block(0, len(text), "paragraph"),)
    chunker = Chunker(WordTokenizer(), PlainSplitter(), 32)
    assert chunk_document(Document("d", "", text, blocks, "text/plain"), chunker) == ()


Row: TypeAlias = tuple[str, BlockKind, tuple[str, ...]]


def built(*rows: Row, doc_id: str = "d") -> Document:
    text = ""
    blocks: list[Block] = []
    for piece, kind, path in rows:
        blocks.append(Block(len(text), len(text) + len(piece), kind, path, len(blocks) + 1))
        text += piece + "\n\n"
    return Document(doc_id, "Manual", text, tuple(blocks), "text/markdown")


def cut(document: Document, limit: int = 32) -> tuple[Chunk, ...]:
    return chunk_document(document, Chunker(WordTokenizer(), PlainSplitter(), limit))


def prose(sentences: int, words: int = 8) -> str:
    return " ".join("word " * (words - 1) + f"end{i}." for i in range(sentences))


def test_a_section_begins_a_chunk_and_names_its_headings() -> None:
    first, second = cut(
        built(
            ("# Pumps", "heading", ("Pumps",)),
            (prose(3), "paragraph", ("Pumps",)),
            ("# Valves", "heading", ("Valves",)),
            (prose(3), "paragraph", ("Valves",)),
        )
    )
    assert first.text.startswith("# Pumps\n\nword")
    assert (first.headings, first.page) == (("Pumps",), 1)
    assert (second.headings, second.page) == (("Valves",), 3)


def test_small_siblings_share_a_chunk_under_what_they_have_in_common() -> None:
    rows: list[Row] = [("FAQ", "heading", ("FAQ",))]
    for name in ("One", "Two", "Three"):
        rows += [(name, "heading", ("FAQ", name)), ("A short answer.", "paragraph", ("FAQ", name))]
    (chunk,) = cut(built(*rows))
    assert chunk.headings == ("FAQ",)
    assert chunk.text.count("A short answer.") == 3


def test_small_sections_of_different_parents_stay_apart() -> None:
    rows: list[Row] = [
        ("Short text here.", "paragraph", ("A", "x")),
        ("Other one.", "paragraph", ("B", "y")),
    ]
    assert [c.headings for c in cut(built(*rows))] == [("A", "x"), ("B", "y")]


def test_a_long_section_is_cut_into_near_equal_parts_between_sentences() -> None:
    chunks = cut(built((prose(5), "paragraph", ())))
    assert [c.tokens for c in chunks] in ([16, 24], [24, 16])
    assert all(c.text.endswith(".") for c in chunks)


def test_a_block_boundary_wins_over_a_slightly_better_balance() -> None:
    rows: tuple[Row, ...] = (prose(3, 8), "paragraph", ()), (prose(3, 10), "paragraph", ())
    assert [c.tokens for c in cut(built(*rows), limit=40)] == [24, 30]


def test_code_that_fits_is_kept_whole_with_a_sentence_per_line() -> None:
    code = "\n".join(f"line {i}" for i in range(12))
    rows: tuple[Row, ...] = (
        (prose(2), "paragraph", ()),
        (code, "code", ()),
        (prose(2), "paragraph", ()),
    )
    chunks = cut(built(*rows))
    (holder,) = [c for c in chunks if "line 0" in c.text]
    assert code in holder.text
    assert sum(s.end - s.start <= 7 for s in holder.sentences) == 12


def test_headings_without_text_go_with_the_text_that_follows() -> None:
    path = ("H1", "H2")
    rows: list[Row] = [("H1", "heading", ("H1",)), ("H2", "heading", path)]
    chunks = cut(built(*rows, (prose(4), "paragraph", path)))
    assert chunks[0].text.startswith("H1\n\nH2\n\nword")
    assert all("word" in c.text for c in chunks)


def test_a_heading_stays_with_code_that_would_just_fit_without_it() -> None:
    code = "\n".join(f"line {i}" for i in range(16))
    chunks = cut(built(("The heading", "heading", ("h",)), (code, "code", ("h",))))
    assert "line 0" in chunks[0].text
    assert max(c.tokens for c in chunks) <= 32


def test_a_word_over_the_limit_is_cut_between_graphemes() -> None:
    family = "👩🏽\u200d🔬"
    chunker = Chunker(CharacterTokenizer(), PlainSplitter(), 18)
    text = family * 40
    blocks = (Block(0, len(text), "paragraph"),)
    chunks = chunk_document(Document("d", "", text, blocks, "text/plain"), chunker)
    assert "".join(c.text for c in chunks) == text
    assert all(len(c.text) % len(family) == 0 for c in chunks)


def test_one_grapheme_over_the_limit_is_cut_inside() -> None:
    text = "e" + "\u0301" * 100
    assert unicodedata.combining(text[1])
    chunker = Chunker(CharacterTokenizer(), PlainSplitter(), 16)
    document = Document("d", "", text, (), "text/plain")
    assert max(c.tokens for c in chunk_document(document, chunker)) <= 16


def test_ids_depend_on_document_place_and_text_and_parts_cannot_run_together() -> None:
    assert chunk_id("d", 1, 23, "t") != chunk_id("d", 12, 3, "t")
    assert chunk_id("d1", 2, 3, "t") != chunk_id("d", 12, 3, "t")
    same, other = (
        cut(built(("text", "paragraph", ()), doc_id="e")),
        cut(built(("text", "paragraph", ()))),
    )
    assert same[0].text == other[0].text
    assert same[0].id != other[0].id
    assert re.fullmatch("[0-9a-f]{32}", same[0].id)


def test_time_grows_linearly_with_a_hostile_text() -> None:
    text = "A" * 300_000 + "\n" + "a\n" * 20_000
    document = Document("d", "", text, (Block(0, len(text), "code"),), "text/plain")
    chunks = chunk_document(document, Chunker(CL100K, PlainSplitter(), 192))
    assert sum(len(c.text.replace("\n", "")) for c in chunks) == 320_000


def test_a_limit_without_room_for_a_heading_is_refused() -> None:
    with pytest.raises(ValueRangeError, match="15"):
        Chunker(WordTokenizer(), PlainSplitter(), 15)


def test_a_character_over_the_limit_is_an_error() -> None:
    class Expanding:
        name = "expanding"

        def count(self, text: str) -> int:
            return 40 * len(text)

    document = Document("d", "", "ab", (), "text/plain")
    with pytest.raises(ValueRangeError, match="character"):
        chunk_document(document, Chunker(Expanding(), PlainSplitter(), 32))


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2), st.sampled_from([0.0, 0.2, 5.0]))),
    st.integers(4, 20),
)
def test_cuts_are_the_cheapest_of_all(units: list[tuple[int, int, float]], limit: int) -> None:
    units = units[:8]
    sizes = [unit[0] for unit in units]
    gaps = [unit[1] for unit in units]
    costs = [unit[2] for unit in units]
    chosen = balanced_cuts(sizes, gaps, costs, limit)
    assert [i for a, b in chosen for i in range(a, b)] == list(range(len(sizes)))
    if not sizes:
        return

    def size(first: int, end: int) -> int:
        return sum(sizes[first:end]) + sum(gaps[first + 1 : end])

    target = max(1.0, size(0, len(sizes)) / -(-size(0, len(sizes)) // limit))

    def cost(ranges: list[tuple[int, int]]) -> float:
        if any(size(a, b) > limit and b - a > 1 for a, b in ranges):
            return float("inf")
        return sum((size(a, b) / target - 1) ** 2 + (costs[a] if a else 0) for a, b in ranges)

    every = []
    for mask in range(2 ** (len(sizes) - 1)):
        edges = [0, *(i + 1 for i in range(len(sizes) - 1) if mask >> i & 1), len(sizes)]
        every.append(list(pairwise(edges)))
    assert cost(chosen) == pytest.approx(min(cost(ranges) for ranges in every))
