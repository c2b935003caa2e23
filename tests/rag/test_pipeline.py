import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ingest.chunk import Chunker, chunk_document
from rag import bm25
from rag.adapters.edge_index import EdgeIndex
from rag.adapters.edge_layout import IndexConfig
from rag.adapters.hash_embedder import HashEmbedder
from rag.adapters.memory_index import MemoryIndex
from rag.adapters.minilm import DIMENSION, MiniLmEmbedder
from rag.build import build_analyzer, build_splitter, build_tokenizer
from rag.errors import DeadlineError, IndexStateError, QuestionTooLongError, UsageError
from rag.pack import Packer
from rag.pipeline import Parts, Pipeline, Policy
from rag.place import Place
from rag.protocols import Embedder, IndexReader
from rag.results import Answer, Question, Receipt
from rag.retrieve import Retrieval
from rag.routing import Thresholds
from rag.saved import Baseline, Comparison
from rag.settings import load_settings
from rag.terms import indexed_text
from rag.types import Block, Document, Filter, Point, SearchHits, SearchQuery, StoredChunk

ANALYZER = build_analyzer()
TOKENIZER = build_tokenizer(load_settings())
PACKER = Packer(TOKENIZER, ANALYZER)
POLICY = Policy(
    retrieval=Retrieval(candidates=50, passages=20, dense_weight=0.5),
    thresholds=Thresholds(answer=0.0),
    max_question_chars=200,
    place=lambda: Place(None, None, None, 1.0),
    fingerprint="0123456789ab",
)
CORPUS = {
    "leave": (
        "Leave",
        (
            "Every employee has 28 days of paid leave a year. Up to five days may be carried over "
            "into the next year.\n\nParental leave lasts sixteen weeks and is fully paid."
        ),
    ),
    "logs": (
        "Log retention",
        (
            "Access logs are kept for 30 days and then deleted. "
            "Audit logs are kept for seven years because the regulator asks for them."
        ),
    ),
    "travel": (
        "Travel",
        "Trains are booked in second class. Flights under 600 kilometres are not reimbursed.",
    ),
    "security": (
        "Security",
        (
            "Report a lost laptop to the duty officer, Maria Keller, within one hour. "
            "Passwords have at least fourteen characters."
        ),
    ),
    "office": (
        "Office",
        "The office in Bern opens at 7:30 on weekdays. Visitors sign in at the reception.",
    ),
    "service": (
        "Query service",
        "The query service listens on port 8443.\nIts health page needs no token.",
    ),
}


def document(doc_id: str, title: str, body: str) -> Document:
    text = f"{title}\n\n{body}"
    blocks = [Block(0, len(title), "heading", (title,))]
    for paragraph in body.split("\n\n"):
        start = text.index(paragraph, blocks[-1].end)
        blocks.append(Block(start, start + len(paragraph), "paragraph", (title,)))
    return Document(doc_id, title, text, tuple(blocks), "text/plain", tags=("handbook",))


DOCUMENTS = {doc_id: document(doc_id, *content) for doc_id, content in CORPUS.items()}


def points(tenant: str, documents: Sequence[Document], embedder: Embedder | None) -> list[Point]:
    chunker = Chunker(TOKENIZER, build_splitter(), 64)
    return [
        Point(
            tenant,
            chunk,
            bm25.document_vector(ANALYZER.terms(indexed_text(chunk)), 20.0),
            embedder.embed_passage(chunk) if embedder else None,
        )
        for each in documents
        for chunk in chunk_document(each, chunker)
    ]


@dataclass
class Slow:
    """An index that takes its time."""

    index: IndexReader
    seconds: float

    def search(self, query: SearchQuery) -> SearchHits:
        time.sleep(self.seconds)
        return self.index.search(query)

    def fetch(self, tenant: str, chunk_ids: Sequence[str]) -> tuple[StoredChunk, ...]:
        return self.index.fetch(tenant, chunk_ids)

    def count(self, where: Filter) -> int:
        return self.index.count(where)


def pipeline_over(
    index: IndexReader, embedder: Embedder | None, policy: Policy = POLICY
) -> Pipeline:
    return Pipeline(Parts(PACKER, ANALYZER, embedder, index, lambda: 7), policy)


def question(text: str, tenant: str = "here", seconds: float = 60.0, budget: int = 128) -> Question:
    return Question(text, Filter(tenant), budget, time.monotonic() + seconds)


@pytest.fixture(scope="module", params=["neural", "lexical"])
def parts(request: pytest.FixtureRequest) -> tuple[IndexReader, Embedder | None]:
    """An index of two tenants in memory, with and without vectors."""
    embedder = HashEmbedder() if request.param == "neural" else None
    index = MemoryIndex(64 if embedder else None)
    index.upsert(points("here", list(DOCUMENTS.values()), embedder))
    theirs = document("theirs", "Secrets", "Their access logs are kept for 99 days. Nobody knows.")
    index.upsert(points("there", [theirs], embedder))
    return index, embedder


@pytest.fixture(scope="module")
def pipeline(parts: tuple[IndexReader, Embedder | None]) -> Pipeline:
    return pipeline_over(*parts)


@pytest.fixture(scope="module")
def neural(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The real thing: MiniLM vectors in an embedded index, at the default threshold."""
    embedder = MiniLmEmbedder()
    path = tmp_path_factory.mktemp("edge") / "index"
    with EdgeIndex.create(path, IndexConfig(DIMENSION)) as index:
        index.upsert(points("here", list(DOCUMENTS.values()), embedder))
        index.commit()
        threshold = load_settings().answer_threshold
        yield pipeline_over(
            index, embedder, replace(POLICY, thresholds=Thresholds(answer=threshold))
        )


def stages(receipt: Receipt) -> list[str]:
    return [step.stage for step in receipt.trace]


def assert_quotes(answer: Answer) -> None:
    for cited in (*answer.citations, *answer.nearest):
        assert DOCUMENTS[cited.doc_id].text[cited.start : cited.end] == cited.quote


@pytest.mark.parametrize(
    ("asked", "doc_id", "part"),
    [
        ("How many days of paid leave does an employee have?", "leave", "28 days"),
        ("How long are audit logs kept?", "logs", "seven years"),
        ("Who must be told about a lost laptop?", "security", "Maria Keller"),
        ("When does the office in Bern open?", "office", "7:30"),
        ("Which port does the query service listen on?", "service", "8443"),
    ],
)
def test_end_to_end_answers_with_an_exact_citation(
    neural: Pipeline, asked: str, doc_id: str, part: str
) -> None:
    answer = neural.answer(question(asked))
    assert answer.text is not None
    assert part in answer.text
    assert [cited.doc_id for cited in answer.citations] == [doc_id]
    assert answer.groundedness == 1.0
    assert answer.confidence >= 0.5
    assert_quotes(answer)


@pytest.mark.parametrize(
    "asked",
    [
        "What is the boiling point of tungsten?",
        "Who won the football world cup in 1990?",
        "How do I bake sourdough bread?",
    ],
)
def test_end_to_end_abstains_on_what_the_documents_do_not_answer(
    neural: Pipeline, asked: str
) -> None:
    answer = neural.answer(question(asked))
    assert (answer.abstained, answer.text, answer.citations) == (True, None, ())
    assert answer.reason is not None
    assert "enough confidence" in answer.reason
    assert answer.groundedness is None
    assert 1 <= len(answer.nearest) <= 3
    assert len({cited.doc_id for cited in answer.nearest}) == len(answer.nearest)
    assert_quotes(answer)


def test_end_to_end_other_words_for_the_same_thing_lead_to_the_sentence(neural: Pipeline) -> None:
    answer = neural.answer(question("What if my notebook computer is stolen?"))
    shown = answer.citations or answer.nearest
    assert shown[0].quote.startswith("Report a lost laptop")


def test_an_exact_answer_is_shown_from_the_threshold_on(
    parts: tuple[IndexReader, Embedder | None],
) -> None:
    asked = question("How long are audit logs kept?")
    short = pipeline_over(*parts).answer(asked).short
    assert short is not None
    assert (short.form, short.text) == ("phrase", "seven years")
    (span,) = short.spans
    assert DOCUMENTS["logs"].text[span.start : span.end] == "seven years"
    unsure = replace(POLICY, thresholds=Thresholds(answer=short.confidence + 1e-9))
    answer = pipeline_over(*parts, unsure).answer(asked)
    assert answer.short is None


def test_the_choice_behind_an_answer(parts: tuple[IndexReader, Embedder | None]) -> None:
    asked = question("How long are audit logs kept?")
    pipeline = pipeline_over(*parts)
    choice, answer = pipeline.choice(asked), pipeline.answer(asked)
    assert choice is not None
    assert (choice.evidence.text, choice.confidence) == (answer.text, answer.confidence)
    assert choice.short == answer.short
    assert pipeline.choice(question("Who?", tenant="nobody")) is None


def test_an_answer_of_either_tier(pipeline: Pipeline) -> None:
    answer = pipeline.answer(question("How long are audit logs kept?"))
    assert answer.text == (
        "Audit logs are kept for seven years because the regulator asks for them."
    )
    assert (answer.abstained, answer.reason, answer.nearest) == (False, None, ())
    assert answer.groundedness == 1.0
    assert_quotes(answer)


def test_an_answer_over_two_lines_is_written_on_one_and_quoted_verbatim(
    pipeline: Pipeline,
) -> None:
    answer = pipeline.answer(question("Which port does the query service listen on?"))
    (cited,) = answer.citations
    assert answer.text == " ".join(cited.quote.split())
    assert_quotes(answer)


def test_the_trace_holds_every_stage_in_order_with_its_reason(pipeline: Pipeline) -> None:
    answer = pipeline.answer(question("How long are audit logs kept?"))
    trace = answer.receipt.trace
    assert stages(answer.receipt) == ["guard", "retrieve", "pack", "answer", "verify"]
    assert trace[0].decision == "admitted"
    assert trace[1].decision.endswith(" passages")
    packed = f" sentences, {answer.context.tokens} tokens: {answer.context.stopped}"
    assert trace[2].decision.endswith(packed)
    assert trace[3].decision == "extract: the best sentence"
    assert trace[4].decision == "1.00 of the answer is in its citations"
    assert sum(step.seconds for step in trace) <= answer.receipt.seconds
    assert all(step.joules is not None and step.seconds >= 0 for step in trace)


def test_an_abstention_says_why_and_is_not_verified(
    parts: tuple[IndexReader, Embedder | None],
) -> None:
    strict = pipeline_over(*parts, replace(POLICY, thresholds=Thresholds(answer=1.0)))
    answer = strict.answer(question("How long are audit logs kept?"))
    assert answer.reason == (
        f"no sentence answers it with enough confidence ({answer.confidence:.2f} < 1.00)"
    )
    assert stages(answer.receipt) == ["guard", "retrieve", "pack", "answer"]
    assert answer.receipt.trace[-1].decision == f"abstain: {answer.reason}"
    assert answer.nearest[0].doc_id == "logs"


def test_the_threshold_itself_is_enough(parts: tuple[IndexReader, Embedder | None]) -> None:
    asked = question("How long are audit logs kept?")
    confidence = pipeline_over(*parts).answer(asked).confidence
    exact = pipeline_over(*parts, replace(POLICY, thresholds=Thresholds(answer=confidence)))
    assert not exact.answer(asked).abstained


def test_retrieve_gives_the_context_that_an_answer_is_taken_from(pipeline: Pipeline) -> None:
    asked = question("How long are audit logs kept?")
    retrieved, answer = pipeline.retrieve(asked), pipeline.answer(asked)
    assert retrieved.context == answer.context
    assert stages(retrieved.receipt) == ["guard", "retrieve", "pack"]
    assert TOKENIZER.count(retrieved.context.text) == retrieved.context.tokens <= 128


def test_the_receipt_tells_usage_and_what_produced_the_answer(pipeline: Pipeline) -> None:
    answer = pipeline.answer(question("How long are audit logs kept?", budget=40))
    receipt = answer.receipt
    assert receipt.usage.context_tokens == answer.context.tokens <= 40
    assert (receipt.usage.budget_tokens, receipt.usage.tokenizer) == (40, "cl100k_base")
    assert receipt.usage.prompt_tokens is None
    assert receipt.usage.cached_tokens is None
    assert receipt.usage.completion_tokens is None
    assert (receipt.generation, receipt.fingerprint) == (7, "0123456789ab")
    assert (receipt.cache, receipt.saved) == ("off", None)


def test_the_receipt_tells_what_was_saved_against_a_baseline(
    parts: tuple[IndexReader, Embedder | None],
) -> None:
    baseline = Baseline("other", "0a", "set", 9, "here", "cl100k_base", 900.0, None, None)
    comparison = Comparison(baseline, same_machine=True)
    compared = pipeline_over(*parts, replace(POLICY, baseline=comparison))
    asked = question("How long are audit logs kept?", budget=40)
    for receipt in (compared.answer(asked).receipt, compared.retrieve(asked).receipt):
        assert receipt.saved is not None
        assert receipt.saved.context_tokens == 900 - receipt.usage.context_tokens
        assert (receipt.saved.system, receipt.saved.joules) == ("other", None)


def test_what_is_not_known_of_the_place_is_not_made_up(pipeline: Pipeline) -> None:
    impact = pipeline.answer(question("How long are audit logs kept?")).receipt.impact
    assert (impact.gco2e, impact.litres, impact.region) == (None, None, None)
    assert impact.basis == "estimated"
    assert impact.joules is not None
    assert impact.cpu_seconds is not None
    assert 0 < impact.joules.low <= impact.joules.high
    assert 0 < impact.cpu_seconds.low <= impact.cpu_seconds.high


def test_carbon_and_water_where_the_place_is_known(
    parts: tuple[IndexReader, Embedder | None],
) -> None:
    place = Place(400.0, 2.0, "a region", 1.2)
    known = pipeline_over(*parts, replace(POLICY, place=lambda: place))
    impact = known.retrieve(question("How long are audit logs kept?")).receipt.impact
    assert impact.joules is not None
    assert impact.gco2e is not None
    assert impact.litres is not None
    assert impact.gco2e.low == pytest.approx(impact.joules.low / 3.6e6 * 400)
    assert impact.litres.high == pytest.approx(impact.joules.high / 3.6e6 * 2)
    assert impact.region == "a region"


def test_tenants_see_nothing_of_each_other(pipeline: Pipeline) -> None:
    asked = "How long are access logs kept?"
    ours, theirs = pipeline.answer(question(asked)), pipeline.answer(question(asked, "there"))
    assert {e.chunk.doc_id for e in theirs.context.evidence} == {"theirs"}
    assert "theirs" not in {e.chunk.doc_id for e in ours.context.evidence}
    assert "99" not in ours.context.text
    nobody = pipeline.answer(question(asked, "nobody"))
    assert nobody.context.text == ""
    assert nobody.reason == "no document holds a word of the question, or none may be looked at"
    assert (nobody.confidence, nobody.nearest) == (0.0, ())


@pytest.mark.parametrize("method", ["answer", "retrieve"])
def test_blank_and_too_long_questions_are_refused(pipeline: Pipeline, method: str) -> None:
    run: Callable[[Question], object] = getattr(pipeline, method)
    with pytest.raises(UsageError, match="blank"):
        run(question(" \n"))
    with pytest.raises(QuestionTooLongError):
        run(question("x" * 201))


@pytest.mark.parametrize("method", ["answer", "retrieve"])
def test_a_question_past_its_deadline_is_stopped(
    parts: tuple[IndexReader, Embedder | None], method: str
) -> None:
    run: Callable[[Question], object] = getattr(pipeline_over(*parts), method)
    with pytest.raises(DeadlineError, match="before guard"):
        run(question("How long are logs kept?", seconds=-1.0))
    index, embedder = parts
    slow: Callable[[Question], object] = getattr(pipeline_over(Slow(index, 0.2), embedder), method)
    with pytest.raises(DeadlineError, match="before pack"):
        slow(question("How long are logs kept?", seconds=0.1))


def test_the_errors_of_an_index_come_through(tmp_path: Path) -> None:
    index = EdgeIndex.create(tmp_path / "index", IndexConfig(None))
    index.close()
    with pytest.raises(IndexStateError):
        pipeline_over(index, None).answer(question("How long are logs kept?"))


@pytest.mark.parametrize("asked", ["\x00", "?", "\ud800", "🙂" * 50, "a " * 100, "' OR 1=1 --"])
def test_odd_questions_are_answered_or_abstained_from(pipeline: Pipeline, asked: str) -> None:
    answer = pipeline.answer(question(asked))
    assert answer.abstained == (answer.text is None)
    assert answer.context.tokens <= 128
    assert_quotes(answer)


def test_the_same_question_has_the_same_answer(pipeline: Pipeline) -> None:
    asked = question("How many days of paid leave are there?")
    first, second = pipeline.answer(asked), pipeline.answer(asked)
    assert (first.text, first.context, first.confidence) == (
        second.text,
        second.context,
        second.confidence,
    )


def test_the_lexical_tier_never_imports_the_model_runtime() -> None:
    program = """
import sys, time
from rag.adapters.memory_index import MemoryIndex
from rag.build import build_pipeline
from rag.results import Question
from rag.settings import load_settings
from rag.types import Filter
pipeline = build_pipeline(load_settings(tier="lexical"), MemoryIndex(), lambda: None)
answer = pipeline.answer(Question("Why?", Filter("t"), 64, time.monotonic() + 60))
assert answer.abstained
print(sorted({"fastembed", "onnxruntime", "qdrant_edge", "fastapi"} & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"
