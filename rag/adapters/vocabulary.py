"""Token counts by tiktoken's vocabularies: the only importer of tiktoken."""

from __future__ import annotations

import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import AssetError

if TYPE_CHECKING:
    import tiktoken

_ASSETS = Path(__file__).parent.parent / "assets" / "tiktoken"


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """Where an encoding's merge ranks lie: in the package or in tiktoken's own cache folder."""

    sha256: str
    cached_as: str


# Both hashes are those of tiktoken 0.14.0: sha256 of the content (tiktoken_ext/openai_public.py)
# and the name that tiktoken gives the file in TIKTOKEN_CACHE_DIR (tiktoken/load.py).
_VOCABULARIES = {
    "cl100k_base": _Vocabulary(
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    ),
    "o200k_base": _Vocabulary(
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        "fb374d419588a4632f3f557e76b4b70aebbca790",
    ),
}
# Source: tiktoken 0.14.0, tiktoken_ext/openai_public.py, cl100k_base().
_CL100K_PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"""
    r"""|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)


class TiktokenTokenizer:
    """Counts tokens in a tiktoken encoding; special-token strings count as plain text.

    Nothing is ever downloaded: ``cl100k_base`` is packaged, ``o200k_base`` is taken from
    ``TIKTOKEN_CACHE_DIR`` when its file is there.
    """

    def __init__(self, encoding: str = "cl100k_base") -> None:
        if encoding not in _VOCABULARIES:
            known = ", ".join(_VOCABULARIES)
            raise AssetError("unknown tokenizer", encoding, f"use {known} or a tokenizer.json")
        self._name = encoding
        self._encoding = _load(encoding)

    @property
    def name(self) -> str:
        """The encoding's name."""
        return self._name

    def count(self, text: str) -> int:
        """Return the number of tokens of ``text``; lone surrogates count as U+FFFD."""
        return len(self._encoding.encode_ordinary(text))


def _load(name: str) -> tiktoken.Encoding:
    import tiktoken

    data = _vocabulary_bytes(name)
    if name != "cl100k_base":
        return tiktoken.get_encoding(name)  # reads the file just verified
    words = data.split()  # a token and its rank a line; a third of a service's start, line by line
    ranks = dict(zip(map(binascii.a2b_base64, words[::2]), map(int, words[1::2]), strict=True))
    return tiktoken.Encoding(
        name, pat_str=_CL100K_PATTERN, mergeable_ranks=ranks, special_tokens={}
    )


def _vocabulary_bytes(name: str) -> bytes:
    vocabulary = _VOCABULARIES[name]
    folder = os.environ.get("TIKTOKEN_CACHE_DIR")
    places = [_ASSETS / f"{name}.tiktoken"]
    if folder:
        places.append(Path(folder) / vocabulary.cached_as)
    for path in places:
        if path.is_file():
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == vocabulary.sha256:
                return data
            raise AssetError("the vocabulary is altered", path, "delete it or install it again")
    raise AssetError(
        "no vocabulary for the tokenizer",
        name,
        "set TIKTOKEN_CACHE_DIR to a folder that tiktoken has filled, or use cl100k_base",
    )
