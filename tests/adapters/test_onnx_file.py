import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.adapters.onnx_file import Graph, read_weights

DTYPES = ("float32", "uint8", "int8", "int64")


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=200),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 300), max_size=3)),
        max_size=4,
    )
)
def test_constants_are_read_as_they_were_written(
    constants: dict[str, tuple[str, list[int]]],
) -> None:
    drawn = np.random.default_rng(0)
    arrays = {
        name: drawn.integers(0, 127, [min(size, 12) for size in shape]).astype(dtype)
        for name, (dtype, shape) in constants.items()
    }
    graph = Graph()
    for name, array in arrays.items():
        graph.constant(name, array)
    found = read_weights(graph.serialized("ids", "out"))
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_the_same_graph_is_the_same_bytes() -> None:
    def written() -> bytes:
        graph = Graph()
        graph.constant("axes", np.array([2]))
        graph.node("ReduceMax", ["x", "axes"], "y", keepdims=1)
        return graph.serialized("ids", "y")

    assert written() == written()


@pytest.mark.parametrize("data", [b"\x3a\xff", b"\x3b", b"\xff" * 4])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="at byte"):
        read_weights(data)
