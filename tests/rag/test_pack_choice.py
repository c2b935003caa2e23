"""Which sentences the packer takes, and in which order it offers them."""

from collections.abc import Callable, Sequence

import pytest

from rag.adapters.analysis import EnglishAnalyzer
from rag.adapters.vocabulary import TiktokenTokenizer
from rag.pack import Need, Offered, Packer, TokenAllowance
from rag.results import Context, Passage
from rag.types import Chunk
from rag.worth import Worth

MakeChunk = Callable[..., Chunk]
ANALYZER = EnglishAnalyzer()
TIKTOKEN = TiktokenTokenizer()
NOTHING_SPEAKS = Worth(passage=0.0, cosine=None, coverage=0.0, kind=0.0)


class Words:
    """One token a word, so that costs add up exactly."""

    name = "words"

    def count(self, text: str) -> int:
        return len(text.split())


def need_of(question: str) -> Need:
    return Need(dict.fromkeys(ANALYZER.terms(question), 1.0), question)


def offered(chunk: Chunk, sentence: int, share: float) -> Offered:
    terms = tuple(ANALYZER.terms(chunk.sentence(sentence)))
    return Offered(chunk, sentence, NOTHING_SPEAKS, terms, share)


def packed(
    ranked: Sequence[Offered], budget: int, price: float = 0.0, question: str = ""
) -> Context:
    need, allowance = need_of(question), TokenAllowance(budget, price)
    return Packer(Words(), ANALYZER).packed(ranked, need, allowance)


def ranked_texts(passages: Sequence[Passage], question: str) -> list[str]:
    return [o.text for o in Packer(TIKTOKEN, ANALYZER).ranked(passages, need_of(question))]


def test_what_is_left_out_says_why(make_chunk: MakeChunk) -> None:
    texts = ("The retention limit is 30 days.", "Retention is reviewed.", "The office is blue.")
    passage = Passage(make_chunk(texts), 1.0, ())

    def stopped(budget: int, price: float) -> tuple[int, str]:
        allowance = TokenAllowance(budget, price)
        packer = Packer(TIKTOKEN, ANALYZER)
        context = packer.pack([passage], need_of("retention limit"), allowance)
        return len(context.evidence), context.stopped

    assert stopped(64, 0.0) == (3, "nothing is left")
    assert stopped(10, 0.0) == (1, "the next one does not fit")
    assert stopped(4, 0.0) == (0, "the next one does not fit")
    assert stopped(64, 0.05) == (1, "the next one does not pay")


def test_the_best_that_is_left_out_gives_the_reason(make_chunk: MakeChunk) -> None:
    best, long = "Red doors open on Mondays.", "Blue windows in the old hall never open at all."
    chunk = make_chunk([best, long, "Green gates close early.", "Staff park outside."])
    ranked = [offered(chunk, i, share) for i, share in enumerate((0.6, 0.3, 0.09, 0.01))]
    taken = packed(ranked[:3], budget=9)
    assert taken.text == f"{best} Green gates close early."
    assert taken.stopped == "the next one does not fit"
    assert packed(ranked, budget=12, price=0.025).stopped == "the next one does not fit"


def test_the_last_few_tokens_are_spent(make_chunk: MakeChunk) -> None:
    texts = ["Red doors open on Mondays.", "Green gates close early."]
    chunk = make_chunk(texts)
    assert packed([offered(chunk, i, 0.5) for i in (0, 1)], budget=9).text == " ".join(texts)


def test_the_first_sentence_is_shown_whatever_tokens_have_to_bring(make_chunk: MakeChunk) -> None:
    chunk = make_chunk(("The retention limit is 30 days.", "Retention is reviewed."))
    packer, need = Packer(TIKTOKEN, ANALYZER), need_of("reviewed")
    context = packer.pack([Passage(chunk, 1.0, ())], need, TokenAllowance(64, 1.0))
    assert [e.text for e in context.evidence] == ["Retention is reviewed."]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("Pump 1 feeds pump 2 daily.", True),
        ("pump 1 feeds the pump 2 daily", True),
        ("Pump 2 feeds pump 1 daily.", False),
        ("Pump 1 never feeds pump 2 daily.", False),
        ("Pump 1 does not feed pump 2 daily.", False),
        ("Pump 1 may feed pump 2 daily.", False),
        ("Pump 1 feeds pump 1 daily.", False),
        ("Pump 1 feeds pump 2 weekly.", False),
    ],
)
def test_what_is_said_already_earns_nothing(
    other: str, make_chunk: MakeChunk, *, said: bool
) -> None:
    chunk = make_chunk(["Pump 1 feeds pump 2 daily, as planned.", other])
    context = packed([offered(chunk, 0, 0.6), offered(chunk, 1, 0.4)], budget=64)
    assert (len(context.evidence) == 1) == said


def test_a_sentence_and_what_it_leans_on_pay_together(make_chunk: MakeChunk) -> None:
    best = make_chunk(["Red doors open on Mondays."], doc_id="best")
    pair = ["Pumps are sold in pairs today.", "They last for thirty days only."]
    chunk = make_chunk(pair, doc_id="pair")
    ranked = [offered(best, 0, 0.6), offered(chunk, 1, 0.3), offered(chunk, 0, 0.1)]
    for price, taken in ((0.033, pair), (0.04, pair[1:]), (0.06, [])):
        texts = [e.text for e in packed(ranked, budget=64, price=price).evidence[1:]]
        assert texts == taken


def test_a_sentence_that_says_what_it_leans_on_comes_alone(make_chunk: MakeChunk) -> None:
    chunk = make_chunk(["Pumps are covered.", "They say that pumps are covered for a year."])
    context = packed([offered(chunk, 1, 0.6), offered(chunk, 0, 0.4)], budget=64)
    assert [e.sentence for e in context.evidence] == [1]


def test_a_section_pays_for_its_header_once(make_chunk: MakeChunk) -> None:
    chunk = make_chunk(["Logs are kept here.", "Years pass by slowly."], title="Retention")
    ranked = [offered(chunk, 0, 0.6), offered(chunk, 1, 0.4)]
    context = packed(ranked, budget=9, question="retention")
    assert context.text == "Retention: Logs are kept here. Years pass by slowly."
    assert context.tokens == 9


def test_a_new_header_counts_before_its_sentence_is_taken(make_chunk: MakeChunk) -> None:
    one = make_chunk(
        ["Logs are kept here.", "Years pass by slowly."], title="Retention", doc_id="1"
    )
    two = make_chunk(["Soup is served daily."], title="Retention", doc_id="2")
    ranked = [offered(one, 0, 0.5), offered(two, 0, 0.3), offered(one, 1, 0.2)]
    context = packed(ranked, budget=9, question="retention")
    assert context.text == "Retention: Logs are kept here. Years pass by slowly."


def test_a_document_stands_where_its_best_sentence_ranks(make_chunk: MakeChunk) -> None:
    one = make_chunk(["Logs are kept here.", "Years pass by slowly."], doc_id="one")
    two = make_chunk(["Soup is served daily."], doc_id="two")
    ranked = [offered(one, 1, 0.5), offered(two, 0, 0.3), offered(one, 0, 0.2)]
    context = packed(ranked, budget=64)
    assert context.text == "Logs are kept here. Years pass by slowly.\nSoup is served daily."


@pytest.mark.parametrize("named", ["Lantern", "Compass"])
def test_what_one_of_the_best_sentences_names_comes_before_its_equals(
    make_chunk: MakeChunk, named: str
) -> None:
    prizes = make_chunk(["The prize is yearly.", f"It went to {named}."], title="Prizes")
    passages = [
        Passage(make_chunk([f"The {name} was lost."], doc_id=name, title=name), 0.5, ())
        for name in ("Lantern", "Compass")
    ]
    ranked = ranked_texts([Passage(prizes, 1.0, ()), *passages], "Tell me of the prize")
    lost = [text for text in ranked if text.endswith("was lost.")]
    assert lost[0] == f"The {named} was lost."
    assert len(lost) == 2


@pytest.mark.parametrize("dated", [0, 1])
def test_the_kind_of_thing_asked_for_comes_first(make_chunk: MakeChunk, dated: int) -> None:
    texts = ["The harbour opened in the rain.", "The harbour opened with music."]
    texts[dated] = "The harbour opened in May 1994."
    passage = Passage(make_chunk(texts), 1.0, ())
    assert ranked_texts([passage], "When was the harbour opened?")[0] == texts[dated]


def test_a_headline_takes_nothing_from_the_sentences_below_it(make_chunk: MakeChunk) -> None:
    bare = make_chunk(["Logs are kept here."], doc_id="bare")
    headed = make_chunk(["Logs", "Logs are kept here."], doc_id="headed", headlines=(0,))
    passages = [Passage(bare, 1.0, ()), Passage(headed, 1.0, ())]
    first, second = Packer(TIKTOKEN, ANALYZER).ranked(passages, need_of("logs"))
    assert first.share == pytest.approx(second.share)


def test_equals_are_ranked_by_where_they_stand(make_chunk: MakeChunk) -> None:
    passages = [
        Passage(make_chunk(["Logs are kept.", "Logs are lost."], doc_id=f"{n}"), 1.0, ())
        for n in range(4)
    ]
    packer, need = Packer(TIKTOKEN, ANALYZER), need_of("logs")
    ranked = packer.ranked(passages, need)
    assert packer.ranked(passages[::-1], need) == ranked
    assert [o.key for o in ranked] == sorted(o.key for o in ranked)
