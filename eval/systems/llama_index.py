"""The usual way, by LlamaIndex: the only importer of llama_index.

Nothing is turned down for the comparison: its own splitter, index and retriever, with the title as
metadata, which it embeds with each node and shows with it. Its vectors come from the embedder that
frugal-rag uses, over the first 256 tokens of a node, which is what the model was trained for and
what fastembed and sentence-transformers read of a longer text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llama_index.core import Document as LlamaDocument
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, MetadataMode
from pydantic import PrivateAttr

from eval.bench.shown import Shown
from eval.datasets import Case
from rag.bm25 import document_vector, query_vector
from rag.protocols import Analyzer, Embedder, Tokenizer
from rag.types import Document, SparseVector

_HYBRID_CANDIDATES = 10


class PlainEmbedding(BaseEmbedding):
    """The embedder as LlamaIndex wants it: one vector a text; queries may have one of their own."""

    _embedder: Embedder = PrivateAttr()
    _queries: Embedder = PrivateAttr()

    def __init__(self, embedder: Embedder, queries: Embedder | None = None) -> None:
        super().__init__(model_name=embedder.fingerprint)
        self._embedder = embedder
        self._queries = queries or embedder

    def _get_text_embedding(self, text: str) -> list[float]:
        vector: list[float] = self._embedder.embed_question(text).tolist()
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._queries.embed_question(query).tolist()
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


@dataclass(frozen=True, slots=True)
class LlamaSystem:
    """A LlamaIndex retriever; its nodes' texts are joined by blank lines, as its prompts do."""

    name: str
    setting: str
    retriever: BaseRetriever
    tokenizer: Tokenizer

    def show(self, case: Case) -> Shown:
        """Return what the response synthesiser would be given for a question."""
        text, documents = shown(self.retriever, case.text)
        return Shown(text, self.tokenizer.count(text), frozenset(documents))


def shown(retriever: BaseRetriever, question: str) -> tuple[str, tuple[str, ...]]:
    """Return the nodes' texts as LlamaIndex's prompts hold them; their documents, best first."""
    nodes = [found.node for found in retriever.retrieve(question)]
    text = "\n\n".join(node.get_content(metadata_mode=MetadataMode.LLM) for node in nodes)
    return text, tuple(dict.fromkeys(node.ref_doc_id or "" for node in nodes))


def split(documents: Sequence[Document], size: int, overlap: int) -> list[BaseNode]:
    """Return LlamaIndex's nodes of ``size`` tokens that overlap by ``overlap``."""
    splitter = SentenceSplitter(chunk_size=size, chunk_overlap=overlap)
    given = [
        LlamaDocument(id_=document.id, text=document.text, metadata={"title": document.title})
        for document in documents
    ]
    nodes: list[BaseNode] = splitter.get_nodes_from_documents(given)
    return nodes


def vector_index(
    nodes: Sequence[BaseNode], embedder: Embedder, queries: Embedder | None = None
) -> VectorStoreIndex:
    """Return LlamaIndex's default index: its in-memory store over dense vectors."""
    return VectorStoreIndex(list(nodes), embed_model=PlainEmbedding(embedder, queries))


def hybrid_index(
    nodes: Sequence[BaseNode],
    embedder: Embedder,
    analyzer: Analyzer,
    queries: Embedder | None = None,
) -> VectorStoreIndex:
    """Return LlamaIndex's hybrid recipe over Qdrant's local mode, with BM25 as sparse vectors."""
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient, models

    texts = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
    mean_length = sum(len(analyzer.terms(text)) for text in texts) / len(texts)
    store = QdrantVectorStore(
        "bench",
        client=QdrantClient(":memory:"),
        enable_hybrid=True,
        sparse_doc_fn=_encoder(lambda text: document_vector(analyzer.terms(text), mean_length)),
        sparse_query_fn=_encoder(lambda text: query_vector(analyzer.terms(text))),
        sparse_config=models.SparseVectorParams(modifier=models.Modifier.IDF),
    )
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex(
        list(nodes), storage_context=context, embed_model=PlainEmbedding(embedder, queries)
    )


def ingested(
    texts: Sequence[tuple[str, str]], embedder: Embedder, state: Path, cut: tuple[int, int]
) -> int:
    """Bring LlamaIndex's persistent store in ``state`` up to date with (id, text) documents.

    Its IngestionPipeline, cutting to (size, overlap) tokens, with a document store that leaves
    unchanged documents alone, and Qdrant's local mode on disk. Returns the number of nodes stored.
    """
    from llama_index.core.ingestion import IngestionPipeline
    from llama_index.core.storage.docstore import SimpleDocumentStore
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    client = QdrantClient(path=str(state / "qdrant"))
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(chunk_size=cut[0], chunk_overlap=cut[1]),
            PlainEmbedding(embedder),
        ],
        vector_store=QdrantVectorStore("bench", client=client),
        docstore=SimpleDocumentStore(),
    )
    if (state / "pipeline").is_dir():
        pipeline.load(str(state / "pipeline"))
    pipeline.run(
        documents=[LlamaDocument(id_=i, text=text, metadata={"file_name": i}) for i, text in texts]
    )
    pipeline.persist(str(state / "pipeline"))
    nodes = int(client.count("bench").count)
    client.close()
    return nodes


def dense_retriever(index: VectorStoreIndex, k: int) -> BaseRetriever:
    """Return the index's default retriever with the best ``k`` nodes."""
    return index.as_retriever(similarity_top_k=k)


def hybrid_retriever(index: VectorStoreIndex, k: int) -> BaseRetriever:
    """Return the hybrid retriever with the best ``k`` nodes after LlamaIndex's own fusion."""
    return index.as_retriever(
        vector_store_query_mode="hybrid",
        similarity_top_k=_HYBRID_CANDIDATES,
        sparse_top_k=_HYBRID_CANDIDATES,
        hybrid_top_k=k,
    )


def dense_system(label: str, index: VectorStoreIndex, k: int, tokenizer: Tokenizer) -> LlamaSystem:
    """Return the index with its default retriever."""
    return LlamaSystem(f"LlamaIndex {label}", f"k={k}", dense_retriever(index, k), tokenizer)


def hybrid_system(label: str, index: VectorStoreIndex, k: int, tokenizer: Tokenizer) -> LlamaSystem:
    """Return the index with its hybrid retriever."""
    retriever = hybrid_retriever(index, k)
    return LlamaSystem(f"LlamaIndex + Qdrant hybrid {label}", f"k={k}", retriever, tokenizer)


def _encoder(
    vector: Callable[[str], SparseVector],
) -> Callable[[list[str]], tuple[list[list[int]], list[list[float]]]]:
    def encode(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
        vectors = [vector(text) for text in texts]
        return [list(v.indices) for v in vectors], [list(v.values) for v in vectors]

    return encode
