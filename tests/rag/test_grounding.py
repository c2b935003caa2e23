import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.adapters.hash_embedder import HashEmbedder
from rag.build import build_analyzer, build_embedder, build_groundedness, build_splitter
from rag.claims import statements
from rag.grounding import LEXICAL, NEURAL, StatementScorer, probability
from rag.grounding_signals import Found, ReadEvidence, Signals, covered, read_statement
from rag.protocols import GroundednessScorer
from rag.settings import load_settings

EVIDENCE = (
    "The X200 pump has a warranty of 24 months and weighs 35 kg.",
    "The warranty does not cover damage by frost. Returns are accepted until 31 May 2024.",
    "Dr. Maria Keller founded Nordwind GmbH in Hamburg in 1998, and it has 1,000 employees.",
    "Pressure increases when the valve is closed. Support is open from Monday to Friday.",
)
PAIRS = [
    ("number", "The X200 pump has a warranty of 24 months.", "36 months", "24 months"),
    ("number", "Nordwind has one thousand employees.", "two thousand", "one thousand"),
    ("number", "Nordwind has 1000 employees.", "1500", "1000"),
    ("unit", "The pump weighs 35 kg.", "35 tonnes", "35 kg"),
    ("unit", "The warranty of the X200 pump is 24 months.", "24 years", "24 months"),
    ("date", "Returns are accepted until 31 May 2024.", "June", "May"),
    ("date", "Returns are accepted until 2024-05-31.", "2024-05-30", "2024-05-31"),
    ("date", "Support is open from Monday to Friday.", "Sunday", "Monday"),
    ("name", "Maria Keller founded Nordwind in Hamburg.", "Berlin", "Hamburg"),
    ("name", "Maria Keller founded Nordwind in 1998.", "Anna Schmidt", "Maria Keller"),
    ("name", "The X200 pump weighs 35 kg.", "X300", "X200"),
    ("negation", "The warranty does not cover damage by frost.", "covers", "does not cover"),
    ("negation", "Returns are accepted until 31 May 2024.", "are not", "are"),
    ("contrary", "Pressure increases when the valve is closed.", "decreases", "increases"),
    ("contrary", "Pressure increases when the valve is closed.", "open", "closed"),
]
TEXT = st.text(max_size=60)


@pytest.fixture(scope="module")
def neural() -> GroundednessScorer:
    return build_groundedness(build_embedder(load_settings(tier="neural")))


LEXICAL_SCORER = build_groundedness(None)
FAKED = StatementScorer(build_analyzer(), build_splitter(), HashEmbedder())


@pytest.mark.parametrize("tier", ["lexical", "neural"])
@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_one_change_makes_a_true_statement_less_likely(
    tier: str, pair: tuple[str, str, str, str], neural: GroundednessScorer
) -> None:
    _, true, wrong, right = pair
    assert right in true
    scorer = neural if tier == "neural" else LEXICAL_SCORER
    said, changed = scorer.score([true, true.replace(right, wrong)], EVIDENCE)
    assert said > 0.7
    assert changed < said - 0.05


@pytest.mark.parametrize("tier", ["lexical", "neural"])
def test_what_the_evidence_does_not_speak_of_is_not_supported(
    tier: str, neural: GroundednessScorer
) -> None:
    scorer = neural if tier == "neural" else LEXICAL_SCORER
    said = ["Bananas are rich in potassium.", "I think you would love it.", "Yes."]
    assert max(scorer.score(said, EVIDENCE)) < 0.2


@pytest.mark.parametrize("tier", ["lexical", "neural"])
def test_every_sentence_of_the_evidence_is_supported(tier: str, neural: GroundednessScorer) -> None:
    scorer = neural if tier == "neural" else LEXICAL_SCORER
    sentences = statements("\n\n".join(EVIDENCE), build_splitter())
    assert len(sentences) == 6
    assert min(scorer.score([*sentences, *EVIDENCE], EVIDENCE)) >= 0.9


def test_a_paraphrase_is_likelier_by_meaning_than_by_letters(neural: GroundednessScorer) -> None:
    said = ["The guarantee lasts 24 months."]
    assert neural.score(said, EVIDENCE)[0] > LEXICAL_SCORER.score(said, EVIDENCE)[0]


def test_without_evidence_or_words_nothing_is_supported() -> None:
    assert LEXICAL_SCORER.score(["The pump weighs 35 kg."], []) == (0.0,)
    assert LEXICAL_SCORER.score(["The pump weighs 35 kg."], ["", " \n", "[1]"]) == (0.0,)
    assert LEXICAL_SCORER.score(["", "...", "🙂"], EVIDENCE) == (0.0, 0.0, 0.0)
    assert LEXICAL_SCORER.score([], EVIDENCE) == ()
    assert FAKED.score(["The pump weighs 35 kg."], ["", " "]) == (0.0,)


def test_a_word_of_no_content_is_supported_by_a_sentence_that_is_just_it() -> None:
    assert LEXICAL_SCORER.score(["No."], ["There is no pump."])[0] < 0.2
    assert LEXICAL_SCORER.score(["No."], ["Does it leak? No."])[0] > 0.9


def test_bullets_and_source_marks_are_no_numbers() -> None:
    plain, marked = LEXICAL_SCORER.score(
        ["The pump weighs 35 kg.", "2. The pump weighs 35 kg [7]."], EVIDENCE
    )
    assert marked == plain


@given(st.lists(TEXT, max_size=3), st.lists(TEXT, max_size=4))
def test_any_text_gives_probabilities_that_no_order_changes(
    said: list[str], evidence: list[str]
) -> None:
    shuffled = [*reversed(evidence), *evidence]
    for scorer in (LEXICAL_SCORER, FAKED):
        found = scorer.score(said, evidence)
        assert all(0 <= p <= 1 for p in found)
        assert found == pytest.approx(scorer.score(said, shuffled), abs=1e-6)


@given(st.lists(st.sampled_from("pump valve 35 kg not Hamburg May is the no".split()), min_size=1))
def test_a_quotation_is_supported_whatever_it_says(words: list[str]) -> None:
    text = " ".join(words)
    for scorer in (LEXICAL_SCORER, FAKED):
        assert scorer.score([text], [f"{EVIDENCE[0]} {text}", text])[0] >= 0.9


@settings(max_examples=20)
@given(st.sampled_from([true for _, true, _, _ in PAIRS]), st.lists(TEXT, max_size=3))
def test_a_statement_does_not_depend_on_those_beside_it(said: str, others: list[str]) -> None:
    alone = LEXICAL_SCORER.score([said], EVIDENCE)
    assert LEXICAL_SCORER.score([said, *others], EVIDENCE)[:1] == alone


def test_time_and_memory_are_bounded() -> None:
    evidence = ["The pump of 35 kg is not closed. " * 100_000, "[1, 2 " * 50_000, "a" * 1_000_000]
    begun = time.process_time()
    FAKED.score(["The pump weighs 35 kg. " * 100_000, "-" * 1_000_000], evidence)
    assert time.process_time() - begun < 8


def test_the_signals_of_a_statement_by_hand() -> None:
    analyzer = build_analyzer()
    known = ReadEvidence(["Pumps weigh 35 kg. Valves close."], analyzer, build_splitter())
    said = read_statement("Pumps weigh 40 kg", analyzer)
    near = known.nearest(said)
    signals = known.signals(said, near, {})
    assert near == range(1)
    # Three of four words are found, all in one sentence.
    assert signals == Signals(0.75, 0.0, pytest.approx(0.75**3), 0.0, 0.0, 0.0)


def test_coverage_of_nothing_is_nothing() -> None:
    assert covered([]) == 0.0
    assert covered([Found(1.0, 1.0), Found(1.0, 0.0)]) == 0.75


@pytest.mark.parametrize("weights", [LEXICAL, NEURAL])
def test_each_weight_has_the_sign_that_its_signal_means(weights: object) -> None:
    assert isinstance(weights, type(LEXICAL))
    assert min(weights.signals[:2]) > 0 > max(weights.signals[2:])
    assert probability(Signals(1, 1, 0, 0, 0, 0), weights) >= 0.95
    assert probability(Signals(0, 0, 0, 0, 0, 0), weights) < 0.1
