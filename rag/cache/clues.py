"""A clue as bytes, and back: the vector as float32, else the weights of the index terms."""

from __future__ import annotations

import json

from rag.cache.neighbours import weights
from rag.cache.values import Clue

_VECTOR, _TERMS = b"v", b"t"


def clue_to(clue: Clue) -> bytes:
    """Return a clue as bytes."""
    if clue.vector is not None:
        return _VECTOR + clue.vector.astype("<f4").tobytes()
    return _TERMS + json.dumps(list(weights(clue).items())).encode("ascii")


def clue_from(data: bytes) -> Clue:
    """Return the clue that ``clue_to`` wrote."""
    if data[:1] == _VECTOR:
        import numpy as np

        return Clue(np.frombuffer(data[1:], dtype="<f4").astype(np.float32))
    held = json.loads(data[1:])
    return Clue(None, tuple(term for term, _ in held), dict(held))
