"""What every reranker promises, and the fake."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rag.adapters.cross_encoder import CrossEncoderReranker
from rag.adapters.maxsim import MaxSimReranker
from rag.adapters.minilm import MiniLmEmbedder
from rag.adapters.onnx_file import _FLOAT, _INT64, Graph, _block, _number, _opset, _text, _varint
from rag.adapters.overlap_reranker import OverlapReranker
from rag.build import build_reranker
from rag.errors import AssetError
from rag.protocols import Reranker
from rag.settings import load_settings
from rag.types import Chunk

MakeChunk = Callable[..., Chunk]
TOKENIZER = Path(__file__).parents[2] / "rag" / "assets" / "all-minilm-l6-v2"
QUESTION = "How long are access logs kept?"


class TinyGraph(Graph):
    """A cross-encoder of one number a token: its score is the mean of (id modulo 7)."""

    def model(self) -> bytes:
        self.constant("seven", np.array([7], dtype=np.int64))
        self.constant("axis", np.array([1], dtype=np.int64))
        self.node("Mod", ["input_ids", "seven"], "rest")
        self.node("Cast", ["rest"], "float", to=1)
        self.node("ReduceMean", ["float", "axis"], "score", keepdims=1)
        graph = [_block(1, node) for node in self._nodes] + [_text(2, "tiny")]
        graph += [_block(5, constant) for constant in self._constants.values()]
        graph += [_block(11, _matrix("input_ids", _INT64)), _block(12, _matrix("score", _FLOAT))]
        return _number(1, 10) + _opset("", 18) + _block(7, b"".join(graph))


def _matrix(name: str, code: int) -> bytes:
    dims = _block(1, _text(2, "rows")) + _block(1, _text(2, f"{name} columns"))
    return _text(1, name) + _block(2, _block(1, _number(1, code) + _block(2, dims)))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole cross-encoder as a user would have it, if a tiny one."""
    assert _varint(300) == b"\xac\x02"
    path = tmp_path_factory.mktemp("cross-encoder")
    for file in TOKENIZER.glob("*.json"):
        (path / file.name).write_bytes(file.read_bytes())
    (path / "model.onnx").write_bytes(TinyGraph().model())
    return path


@pytest.fixture(scope="session", params=["fake", "maxsim", "cross-encoder"])
def reranker(request: pytest.FixtureRequest, folder: Path) -> Reranker:
    if request.param == "fake":
        return OverlapReranker()
    if request.param == "maxsim":
        return MaxSimReranker(MiniLmEmbedder())
    return CrossEncoderReranker(str(folder))


@pytest.fixture
def chunks(make_chunk: MakeChunk) -> list[Chunk]:
    return [
        make_chunk(["The canteen opens at noon."], title="Canteen"),
        make_chunk(["Access logs are kept for 30 days.", "Then they go."], title="Retention"),
        make_chunk(["Logs \ud800 of access."]),
    ]


def test_one_finite_score_a_chunk(reranker: Reranker, chunks: list[Chunk]) -> None:
    scores = reranker.rerank(QUESTION, chunks)
    assert len(scores) == len(chunks)
    assert all(type(score) is float and np.isfinite(score) for score in scores)
    assert reranker.rerank(QUESTION, []) == ()
    assert len(reranker.rerank("?", chunks)) == len(chunks)


def test_a_score_does_not_depend_on_what_is_scored_beside_it(
    reranker: Reranker, chunks: list[Chunk]
) -> None:
    together = reranker.rerank(QUESTION, chunks)
    assert together == tuple(reranker.rerank(QUESTION, [chunk])[0] for chunk in chunks)
    assert together == reranker.rerank(QUESTION, chunks[::-1])[::-1]


@pytest.mark.parametrize("kind", ["fake", "maxsim"])
def test_what_answers_comes_first(kind: str, chunks: list[Chunk]) -> None:
    encoder = MaxSimReranker(MiniLmEmbedder())
    judge: Reranker = OverlapReranker() if kind == "fake" else encoder
    scores = judge.rerank(QUESTION, chunks)
    assert scores.index(max(scores)) == 1


def test_a_cross_encoder_reads_the_question_and_titles(folder: Path, make_chunk: MakeChunk) -> None:
    judge = CrossEncoderReranker(str(folder))
    chunk = make_chunk(["Soup."], title="Canteen")
    (plain,) = judge.rerank(QUESTION, [chunk])
    (other,) = judge.rerank("Who cooks?", [chunk])
    (untitled,) = judge.rerank(QUESTION, [make_chunk(["Soup."])])
    assert len({plain, other, untitled}) == 3


def test_a_cross_encoder_that_is_not_there_is_named(tmp_path: Path) -> None:
    for model in ("no-such/model", str(tmp_path)):
        with pytest.raises(AssetError, match="the reranker cannot be loaded"):
            CrossEncoderReranker(model)


def test_the_configured_reranker_is_built(folder: Path) -> None:
    assert build_reranker(load_settings()) is None
    maxsim = build_reranker(load_settings(reranker="maxsim"))
    assert isinstance(maxsim, MaxSimReranker)
    own = load_settings(reranker="cross-encoder", reranker_model=str(folder))
    assert isinstance(build_reranker(own), CrossEncoderReranker)


def test_maxsim_reads_with_the_embedder_that_is_loaded_already() -> None:
    encoder = MiniLmEmbedder()
    shared = build_reranker(load_settings(reranker="maxsim"), encoder)
    assert isinstance(shared, MaxSimReranker)
    assert shared._encoder is encoder
