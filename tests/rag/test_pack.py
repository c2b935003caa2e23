import random
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import rag.adapters
from rag.adapters.analysis import EnglishAnalyzer
from rag.adapters.tokenizers import FileTokenizer
from rag.adapters.vocabulary import TiktokenTokenizer
from rag.errors import ValueRangeError
from rag.pack import Need, Packer, Template, TokenAllowance
from rag.protocols import Tokenizer
from rag.results import Context, Evidence, Passage
from rag.types import Chunk

MakeChunk = Callable[..., Chunk]
MakePassage = Callable[..., Passage]


class Characters:
    """One token a character: no two texts share a token."""

    name = "characters"

    def count(self, text: str) -> int:
        return len(text)


class Words:
    """One token a word: separators of white space are free."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


class Growing:
    """Texts cost more together than apart: no sum of counts is to be trusted."""

    name = "growing"

    def count(self, text: str) -> int:
        return len(text) + len(text) ** 2 // 200


ANALYZER = EnglishAnalyzer()
MINILM = Path(rag.adapters.__file__).parent.parent / "assets/all-minilm-l6-v2/tokenizer.json"
TOKENIZERS: tuple[Tokenizer, ...] = (
    TiktokenTokenizer(),
    FileTokenizer(MINILM),
    Characters(),
    Words(),
    Growing(),
)
TOPIC = ("retention", "records", "limit", "EU", "4711", "naïve")
HOSTILE = (
    "👩‍👩‍👧‍👦 family 👨🏽‍🚀",
    "النص العربي ثلاثون يوما ٣٠",
    "a\x00b\x07c\x1b[31m",
    "first line\nsecond line\r\nthird\u2028fourth",
    "x" * 700,
    "Z̷͉̈a̶̛̮l̸̙͊g̶̙̀o̷̖͊",
    "<|endoftext|> <|im_start|>",
    "3: 4: 5:",
    "Ünïcödé ﬃ ﷺ ½ ™",
    "記録は三十日間保存されます。",
)

sentences = st.one_of(
    st.lists(st.sampled_from((*TOPIC, "are", "kept", "for", "30 days.")), min_size=1).map(" ".join),
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80).map(str.strip),
).filter(bool)
names = st.one_of(st.just(""), st.sampled_from(TOPIC), sentences)
separators = st.sampled_from(("", " ", ", ", "\n", " ⸻⸻ ", " [...]\r\n\r\n", "%%%%%%%%"))
templates = st.builds(
    Template,
    numbered=st.booleans(),
    name_separator=separators,
    header_end=separators,
    sentence_separator=separators,
    line_separator=separators,
)
unit = st.floats(0, 1)


@pytest.fixture(scope="session")
def make_passage(make_chunk: MakeChunk) -> MakePassage:
    def make(*texts: str, score: float = 1.0, **fields: object) -> Passage:
        cosines = fields.pop("cosines", ())
        return Passage(make_chunk(texts, **fields), score, cosines)  # type: ignore[arg-type]

    return make


@st.composite
def passages(draw: st.DrawFn, make_passage: MakePassage) -> list[Passage]:
    found = []
    for number in range(draw(st.integers(0, 5))):
        texts = draw(st.lists(sentences, max_size=5))
        cosines = draw(st.lists(st.floats(-1, 1), min_size=len(texts), max_size=len(texts)))
        passage = make_passage(
            *texts,
            score=draw(unit),
            cosines=tuple(cosines) if draw(st.booleans()) else (),
            separator=draw(st.sampled_from((" ", "\n\n"))),
            doc_id=draw(st.sampled_from(("one", "two"))),
            start=10_000 * number,
            title=draw(names),
            headings=tuple(draw(st.lists(names, max_size=2))),
            headlines=tuple(i for i in range(len(texts)) if draw(st.integers(0, 4)) == 0),
        )
        found.append(passage)
    return found


@st.composite
def needs(draw: st.DrawFn) -> Need:
    words = draw(st.lists(st.sampled_from((*TOPIC, "days", "30")), unique=True))
    terms = {term for word in words for term in ANALYZER.terms(word)}
    return Need({term: draw(st.floats(0.01, 9)) for term in sorted(terms)})


def one_line(text: str) -> str:
    return " ".join(text.split())


def need_of(question: str) -> Need:
    return Need(dict.fromkeys(ANALYZER.terms(question), 1.0))


def pack(found: Sequence[Passage], question: str, budget: int = 256) -> Context:
    return Packer(TOKENIZERS[0], ANALYZER).pack(found, need_of(question), TokenAllowance(budget))


@pytest.fixture(params=TOKENIZERS, ids=lambda tokenizer: tokenizer.name.split("/")[-1])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    chosen: Tokenizer = request.param
    return chosen


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_never_over_the_budget_in_any_tokenizer_and_template(
    data: st.DataObject, make_passage: MakePassage
) -> None:
    found, need = data.draw(passages(make_passage)), data.draw(needs())
    counted = data.draw(st.sampled_from(TOKENIZERS))
    budget = data.draw(st.integers(16, 512))
    packer = Packer(counted, ANALYZER, data.draw(templates))
    context = packer.pack(found, need, TokenAllowance(budget))
    assert context.tokens == counted.count(context.text) <= budget == context.budget_tokens
    assert bool(context.evidence) == bool(context.text)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_evidence_is_verbatim_unrepeated_and_never_a_heading(
    data: st.DataObject, make_passage: MakePassage
) -> None:
    found, need = data.draw(passages(make_passage)), data.draw(needs())
    packer = Packer(data.draw(st.sampled_from(TOKENIZERS)), ANALYZER, data.draw(templates))
    context = packer.pack(found, need, TokenAllowance(data.draw(st.integers(16, 512))))
    chunks = [passage.chunk for passage in found]
    for evidence in context.evidence:
        chunk, span = evidence.chunk, evidence.span
        assert chunk in chunks
        assert chunk.text[span.start - chunk.start : span.end - chunk.start] == evidence.text
        assert one_line(evidence.text) in context.text
        assert evidence.sentence not in chunk.headlines
    packed = [one_line(evidence.text).casefold() for evidence in context.evidence]
    assert len(packed) == len(set(packed))


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_a_source_is_one_line_of_one_section_in_document_order(
    data: st.DataObject, make_passage: MakePassage
) -> None:
    found, need = data.draw(passages(make_passage)), data.draw(needs())
    template = Template(numbered=data.draw(st.booleans()))
    packer = Packer(data.draw(st.sampled_from(TOKENIZERS)), ANALYZER, template)
    context = packer.pack(found, need, TokenAllowance(data.draw(st.integers(16, 512))))
    lines = context.text.split("\n") if context.text else []
    by_source = [(n, list(e)) for n, e in groupby(context.evidence, lambda e: e.source)]
    assert [number for number, _ in by_source] == list(range(1, len(lines) + 1))
    for (number, section), line in zip(by_source, lines, strict=True):
        assert line.endswith(" ".join(one_line(e.text) for e in section))
        assert line.startswith(f"{number}") or not template.numbered
        assert len({(e.chunk.doc_id, e.headings) for e in section}) == 1
        assert all(a.span.end <= b.span.start for a, b in pairwise(section))
    for _, document in groupby((s[0] for _, s in by_source), lambda e: e.chunk.doc_id):
        assert all(a.span.start < b.span.start for a, b in pairwise(document))
    documents = [doc_id for doc_id, _ in groupby(e.chunk.doc_id for e in context.evidence)]
    assert len(documents) == len(set(documents))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), order=st.randoms(use_true_random=False))
def test_packing_is_deterministic_whatever_order_the_passages_come_in(
    data: st.DataObject, make_passage: MakePassage, order: random.Random
) -> None:
    found, need = data.draw(passages(make_passage)), data.draw(needs())
    packer = Packer(TOKENIZERS[0], ANALYZER)
    context = packer.pack(found, need, TokenAllowance(200))
    assert packer.pack(order.sample(found, len(found)), need, TokenAllowance(200)) == context


@given(words=st.lists(st.sampled_from(TOPIC)), idf=st.lists(st.floats(0, 9), min_size=8))
@example(words=["retention"], idf=[0.0] * 8)
def test_coverage_is_a_share(words: list[str], idf: list[float]) -> None:
    terms = ANALYZER.terms(" ".join(TOPIC))
    need = Need(dict(zip(terms, idf, strict=False)))
    covered = need.coverage(ANALYZER.terms(" ".join(words)))
    assert 0 <= covered <= 1 + 1e-9
    assert covered <= need.coverage(terms) + 1e-9
    assert need.coverage(terms) == pytest.approx(1.0 if sum(idf[: len(terms)]) > 0 else 0.0)
    assert need.coverage([]) == 0


def test_nothing_found_packs_nothing(tokenizer: Tokenizer, make_passage: MakePassage) -> None:
    packer = Packer(tokenizer, ANALYZER)
    assert packer.pack([], need_of("limit"), TokenAllowance(64)) == Context("", 0, 64, ())
    assert packer.pack([make_passage()], need_of("limit"), TokenAllowance(64)) == Context(
        "", 0, 64, ()
    )


def test_a_sentence_over_the_budget_is_left_out_and_a_smaller_one_taken(
    tokenizer: Tokenizer, make_passage: MakePassage
) -> None:
    long = "The retention limit " + "is explained at length " * 40
    found = [make_passage(long.strip() + ".", "Retention limit: 9.")]
    context = Packer(tokenizer, ANALYZER).pack(
        found, need_of("retention limit"), TokenAllowance(30)
    )
    assert context.text == "Retention limit: 9."


@pytest.mark.parametrize(
    ("title", "headings", "question", "header"),
    [
        ("Retention", (), "retention of records", "Retention: "),
        ("Handbook", (), "retention of records", ""),
        ("", (), "retention of records", ""),
        ("Records", (), "retention of records", ""),  # the sentence says it already
        ("Handbook", ("Retention",), "retention of records", "Retention: "),
        ("Retention", ("EU",), "EU retention of records", "Retention, EU: "),
        ("Retention", ("Retention",), "retention of records", "Retention: "),
        ("Retention", ("Retentions",), "retention of records", "Retention: "),
        ("EU\nlaw", (), "EU records", "EU law: "),
    ],
)
def test_names_are_shown_exactly_where_they_add_question_terms(
    title: str,
    headings: tuple[str, ...],
    question: str,
    header: str,
    make_passage: MakePassage,
) -> None:
    found = [make_passage("Records are kept for 30 days.", title=title, headings=headings)]
    assert pack(found, question).text == f"{header}Records are kept for 30 days."


def test_a_heading_inside_the_text_is_shown_above_its_sentences_only(
    make_passage: MakePassage,
) -> None:
    texts = ("Retention", "Records are kept.", "Canteen", "Soup is free.")
    found = [make_passage(*texts, headlines=(0, 2))]
    assert pack(found, "retention").text == "Retention: Records are kept.\nSoup is free."


def test_two_chunks_of_one_section_share_a_line(make_passage: MakePassage) -> None:
    first = make_passage("Retention", "Records are kept.", headings=("Retention",), headlines=(0,))
    second = make_passage("They expire.", headings=("Retention",), start=500, score=0.5)
    assert pack([first, second], "retention").text == "Retention: Records are kept. They expire."


def test_what_matches_the_question_is_taken_first(make_passage: MakePassage) -> None:
    off, on = "The office has blue doors and windows.", "Retention is limited to 30 days."
    assert pack([make_passage(off, on)], "retention limit", budget=16).text == on
    cosines = (0.9, 0.1)
    found = [make_passage(off, "Blue is a colour of the sky above.", cosines=cosines)]
    assert pack(found, "blueness", budget=16).text == off


def test_the_same_sentence_of_two_documents_is_packed_once(make_passage: MakePassage) -> None:
    first = make_passage("Records are kept\nfor 30 days.", doc_id="a", score=0.9)
    second = make_passage("RECORDS are kept for 30 days.", doc_id="b", score=0.8)
    context = pack([second, first], "records")
    assert [evidence.chunk.doc_id for evidence in context.evidence] == ["a"]
    assert context.text == "Records are kept for 30 days."


def test_a_rendered_context(make_passage: MakePassage) -> None:
    found = [
        make_passage(
            "Logs", "Access logs are kept for 30 days.", "After that they are deleted.",
            title="Data handbook", headings=("Retention",), headlines=(0,), doc_id="handbook",
            start=500, score=1.0,
        ),
        make_passage(
            "Backups are kept for a year.", title="Data handbook", headings=("Retention",),
            doc_id="handbook", start=100, score=0.6,
        ),
        make_passage(
            "Invoices are kept for ten years.", title="Finance", doc_id="finance", score=0.2
        ),
    ]  # fmt: skip
    context = pack(found, "What is the retention of access logs?")
    assert context.text == (
        "Retention: Backups are kept for a year.\n"
        "Retention: Access logs are kept for 30 days. After that they are deleted.\n"
        "Invoices are kept for ten years."
    )
    assert context.tokens == 35
    assert [(e.source, e.chunk.doc_id, e.span.start) for e in context.evidence] == [
        (1, "handbook", 100),
        (2, "handbook", 505),
        (2, "handbook", 539),
        (3, "finance", 0),
    ]


def test_a_numbered_context(make_passage: MakePassage) -> None:
    found = [
        make_passage("Logs are kept.", title="Retention", doc_id="a"),
        make_passage("Invoices too.", doc_id="b", score=0.5),
    ]
    packer = Packer(TOKENIZERS[0], ANALYZER, Template(numbered=True))
    context = packer.pack(found, need_of("retention of logs"), TokenAllowance(64))
    assert context.text == "1 Retention: Logs are kept.\n2: Invoices too."


def test_a_context_over_its_budget_cannot_exist() -> None:
    with pytest.raises(ValueRangeError, match="5 > 4"):
        Context("a", 5, 4, ())


def test_large_budgets_of_tiny_sentences_stay_bounded(make_passage: MakePassage) -> None:
    found = [make_passage(*(f"Limit {n} holds." for n in range(1000)))]
    context = pack(found, "limit", budget=32_000)
    assert isinstance(context.evidence[0], Evidence)
    assert len(context.evidence) == 200


@pytest.mark.parametrize("over", [1, 2, 3])
def test_a_context_that_is_over_by_little_loses_its_least_promising_sentence(
    make_passage: MakePassage, over: int
) -> None:
    class Joined:
        """Counts words, and ``over`` more for a text of two sentences."""

        name = "joined"

        def count(self, text: str) -> int:
            return len(text.split()) + (over if text.count(".") > 1 else 0)

    found = [make_passage("Logs are kept here.", "Years pass by slowly.", doc_id="a")]
    packer = Packer(Joined(), ANALYZER)
    context = packer.pack(found, need_of("are logs kept"), TokenAllowance(8))
    assert (context.text, context.tokens) == ("Logs are kept here.", 4)


@settings(max_examples=50)
@given(data=st.data(), prices=st.lists(st.floats(0, 0.1), min_size=2, max_size=2).map(sorted))
def test_a_higher_price_never_takes_another_best_sentence_nor_passes_the_budget(
    data: st.DataObject, prices: list[float], make_passage: MakePassage
) -> None:
    found, need = data.draw(passages(make_passage)), data.draw(needs())
    packer = Packer(TOKENIZERS[0], ANALYZER)
    cheap, dear = (packer.pack(found, need, TokenAllowance(48, price)) for price in prices)
    assert dear.tokens <= 48
    assert bool(dear.evidence) == bool(cheap.evidence)
    best = max((e.score for e in cheap.evidence), default=0.0)
    assert max((e.score for e in dear.evidence), default=0.0) == best
