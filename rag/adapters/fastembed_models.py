"""Models that run by fastembed, whose only importer this is: what it names or files of one's own.

The shipped model is loaded from its package. A reranker is one of those that fastembed lists, which
it downloads on first use, or a folder with ``model.onnx``, ``tokenizer.json`` and
``tokenizer_config.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rag.errors import AssetError

_MODEL_FILE = "model.onnx"


def embedding_session(name: str, model_file: Path, folder: Path, threads: int) -> Any:  # noqa: ANN401 -- fastembed's own class
    """Return the session of the embedding model ``model_file``; ``folder`` holds its tokenizer."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    if all(known["model"] != name for known in TextEmbedding.list_supported_models()):
        TextEmbedding.add_custom_model(
            name,
            pooling=PoolingType.MEAN,
            normalization=True,
            sources=ModelSource(url="file:packaged"),
            dim=384,
            model_file=str(model_file),
        )
    embedding = TextEmbedding(
        name,
        threads=threads,
        specific_model_path=str(folder),
        local_files_only=True,
        enable_cpu_mem_arena=False,
    )
    wrapper: Any = embedding.model
    return wrapper.model


class CrossEncoderModel:
    """A cross-encoder: scores a text by reading it together with the question.

    Args:
        model: A name that fastembed lists, or the path of a folder.
        threads: Threads of one forward pass.

    Raises:
        AssetError: It is neither, or cannot be loaded or downloaded.
    """

    def __init__(self, model: str, threads: int = 1) -> None:
        self._model = _cross_encoder(model, threads)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one score a text, any real number, more is better."""
        # One by one: without padding a score does not depend on what is scored beside it.
        return [float(score) for score in self._model.rerank(question, texts, batch_size=1)]


def _cross_encoder(model: str, threads: int) -> Any:  # noqa: ANN401 -- fastembed's own class
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    folder = Path(model)
    try:
        if not folder.is_dir():
            return TextCrossEncoder(model, threads=threads)
        _register(str(folder))
        return TextCrossEncoder(
            str(folder), threads=threads, specific_model_path=str(folder), local_files_only=True
        )
    except Exception as exc:  # what it raises depends on where it downloads from
        remedy = "name a cross-encoder that fastembed lists, or a folder that holds one"
        raise AssetError("the reranker cannot be loaded", model, f"{remedy} ({exc})") from exc


def _register(name: str) -> None:
    from fastembed.common.model_description import ModelSource
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    known = {each["model"].lower() for each in TextCrossEncoder.list_supported_models()}
    if name.lower() not in known:
        TextCrossEncoder.add_custom_model(
            name, sources=ModelSource(url="file:own"), model_file=_MODEL_FILE
        )
