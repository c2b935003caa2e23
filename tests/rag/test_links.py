from collections.abc import Callable

import pytest

from rag.links import pointed_to
from rag.results import Passage
from rag.types import Chunk

MakeChunk = Callable[..., Chunk]


@pytest.fixture
def passages(make_chunk: MakeChunk) -> list[Passage]:
    titles = ("Lantern (film)", "Ada Moor", "Rye", "Harbour")
    return [
        Passage(make_chunk([f"Text of {title}."], doc_id=title, title=title), 1.0, ())
        for title in titles
    ]


QUESTION = "Who directed the film that won at Harbour in 1994?"


@pytest.mark.parametrize(
    ("title", "sentence", "found"),
    [
        ("Prizes", "In 1994 Lantern won the prize.", {"Lantern (film)"}),
        ("Prizes", "In 1994 LANTERN, by Ada Moor, won.", {"Lantern (film)", "Ada Moor"}),
        ("Prizes", "Lanterns were lit.", set()),
        ("Lantern (film)", "Lantern is a film.", set()),
        ("Prizes", "Harbour is named by the question.", set()),
        ("Prizes", "Rye is too short a name.", set()),
    ],
)
def test_a_document_is_pointed_to_by_its_title_in_another_one(
    passages: list[Passage], title: str, sentence: str, found: set[str]
) -> None:
    assert pointed_to([(title, sentence)], passages, QUESTION) == found


def test_nothing_points_nowhere() -> None:
    assert pointed_to([], [], "?") == set()
