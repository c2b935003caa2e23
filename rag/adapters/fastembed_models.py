"""Models that run by fastembed, whose only importer this is: what it names or files of one's own.

The shipped model is loaded from its package. A reranker is one of those that fastembed lists, which
it downloads on first use, or a folder with ``model.onnx``, ``tokenizer.json`` and
``tokenizer_config.json``.
"""

from __future__ import annotations

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


def cross_encoder(model: str, threads: int) -> Any:  # noqa: ANN401 -- fastembed's own class
    """Return the session of a cross-encoder: a name that fastembed lists, or a folder's path.

    Raises:
        AssetError: It is neither, or cannot be loaded or downloaded.
    """
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
