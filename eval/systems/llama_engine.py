"""LlamaIndex's default query engine, with any of our generators as its language model.

Nothing of it is changed: its chat prompts, its compact synthesiser, its two nodes. The messages go
to the generator as they are, so that both sides of a comparison are written by one model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    CustomLLM,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.schema import NodeWithScore
from pydantic import PrivateAttr

from rag.generating import Message, Prompt, Role
from rag.protocols import Tokenizer

Write = Callable[[Prompt], str]

_ROLES: Final[dict[MessageRole, Role]] = {  # all that its default prompts have
    MessageRole.SYSTEM: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
}


class GeneratorLLM(CustomLLM):
    """A language model that writes with ``write``; a chat model, as LlamaIndex sees it.

    Its prompts' tokens are counted by ``tokenizer``, and have no version.
    """

    context_tokens: int
    answer_tokens: int
    _write: Write = PrivateAttr()
    _tokenizer: Tokenizer = PrivateAttr()

    def __init__(
        self, write: Write, tokenizer: Tokenizer, *, context_tokens: int, answer_tokens: int
    ) -> None:
        super().__init__(context_tokens=context_tokens, answer_tokens=answer_tokens)
        self._write = write
        self._tokenizer = tokenizer

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex stores it."""
        return "GeneratorLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex cuts its prompts to."""
        return LLMMetadata(
            context_window=self.context_tokens,
            num_output=self.answer_tokens,
            is_chat_model=True,
            model_name=self.class_name(),
        )

    def chat(self, messages: Sequence[ChatMessage], **_: object) -> ChatResponse:
        """Return the model's reply to some messages."""
        sent = tuple(_message(message) for message in messages)
        reply = ChatMessage(role="assistant", content=self._written(sent))
        return ChatResponse(message=reply)

    def complete(self, prompt: str, formatted: bool = False, **_: object) -> CompletionResponse:  # noqa: ARG002 -- LlamaIndex's signature
        """Return what the model replies to a text as the user's message."""
        return CompletionResponse(text=self._written((Message("user", prompt),)))

    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,
        **_: object,
    ) -> CompletionResponseGen:
        """Yield the whole reply at once."""
        yield self.complete(prompt, formatted)

    def _written(self, messages: tuple[Message, ...]) -> str:
        tokens = sum(self._tokenizer.count(message.text) for message in messages)
        return self._write(Prompt(messages, "llama-index", tokens))


def _message(message: ChatMessage) -> Message:
    return Message(_ROLES[message.role], message.content or "")


@dataclass(frozen=True, slots=True)
class Answered:
    """What a query engine said, and the ids of its nodes' documents, best first."""

    text: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LlamaEngine:
    """LlamaIndex's default query engine over an index."""

    engine: BaseQueryEngine

    def ask(self, question: str) -> Answered:
        """Return its whole answer."""
        response = self.engine.query(question)
        nodes: list[NodeWithScore] = response.source_nodes
        documents = dict.fromkeys(found.node.ref_doc_id or "" for found in nodes)
        return Answered(str(response), tuple(documents))


def default_engine(index: VectorStoreIndex, llm: GeneratorLLM, nodes: int) -> LlamaEngine:
    """Return the index's default query engine with the best ``nodes`` nodes."""
    return LlamaEngine(index.as_query_engine(llm=llm, similarity_top_k=nodes))
