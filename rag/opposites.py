"""Words that say the contrary of each other: "rises" for "falls" turns a statement around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rag.protocols import Analyzer

# Source: written by hand, everyday antonyms of direction, degree, order, permission and place; no
# benchmark's text was looked through for them.
_PAIRS = """
increase decrease|increase reduce|increase lower|increase decline|increase drop|raise lower
raise reduce|rise fall|rise drop|rise decline|grow shrink|grow decline|gain lose|gain loss
high low|higher lower|highest lowest|more less|more fewer|most least|above below|over under
maximum minimum|large small|larger smaller|largest smallest|big small|long short|longer shorter
strong weak|stronger weaker|better worse|best worst|improve worsen|improve impair|good bad
positive negative|positively negatively|promote inhibit|promote prevent|promote suppress
activate inhibit|activate suppress|activate deactivate|activation inhibition|stimulate inhibit
enhance reduce|enhance impair|enhance suppress|enhance inhibit|induce inhibit|induce suppress
upregulate downregulate|accelerate slow|accelerate delay|fast slow|faster slower|early late
earlier later|before after|first last|begin end|start end|start stop|open closed|open close
always never|all none|both neither|with without|include exclude|included excluded|allow forbid
allow prohibit|allow deny|allowed forbidden|permit prohibit|accept reject|accepted rejected
approve reject|enable disable|enabled disabled|require optional|mandatory optional|true false
success failure|succeed fail|win lose|won lost|buy sell|import export|north south|northern southern
east west|eastern western|left right|male female|men women|public private|legal illegal
likely unlikely|common rare|safe dangerous|safe unsafe|necessary unnecessary|support oppose
protect harm|cause prevent|sufficient insufficient|resistant sensitive|inside outside|old new
older younger|hot cold|warm cold|rich poor|easy difficult|easy hard|internal external
"""


def opposites(analyzer: Analyzer) -> dict[int, frozenset[int]]:
    """Return for each index term those that say the contrary."""
    found: dict[int, set[int]] = {}
    for pair in _PAIRS.replace("\n", "|").strip("|").split("|"):
        one, other = (analyzer.terms(word) for word in pair.split())
        if len(one) == len(other) == 1 and one != other:
            found.setdefault(one[0], set()).add(other[0])
            found.setdefault(other[0], set()).add(one[0])
    return {term: frozenset(others) for term, others in found.items()}


def turned(said: Iterable[int], near: frozenset[int], known: Mapping[int, frozenset[int]]) -> int:
    """Return how many terms said are not ``near``, though their contrary is."""
    return sum(
        1 for term in said if term not in near and not near.isdisjoint(known.get(term, frozenset()))
    )
