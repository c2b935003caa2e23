"""Example responses for the interface's description; a test checks them against the schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_QUOTE = "The pump is covered for 24 months from delivery."
_TITLE = "Pump manual"
_CITATION: Final[Mapping[str, object]] = {
    "doc_id": "manuals/pump.pdf",
    "title": _TITLE,
    "quote": _QUOTE,
    "start": 1840,
    "end": 1840 + len(_QUOTE),
    "page": 7,
    "headings": ["Warranty"],
    "also_in": [],
}
_RECEIPT: Final[Mapping[str, object]] = {
    "usage": {
        "context_tokens": 118,
        "budget_tokens": 256,
        "prompt_tokens": None,
        "cached_tokens": None,
        "completion_tokens": None,
        "tokenizer": "cl100k_base",
        "reported": None,
    },
    "impact": {
        "joules": {"low": 0.03, "high": 0.09},
        "gco2e": None,
        "litres": None,
        "cpu_seconds": {"low": 0.011, "high": 0.021},
        "basis": "estimated",
        "region": None,
        "grid": None,
        "embodied_gco2e": None,
        "market_gco2e": None,
    },
    "saved": None,
    "cache": "off",
    "trace": None,
    "fingerprint": "0f3a9c51d2be",
    "generation": 12,
    "seconds": 0.014,
    "model": None,
}
_CONTEXT: Final[Mapping[str, object]] = {"text": f"[1] {_TITLE}\n{_QUOTE}", "tokens": 118}

QUESTION: Final[Mapping[str, Any]] = {
    "question": "How long is the warranty of the pump?",
    "budget_tokens": 256,
    "frugality": 0.02,
    "filter": {"tags": ["manuals"], "since": "2024-01-01"},
}
ANSWER: Final[Mapping[str, object]] = {
    **_RECEIPT,
    "answer": _QUOTE,
    "abstained": False,
    "reason": None,
    "confidence": 0.87,
    "short": "24 months",
    "short_form": "phrase",
    "short_spans": [{"start": 1864, "end": 1873}],
    "short_confidence": 0.71,
    "groundedness": 1.0,
    "citations": [_CITATION],
    "nearest": [],
    "context": None,
}
CONTEXT: Final[Mapping[str, object]] = {
    **_RECEIPT,
    "context": _CONTEXT,
    "evidence": [{**_CITATION, "source": 1, "score": 0.64}],
}
STREAM: Final = (
    f"event: text\ndata: {json.dumps({'text': _QUOTE})}\n\n"
    f"event: receipt\ndata: {json.dumps(ANSWER)}\n\n"
)
