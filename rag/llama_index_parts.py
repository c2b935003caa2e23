"""frugal-rag inside LlamaIndex: a retriever over our index, and our packer behind any retriever.

Importing this module imports ``llama_index.core`` (some seconds); nothing else here does.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.bridge.pydantic import ConfigDict, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import (
    BaseNode,
    MetadataMode,
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from rag.access import Caller, acting
from rag.answering import Answering
from rag.bm25 import idf
from rag.errors import UsageError, ValueRangeError
from rag.pack import Need, Packer, TokenAllowance
from rag.protocols import Analyzer, SentenceSplitter
from rag.results import Context, Evidence, Passage, Question
from rag.types import Chunk, Filter
from rag.worth import price

Metadata: TypeAlias = Mapping[str, Any]

_BETWEEN: Final = "\n\n"
_MOST_FRUGAL: Final = 0.5  # as in the settings


class FrugalRetriever(BaseRetriever):
    """Gives a query engine the packed sentences of our index: one node a line of the context.

    Their lines are within the budget [tokens of the configured tokenizer]; the blank lines that a
    response synthesiser puts between them are its own. The metadata say the document and where its
    characters stand. Nothing is found beyond the filter's tenant and labels.
    """

    def __init__(
        self,
        answering: Answering,
        where: Filter,
        budget_tokens: int,
        *,
        frugality: float = 0.0,
        deadline_seconds: float = 10.0,
    ) -> None:
        _check(budget_tokens, frugality)
        self._answering = answering
        self._where = where
        self._budget_tokens = budget_tokens
        self._frugality = frugality
        self._deadline_seconds = deadline_seconds
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        deadline = time.monotonic() + self._deadline_seconds
        question = Question(
            query_bundle.query_str, self._where, self._budget_tokens, deadline, self._frugality
        )
        where = self._where
        with acting(Caller("llama-index", where.tenant, frozenset({"query"}), where.labels)):
            return _nodes(self._answering.retrieve(question).context, "\n")


class TokenBudgetPostprocessor(BaseNodePostprocessor):
    """Keeps of any retriever's nodes the sentences that earn their tokens, within a budget.

    Sentences are weighed by the question's words, with IDF over the nodes given: give it ten or
    more nodes, as a retriever's ``similarity_top_k``, for that to mean something. What is kept has
    its node's metadata, and where it stands in the document if the node says where it does.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)
    budget_tokens: int
    frugality: float = 0.0
    _packer: Packer = PrivateAttr()
    _splitter: SentenceSplitter = PrivateAttr()

    def __init__(
        self,
        packer: Packer,
        splitter: SentenceSplitter,
        *,
        budget_tokens: int,
        frugality: float = 0.0,
    ) -> None:
        _check(budget_tokens, frugality)
        super().__init__(budget_tokens=budget_tokens, frugality=frugality)
        # Nodes are joined by blank lines in LlamaIndex's prompts, which count too.
        self._packer = replace(packer, template=replace(packer.template, line_separator=_BETWEEN))
        self._splitter = splitter

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores it."""
        return "TokenBudgetPostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise UsageError("nothing was asked", "no query", "give the query to postprocess_nodes")
        chunks = [self._chunk(found.node) for found in nodes]
        passages = [
            Passage(chunk, found.score or 0.0, ())
            for chunk, found in zip(chunks, nodes, strict=True)
        ]
        question = query_bundle.query_str
        need = Need(_idf(question, chunks, self._packer.analyzer), question)
        allowance = TokenAllowance(self.budget_tokens, price(self.frugality))
        context = self._packer.pack(passages, need, allowance)
        metadata = {found.node.node_id: found.node.metadata for found in nodes}
        return _nodes(context, _BETWEEN, metadata)

    def _chunk(self, node: BaseNode) -> Chunk:
        text = node.get_content(metadata_mode=MetadataMode.NONE)
        document = node.ref_doc_id or node.node_id
        title = str(node.metadata.get("title") or node.metadata.get("file_name") or "")
        tokens = self._packer.tokenizer.count(text)
        start = (node.start_char_idx if isinstance(node, TextNode) else None) or 0
        sentences = self._splitter.split(text)
        end = start + len(text)
        return Chunk(node.node_id, document, title, text, start, end, tokens, sentences)


def _idf(question: str, chunks: Sequence[Chunk], analyzer: Analyzer) -> dict[int, float]:
    """Return how rare the question's terms are among some chunks."""
    held = Counter(term for chunk in chunks for term in set(analyzer.terms(chunk.text)))
    return {term: idf(len(chunks), held[term]) for term in analyzer.terms(question) if held[term]}


def _check(budget_tokens: int, frugality: float) -> None:
    if budget_tokens < 1:
        raise ValueRangeError("budget_tokens", budget_tokens, "use 1 or more")
    if not 0 <= frugality <= _MOST_FRUGAL:
        raise ValueRangeError("frugality", frugality, f"use 0 to {_MOST_FRUGAL:g}")


def _nodes(
    context: Context, separator: str, known: Mapping[str, Metadata] | None = None
) -> list[NodeWithScore]:
    """Return the lines of a context as nodes, in their order.

    Args:
        context: What was packed.
        separator: What stands between its lines.
        known: Metadata by chunk id that are kept.
    """
    lines = context.text.split(separator) if context.evidence else []
    found = (
        [each for each in context.evidence if each.source == number]
        for number in range(1, len(lines) + 1)
    )
    return [
        _node(line, evidence, (known or {}).get(evidence[0].chunk.id, {}))
        for line, evidence in zip(lines, found, strict=True)
    ]


def _node(line: str, evidence: Sequence[Evidence], known: Metadata) -> NodeWithScore:
    first, last = evidence[0], evidence[-1]
    chunk = first.chunk
    metadata = {
        "page": chunk.page,
        **known,
        "doc_id": chunk.doc_id,
        "title": chunk.title,
        "start": first.span.start,
        "end": last.span.end,
    }
    hidden = list(metadata)
    identity = hashlib.sha256(f"{chunk.doc_id}\n{first.span.start}\n{line}".encode()).hexdigest()
    node = TextNode(
        id_=identity[:32],
        text=line,
        metadata=metadata,
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=hidden,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=chunk.doc_id)},
    )
    return NodeWithScore(node=node, score=max(e.score for e in evidence))
