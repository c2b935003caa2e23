"""English wordings that mean the same, as far as a cached answer goes; written by hand.

Everyday grammar; no benchmark's text was looked through for the lists. What a rule of
``rag.cache.reading`` earns: ``python -m eval.bench --only cache``.
"""

from __future__ import annotations

from typing import Final

ARTICLES: Final = frozenset(("a", "an", "the"))
CONJUNCTIONS: Final = frozenset(("and", "or"))
WH_WORDS: Final = frozenset("what which who whom whose when where why how".split())
_BE: Final = {"am": "is", "is": "is", "are": "is", "was": "was", "were": "was"}
# Agreement in person and number asks nothing else; tense does.
AGREEING: Final = _BE | {"do": "does", "does": "does", "have": "has", "has": "has"}
_MODALS = "did had can could will would shall should may might must".split()
AUXILIARIES: Final = frozenset((*AGREEING, *_MODALS, "be", "been", "being"))
# The auxiliary of the active voice for that of the passive: "is seen by" is "does see".
ACTIVE: Final = {"is": "does", "was": "did"}
PREPOSITIONS: Final = frozenset(
    """about above across after against along among around as at before behind below beneath beside
    besides between beyond by despite during except for from in inside into like near of off on
    onto out outside over per since through throughout till to toward towards under until up upon
    versus via vs with within without""".split()
)
_PRONOUNS = """i you he she it we they me him her us them my your his its our their mine yours hers
ours theirs this that these those there here myself yourself himself herself itself ourselves
themselves one someone somebody anyone anybody everyone everybody something anything everything"""
_OTHERS = """not no never none nor neither nothing nobody nowhere cannot than then so if else
because while although though but yet only just even also too still already ever again all any both
each either every few fewer half less least many more most much other another same several some such
very now once twice"""
FUNCTION_WORDS: Final = (
    ARTICLES
    | CONJUNCTIONS
    | WH_WORDS
    | AUXILIARIES
    | PREPOSITIONS
    | frozenset((*_PRONOUNS.split(), *_OTHERS.split()))
)

CONTRACTIONS: Final = {
    **{
        f"{word}n't": f"{word} not" for word in ("do does did is are was were has have had").split()
    },
    **{f"{word}n't": f"{word} not" for word in ("could would should must might need").split()},
    "can't": "can not",
    "cannot": "can not",
    "won't": "will not",
    "shan't": "shall not",
    **{f"{word}'s": f"{word} is" for word in ("what who where when why how that there it").split()},
    **{f"{word}'re": f"{word} are" for word in ("what who where you we they").split()},
    "i'm": "i am",
    "i've": "i have",
    "we've": "we have",
    "you've": "you have",
    **{f"{word}'ll": f"{word} will" for word in "i you he she it we they what who".split()},
}
# They say how it is said, not what is asked.
FILLERS: Final = (
    ("as", "a", "matter", "of", "fact"),
    ("in", "fact"),
    ("of", "course"),
    *((word,) for word in "actually really indeed truly basically honestly somehow please".split()),
)
GREETINGS: Final = frozenset("hi hello hey ok okay so well thanks".split())  # before a comma
CLOSINGS: Final = (("thank", "you"), ("thanks",), ("cheers",))  # behind a comma
_ASK = ("can you tell me", "could you tell me", "would you tell me", "will you tell me")
FRAMES: Final = tuple(
    tuple(phrase.split())
    for phrase in (
        *_ASK,
        *(phrase.replace("tell", "explain to") for phrase in _ASK),
        *("do you know", "does anyone know", "does anybody know", "tell me", "let me know"),
        *("i want to know", "i would like to know", "i need to know", "i am wondering"),
        *("i was wondering", "my question is", "the question is"),
    )
)
# What may follow "tell me" for the rest to be the question: "Tell Me Lies" is a name.
TOLD: Final = WH_WORDS | ARTICLES | {"if", "whether"}
# "How do I" and "how can one" ask for the way to do it; "how do you" may ask what you do.
ANYBODY: Final = frozenset(("i", "one"))
WAYS: Final = frozenset("do does can could would".split())
# "A few" is not "few".
COUNTED: Final = frozenset("few little lot number most more many".split())
# Where one of these stands, "A and B" may not be "B and A".
IN_ORDER: Final = frozenset(
    """ratio proportion respectively order odds score former latter first second then before after
    subtract minus divided""".split()
)
THINKING: Final = frozenset("think believe say consider".split())

# "A is ... B" says the same as "B is ... A".
SYMMETRIC: Final = frozenset(
    tuple(phrase.split())
    for phrase in (
        *("friends with", "married to", "engaged to", "related to", "close to", "near", "next to"),
        *("different from", "similar to", "identical to", "equal to", "equivalent to"),
        *("same as", "connected to", "parallel to", "perpendicular to"),
        *("cousin of", "colleague of", "partner of", "acquaintance of"),
        *("neighbours with", "neighbors with", "adjacent to", "friend of", "sibling of"),
    )
)

# Participles that no rule gives, with their verb.
# Source: Quirk et al. 1985, A Comprehensive Grammar of the English Language, sections 3.11-3.20.
_PARTICIPLES = """
beaten beat|become become|begun begin|bent bend|bet bet|bitten bite|blown blow|broken break
brought bring|built build|burnt burn|bought buy|caught catch|chosen choose|cut cut|dealt deal
dug dig|done do|drawn draw|driven drive|drunk drink|eaten eat|fed feed|felt feel|fought fight
found find|forbidden forbid|forgotten forget|forgiven forgive|frozen freeze|given give
ground grind|grown grow|heard hear|held hold|hidden hide|hit hit|hung hang|hurt hurt|kept keep
known know|laid lay|led lead|left leave|lent lend|let let|lit light|lost lose|made make
meant mean|met meet|paid pay|put put|read read|ridden ride|rung ring|run run|said say|seen see
sent send|set set|sewn sew|shaken shake|shot shoot|shown show|shut shut|sold sell|sought seek
spent spend|split split|spoken speak|spread spread|stolen steal|struck strike|stuck stick
sung sing|swept sweep|taken take|taught teach|thought think|thrown throw|told tell|torn tear
understood understand|won win|worn wear|woven weave|written write|wound wind
"""
PARTICIPLES: Final = dict(
    pair.split() for pair in _PARTICIPLES.replace("\n", "|").strip("|").split("|")
)

# Words that are English alone, so that no rule reads another language by English grammar.
# Source: written by hand against Dutch, French, German, Italian, Portuguese and Spanish, which
# have words spelled as "a", "an", "in", "is", "was", "do", "will", "or", "on", "so" and "by" are.
_ENGLISH_ALONE: Final = frozenset(
    """the what which who whom whose when where why how does did are were been being has have could
    would should might with without from about through between because although while though they
    them their his your our my you we she her this that these those there not cannot every each both
    much many which by into onto""".split()
)
# "is" is Dutch too and "was" German; beside one of these they are English.
_ENGLISH_BESIDE: Final = {
    "is": frozenset(
        "a an and or to by it for on as at near than more less really actually".split()
    ),
    "was": frozenset("a and or to by it for of than more".split()),
    "can": frozenset("i a to and it for".split()),
}


def is_english(words: tuple[str, ...]) -> bool:
    """Return whether words in lower case hold one that no other common language has."""
    held = set(words)
    beside = (others for word, others in _ENGLISH_BESIDE.items() if word in held)
    return bool(held & _ENGLISH_ALONE) or any(held & others for others in beside)


def is_ambiguous_acronym(word: str) -> bool:
    """Return whether a word is a name in capitals and another word in small letters: "US", "IT"."""
    bare = word.strip(",;:()[]?!.'\"")
    return len(bare) > 1 and bare.isupper() and bare.lower() in FUNCTION_WORDS
