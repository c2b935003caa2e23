"""Token counts by the generator's own vocabulary: the only importer of tokenizers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import AssetError

if TYPE_CHECKING:
    import tokenizers

_SURROGATE = re.compile("[\ud800-\udfff]")


class FileTokenizer:
    """Counts tokens with the ``tokenizer.json`` of any Hugging Face model.

    Special tokens that the model's template would add are not counted: the text is a part of a
    prompt.
    """

    def __init__(self, path: Path) -> None:
        self._tokenizer = load_tokenizer_file(path)
        self._name = f"file:{path.parent.name}/{path.name}"

    @property
    def name(self) -> str:
        """Name under which counts are recorded."""
        return self._name

    def count(self, text: str) -> int:
        """Return the number of tokens of ``text``; lone surrogates count as U+FFFD."""
        return len(self._tokenizer.encode(encodable(text), add_special_tokens=False).ids)


def encodable(text: str) -> str:
    """Return the text with each lone surrogate, which UTF-8 cannot hold, replaced by U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def load_tokenizer_file(path: Path) -> tokenizers.Tokenizer:
    """Return the tokenizer stored at ``path``, without the truncation and padding it asks for.

    Raises:
        AssetError: The file is missing or is not a tokenizer.
    """
    from tokenizers import Tokenizer

    if not path.is_file():
        raise AssetError("no tokenizer file", path, "name a tiktoken encoding or a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as exc:  # the library raises nothing more specific
        raise AssetError("not a tokenizer file", path, f"replace the file ({exc})") from exc
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
