"""The rewritings that keep what a question asks, each for itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from rag.acronyms import definitions
from rag.cache import wording as w
from rag.cache.keys import plain

Words: TypeAlias = tuple[str, ...]
Rule: TypeAlias = Callable[[Words], Words]

_COMMA = ","
_TOKEN = re.compile(r"[,;:]|[^\s,;:()\[\]{}\"“”«»]+")
_STOP = re.compile(r"(?:[.?…]|(?<!\d)!)+$")  # "5!" is a number
_GENITIVE = re.compile(r"'s$")
_ED = re.compile(r"ed$")
_DOUBLED = re.compile(r"([^aeiouls])\1$")
_SHORT = re.compile(r"[^aeiou]*[aeiouy][^aeiouwxy]$")  # one syllable that would be doubled


def tokens(text: str) -> Words:
    """Return the words as they are compared, commas kept, and nothing rewritten yet.

    In lower case, but for what is another word in small letters: "US" is not "us".
    """
    shouted = text.upper() == text
    found: list[str] = []
    for match in _TOKEN.finditer(plain(text)):
        word = _STOP.sub("", match[0]).strip("'")
        named = not shouted and (w.is_ambiguous_acronym(word) or (word == "A" and found))
        found += [word if named else word.lower()] if word and word not in ",;:" else []
        if word != match[0].strip("'") or word in ",;:":
            found.append(_COMMA)
    return tuple(found[:-1] if found[-1:] == [_COMMA] else found)


def without_glosses(question: str) -> str:
    """Drop "(HIV)" behind what it stands for."""
    for short, long in tuple(definitions((question,))):
        question = re.sub(rf"({re.escape(long)}) *\({short}s?\)", r"\1", question)
    return question


def spelled_out(words: Words) -> Words:
    """Write contractions in full."""
    return tuple(part for word in words for part in w.CONTRACTIONS.get(word, word).split())


def without_frame(words: Words) -> Words:
    """Drop what is said around a question: greetings, "could you tell me", thanks, "really"."""
    for phrase in w.FILLERS:
        words = _without(words, phrase)
    while words[:1] == (_COMMA,) or (words[1:2] == (_COMMA,) and words[0] in w.GREETINGS):
        words = words[1:]
    for phrase in w.CLOSINGS:
        if words[-len(phrase) - 1 :] == (_COMMA, *phrase):
            words = words[: -len(phrase) - 1]
    for phrase in w.FRAMES:
        if (
            words[: len(phrase)] == phrase
            and words[len(phrase) :][:1]
            and words[len(phrase)] in w.TOLD
        ):
            return _asked_directly(words[len(phrase) :])
    return words


def setting_last(words: Words) -> Words:
    """Move what a comma sets before the question: "in 1990, who won" is "who won in 1990"."""
    if _COMMA in words and words[0] in w.PREPOSITIONS:
        at = words.index(_COMMA)
        rest = words[at + 1 :]
        if _COMMA not in rest and rest and rest[0] in w.WH_WORDS | w.AUXILIARIES:
            return rest + words[:at]
    return words


def owners_last(words: Words) -> Words:
    """Write "of" for a genitive of one word and one it owns: "X's head" is "the head of X"."""
    for at, word in enumerate(words[:-1]):
        owner = _GENITIVE.sub("", word)
        alone = not (at and _is_content(words[at - 1])) and _end_of_run(words, at + 1) == at + 2
        if owner != word and owner and alone:
            return owners_last((*words[:at], words[at + 1], "of", owner, *words[at + 2 :]))
    return words


def coordinated(words: Words) -> Words:
    """Sort "A or B" and "A and B" where each is one word, and nothing sets them apart."""
    if w.IN_ORDER & set(words):
        return words
    out = list(words)
    for at in (at for at, word in enumerate(words) if word in w.CONJUNCTIONS and at):
        second = at + 1 + (words[at + 1 : at + 2] != () and words[at + 1] in w.ARTICLES)
        after = words[second + 1 : second + 2]
        before = words[at - 2] if at > 1 else _COMMA
        if (
            {*words[at - 1 : at], *words[second : second + 1]}.isdisjoint(_BOUNDS)
            and second < len(words)
            and before in _BEFORE_BOTH
            and (not after or after[0] in _BEHIND_BOTH)
        ):
            out[at - 1], out[second] = sorted((words[at - 1], words[second]))
    return tuple(out)


def agreeing(words: Words) -> Words:
    """Drop articles and commas, and give auxiliaries one form for each tense."""
    kept = []
    for before, word, after in zip(("", *words), words, (*words[1:], ""), strict=False):
        if word != _COMMA and not _is_article(before, word, after):
            kept.append("a" if word == "an" else w.AGREEING.get(word, word))
    return tuple(kept)


def ways(words: Words) -> Words:
    """Write "how to" for "how do I", "how can one" and the like."""
    if len(words) < 4 or words[0] != "how" or words[1] not in w.WAYS:
        return words
    return ("how", "to", *words[3:]) if words[2] in w.ANYBODY else words


def according_to(words: Words) -> Words:
    """Write "who is ... according to X" for "who do X think is ..."."""
    if len(words) < 6 or words[0] not in w.WH_WORDS or words[1] != "does":
        return words
    held = words[3] in w.THINKING and words[4] in w.AUXILIARIES and _is_content(words[2])
    return (words[0], *words[4:], "according", "to", words[2]) if held else words


def keyword(words: Words) -> Words:
    """Drop "what is" before what is looked for: "capital of France" asks the same."""
    return words[2:] if words[:2] == ("what", "is") and len(words) > 3 else words


def symmetric(words: Words) -> Words:
    """Sort both sides of "is A married to B" and the like."""
    if len(words) < 4 or words[0] not in ("is", "was"):
        return words
    for size in (2, 1):
        for at in range(2, len(words) - size):
            left, right = words[1:at], words[at + size :]
            if words[at : at + size] in w.SYMMETRIC and all(map(_is_content, left + right)):
                one, other = sorted((left, right))
                return (words[0], *one, *words[at : at + size], *other)
    return words


def in_active_voice(words: Words) -> set[Words]:
    """Return "does A see B" for "is B seen by A" and nothing else; else the words themselves."""
    if "by" not in words or words[0] not in w.ACTIVE:
        return {words}
    at = words.index("by")
    done_to, participle, doer = words[1 : at - 1], words[at - 1], words[at + 1 :]
    if not done_to or not doer or not all(map(_is_content, done_to + doer)):
        return {words}
    verbs = _verbs(participle)
    return {(w.ACTIVE[words[0]], *doer, verb, *done_to) for verb in verbs} or {words}


IN_ORDER: Final[tuple[Rule, ...]] = (
    spelled_out,
    without_frame,
    setting_last,
    owners_last,
    coordinated,
    agreeing,
    ways,
    according_to,
    symmetric,
    keyword,
)
RULES: Final = ("without_glosses", "in_digits", *(r.__name__ for r in IN_ORDER), "in_active_voice")
_BOUNDS: Final = w.FUNCTION_WORDS | {_COMMA}
# Around "A or B" where what stands there belongs to both: not "not A or B", "A or B of C".
_BEFORE_BOTH: Final = (
    w.ARTICLES | w.WH_WORDS | w.AUXILIARIES | (w.PREPOSITIONS - {"without", "except"}) | {_COMMA}
)
_BEHIND_BOTH: Final = w.WH_WORDS | w.AUXILIARIES | (w.PREPOSITIONS - {"of", "with"}) | {_COMMA}


def _verbs(participle: str) -> set[str]:
    """Return the verbs that a participle may come from.

    Source: Porter 1980, An algorithm for suffix stripping, step 1b, for the regular ones.
    """
    if participle in w.PARTICIPLES:
        return {w.PARTICIPLES[participle]}
    stem = _ED.sub("", participle)
    if stem == participle or len(stem) < 2:
        return set()
    if _DOUBLED.search(stem):
        return {stem[:-1]}
    if stem.endswith("i"):
        return {f"{stem[:-1]}y"}
    return {f"{stem}e"} if _SHORT.fullmatch(stem) else {stem, f"{stem}e"}


def _asked_directly(words: Words) -> Words:
    """Return "what is X" for the "what X is" that follows "tell me"."""
    asked = len(words) > 2 and words[0] in ("what", "who", "where") and words[-1] in w.AUXILIARIES
    return (words[0], words[-1], *words[1:-1]) if asked else words


def _without(words: Words, phrase: Words) -> Words:
    size = len(phrase)
    for at in range(len(words) - size + 1):
        if words[at : at + size] == phrase:
            return _without(words[:at] + words[at + size :], phrase)
    return words


def _end_of_run(words: Words, start: int) -> int:
    end = start
    while end < len(words) and _is_content(words[end]):
        end += 1
    return end


def _is_article(before: str, word: str, after: str) -> bool:
    """Tell "a vitamin" from "vitamin a", and "a few" from "few"."""
    if word not in w.ARTICLES or not after or after == _COMMA or after in w.COUNTED:
        return False
    return word == "the" or before in ("", *_BOUNDS)


def _is_content(word: str) -> bool:
    return word not in w.FUNCTION_WORDS and word != _COMMA
