"""Foreign text made harmless in a prompt: a quotation that stays one, and still reads the same.

What a reader sees is changed by a space here and there and by nothing else. Chat marks work only
letter by letter ("<|im_start|>" is one token, "< |im_start|>" is ordinary characters), so a space
behind their first character takes their power and leaves tables, comparisons and code as they are;
replacing all angle brackets would spoil every example of code. Source marks such as "[2]" get the
same space, since a footnote of a document is no source of ours. Role names ("system:") have power
only where a line begins: everything is written on one line, behind a number or a role of ours.
Characters that cannot be seen are removed first, as they could hide a mark, or an instruction.
"""

from __future__ import annotations

import re
from typing import Final

# Chat marks. Source: the special tokens and chat templates of the model families named.
_CHAT_MARKS: Final = re.compile(
    r"<(?=[|\uff5c][^\s|\uff5c<>]{1,64}[|\uff5c]>)"  # ChatML, Llama 3, Phi, Command R, DeepSeek
    r"|<(?=<?/?SYS>)"  # Llama 2
    r"|<(?=/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|im_start|im_end|think|tool_call"
    r"|tool_response|tools|sources)>)"  # Llama 2, Mistral, Gemma, Qwen; the last is our own
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT)\])",
    re.IGNORECASE,
)
# All that ``rag.streamed`` reads as a mark, and a little more.
_SOURCE_MARKS: Final = re.compile(
    r"[\[【\uff3b](?=(?:\^|sources?:? ?)?\d{1,9}(?:\s*[,;–-]\s*\d{1,9})*[\]】\uff3d])",
    re.IGNORECASE,
)
# Controls, and what Unicode calls default-ignorable: zero-width, bidirectional, tags, fillers.
# Source: Unicode 15.1, DerivedCoreProperties.txt, Default_Ignorable_Code_Point.
_INVISIBLE: Final = (
    "\\x00-\\x08\\x0e-\\x1b\\x7f-\\x84\\x86-\\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_HIDDEN: Final = re.compile(f"[{_INVISIBLE}]+")
# A joiner or an emoji style alone is seen in what it joins: Persian, Indic scripts, emoji.
_JOINERS: Final = ("\u200c", "\u200d", "\ufe0e", "\ufe0f", "\ufe0f\u200d")


def on_one_line(text: str) -> str:
    """Return a text that no chat template and no frame of ours takes for its own marks.

    Idempotent. It holds no line break, no chat mark, no source mark, and nothing that cannot be
    seen but single joiners behind characters that are not ASCII.
    """
    seen = " ".join(_HIDDEN.sub(_seen, text).split())
    return _SOURCE_MARKS.sub(_spaced, _CHAT_MARKS.sub(_spaced, seen))


def _seen(hidden: re.Match[str]) -> str:
    """Return a lone joiner that has something to join, else nothing."""
    behind = hidden.string[max(0, hidden.start() - 1) : hidden.start()]
    return hidden[0] if hidden[0] in _JOINERS and behind > "\x7f" else ""


def _spaced(mark: re.Match[str]) -> str:
    return f"{mark[0]} "
