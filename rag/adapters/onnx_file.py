"""The little of the ONNX format that one model needs: read its weights, write a graph anew.

ONNX is Protocol Buffers: a message is a run of fields, each a key (number and wire type) and a
value. Source: protobuf.dev, "Encoding"; field numbers from onnx.proto of ONNX 1.16.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Source: TensorProto.DataType of onnx.proto.
_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("u1"),
    3: np.dtype("i1"),
    7: np.dtype("<i8"),
}
_CODES = {dtype: code for code, dtype in _TYPES.items()}
_FLOAT, _INT64 = 1, 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_IR_VERSION, _OPSET = 10, 18
_MICROSOFT = "com.microsoft"
_MICROSOFT_OPS = frozenset({"BiasGelu", "MatMulIntegerToFloat", "MultiHeadAttention"})


def read_weights(model: bytes) -> dict[str, Array]:
    """Return the numeric constants of a serialized model by name, as views of its bytes.

    Raises:
        ValueError: The bytes are not fields of Protocol Buffers.
    """
    found = {}
    for graph in _values(memoryview(model), 7):
        for tensor in _values(graph, 5):
            code = next(_values(tensor, 2))
            if code in _TYPES:
                shape = tuple(_values(tensor, 1))
                raw = np.frombuffer(next(_values(tensor, 9)), dtype=_TYPES[code])
                found[bytes(next(_values(tensor, 8))).decode()] = raw.reshape(shape)
    return found


class Graph:
    """A graph under construction; ``constant`` and ``node`` return the names of what they add."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: dict[str, bytes] = {}

    def constant(self, name: str, value: Array) -> str:
        """Add an array of float32, uint8, int8 or int64."""
        dims = b"".join(_number(1, size) for size in value.shape)
        kind = _number(2, _CODES[value.dtype])
        raw = np.ascontiguousarray(value).tobytes()
        self._constants[name] = dims + kind + _text(8, name) + _block(9, raw)
        return name

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: float) -> str:
        """Add an operator with one output; its attributes are floats or integers >= 0."""
        parts = [_text(1, name) for name in inputs]
        parts += [_text(2, output), _text(4, op)]
        parts += [_block(5, _attribute(name, value)) for name, value in attributes.items()]
        if op in _MICROSOFT_OPS:
            parts.append(_text(7, _MICROSOFT))
        self._nodes.append(b"".join(parts))
        return output

    def serialized(self, ids: str, output: str) -> bytes:
        """Return the model: from int64 ``ids`` (1, n) to float32 ``output`` (1, n, d)."""
        graph = [_block(1, node) for node in self._nodes]
        graph.append(_text(2, "graph"))
        graph += [_block(5, constant) for constant in self._constants.values()]
        graph.append(_block(11, _value_info(ids, _INT64, 2)))
        graph.append(_block(12, _value_info(output, _FLOAT, 3)))
        opsets = [_opset("", _OPSET), _opset(_MICROSOFT, 1)]
        return b"".join([_number(1, _IR_VERSION), *opsets, _block(7, b"".join(graph))])


def _values(message: memoryview, wanted: int) -> Iterator[Any]:
    """Yield the values of one field: integers, or views of what has a length."""
    at = 0
    value: int | memoryview
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
        elif kind in {_BYTES, _FIXED32, _FIXED64}:
            length = {_FIXED32: 4, _FIXED64: 8}.get(kind)
            if length is None:
                length, at = _read_varint(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if key >> 3 == wanted:
            yield value


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError(f"cut off at byte {at}")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _block(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _block(field, value.encode())


def _attribute(name: str, value: float) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, 2)
    fixed = _varint(2 << 3 | _FIXED32) + struct.pack("<f", value)
    return _text(1, name) + fixed + _number(20, 1)


def _value_info(name: str, code: int, rank: int) -> bytes:
    shape = _block(1, _text(2, "batch")) + _block(1, _text(2, "tokens"))
    shape += _block(1, b"") * (rank - 2)
    tensor = _number(1, code) + _block(2, shape)
    return _text(1, name) + _block(2, _block(1, tensor))


def _opset(domain: str, version: int) -> bytes:
    return _block(8, _text(1, domain) + _number(2, version))
