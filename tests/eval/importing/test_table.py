"""CSV files as people and spreadsheets write them, over a folder of documents."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.datasets import load_dataset
from eval.importing.table import import_table, parts
from rag.errors import LoadError, UsageError


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "care").mkdir(parents=True)
    (folder / "care" / "pump.md").write_text("# Pump\n\nCovered for 24 months. It weighs 12 kg.\n")
    (folder / "tax.txt").write_text("Invoices are paid within 30 days; else = 5 % are added.\n")
    (folder / ".hidden").write_text("24 months")
    return folder


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "questions.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_gold_is_what_is_named_or_holds_the_answer(docs: Path, tmp_path: Path) -> None:
    source = table(
        tmp_path,
        "id,question,answer,document,answerable,kind\n"
        "a,How long is it covered?,24 Months,,,lookup\n"
        'b,How heavy?,"twelve|12 kg",pump.md,yes,\n'
        "c,Which two?,30 days,care/pump.md | tax.txt,,\n"
        "d,Who is the queen?,,,no,\n",
    )
    made = import_table(source, tmp_path / "out", docs)
    dataset = load_dataset(tmp_path / "out")
    assert dataset.documents == tmp_path / "out" / "docs"
    assert [(c.id, c.answers, c.gold_ids, c.answerable, c.meta) for c in dataset.cases] == [
        ("a", ("24 Months",), ("care/pump.md",), True, {"kind": "lookup"}),
        ("b", ("twelve", "12 kg"), ("care/pump.md",), True, {}),
        ("c", ("30 days",), ("care/pump.md", "tax.txt"), True, {}),
        ("d", (), (), False, {"answerable": False}),
    ]
    copied = {p.relative_to(docs).as_posix() for p in docs.rglob("*.??*") if p.name[0] != "."}
    assert set(dict(dataset.hashes)) == {
        "queries.jsonl",
        "qrels.tsv",
        *(f"docs/{name}" for name in copied if (docs / name).is_file()),
    }
    assert (made.documents, made.questions, made.answerable, made.name) == (2, 4, 3, "questions")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("hint", ["", "sep={}\r\n"])
def test_a_spreadsheet_may_write_it_its_own_way(
    docs: Path, tmp_path: Path, encoding: str, delimiter: str, hint: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["Question", "Expected Answer", "Document"])
    writer.writerow(['Is "it"; covered,\nreally\tso?', "24 months", "pump.md"])
    writer.writerow(["", "", ""])
    writer.writerow(["Über wie lange?", "30 days", ""])
    source = table(tmp_path, hint.format(delimiter) + text.getvalue(), encoding)
    import_table(source, tmp_path / "out", docs)
    first, second = load_dataset(tmp_path / "out").cases
    assert first.text == 'Is "it"; covered,\nreally\tso?'
    assert (second.id, second.text, second.gold_ids) == ("q002", "Über wie lange?", ("tax.txt",))


def test_answers_in_columns_of_their_own(docs: Path, tmp_path: Path) -> None:
    source = table(
        tmp_path, "question;expected;answer_2;answer-3\nHow long?;24 months;;two years|x\n"
    )
    import_table(source, tmp_path / "out", docs)
    assert load_dataset(tmp_path / "out").cases[0].answers == ("24 months", "two years", "x")


def test_a_table_of_documents_only_judges_retrieval(docs: Path, tmp_path: Path) -> None:
    import_table(table(tmp_path, "question,document\nHow long?,pump.md\n"), tmp_path / "out", docs)
    assert load_dataset(tmp_path / "out").cases[0].answers == ()


def test_a_bar_in_an_answer_is_written_with_a_backslash() -> None:
    assert parts(r"a\|b | c") == ("a|b", "c")
    assert parts(" ") == ()
    assert parts("a||b") == ("a", "", "b")


HEADER = "id,question,answer,document,answerable\n"
GOOD = "a,How long?,24 months,,\n"
DAMAGE = [
    (f"{HEADER}{GOOD}b,How old?,90 years,,\n", "1 missing gold", "csv:3"),
    (f"{HEADER}{GOOD}b,How old?,90 years,gone.md,\n", "1 dangling id", "csv:3"),
    (f"{HEADER}{GOOD}a,How heavy?,12 kg,,\n", "1 duplicate id", "csv:3"),
    (f"{HEADER}{GOOD}b,How heavy?,,pump.md,\n", "1 empty answer", "csv:3"),
    (f"{HEADER}{GOOD}b,How heavy?,12 kg|,,\n", "1 empty answer", "csv:3"),
    (f"{HEADER}{GOOD}b, ,12 kg,,\n", "1 blank question", "csv:3"),
    (f"{HEADER}{GOOD}b,How heavy?,12 kg,,perhaps\n", "1 unusable row", "csv:3"),
    (f"{HEADER}{GOOD}b,How heavy, or wide?,12 kg,,no\n", "1 unusable row", "csv:3"),
    (f'{HEADER}{GOOD}b,"How heavy?,12 kg,,\n', "1 unusable row", "csv:3"),
    (f'{HEADER}{GOOD}b,"How" heavy?,12 kg,,\n', "1 unusable row", "csv:3"),
    (f"{HEADER}{GOOD}b,How he\0vy?,12 kg,,\n", "1 wrong encoding", "csv:3"),
    (f"{HEADER}{GOOD}b,{'x' * 200_000},12 kg,,\n", "1 unusable row", "csv:3"),
    (HEADER, "1 no questions", "csv"),
]


@pytest.mark.parametrize(("text", "kind", "place"), DAMAGE)
def test_each_kind_of_damage_has_its_own_error(
    docs: Path, tmp_path: Path, text: str, kind: str, place: str
) -> None:
    with pytest.raises(LoadError) as caught:
        import_table(table(tmp_path, text), tmp_path / "out", docs)
    assert kind in str(caught.value)
    assert f"{place}: {kind[2:]}" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs", "questions.csv"]


def test_all_rows_without_gold_are_listed(docs: Path, tmp_path: Path) -> None:
    rows = "".join(f"How old {i}?,{i} years\n" for i in range(100, 104))
    with pytest.raises(LoadError, match="4 missing gold") as caught:
        import_table(table(tmp_path, f"question,answer\n{rows}"), tmp_path / "out", docs)
    for line in (2, 3, 4, 5):
        assert f"questions.csv:{line}: missing gold" in str(caught.value)
    assert "name the document that holds the answer" in str(caught.value)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_other_encodings_are_named_as_such(docs: Path, tmp_path: Path, encoding: str) -> None:
    source = table(tmp_path, "question,answer,é\nWo?,Köln\n", encoding)
    with pytest.raises(LoadError, match=r"(?s)wrong encoding.*save the file as UTF-8"):
        import_table(source, tmp_path / "out", docs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column is missing"),
        ("frage,antwort\na,b\n", "column is missing: .* has frage,antwort"),
        ("question,Question,answer\na,b,c\n", "column stands twice: question"),
        ("question,kind\na,b\n", "no column of answers"),
    ],
)
def test_tables_without_their_columns(docs: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises((LoadError, UsageError), match=message):
        import_table(table(tmp_path, text), tmp_path / "out", docs)


def test_formulas_stay_text(docs: Path, tmp_path: Path) -> None:
    source = table(tmp_path, 'question,answer,document\n"=HYPERLINK(""x"")",= 5 %,\n')
    import_table(source, tmp_path / "out", docs)
    [case] = load_dataset(tmp_path / "out").cases
    assert (case.text, case.answers, case.gold_ids) == ('=HYPERLINK("x")', ("= 5 %",), ("tax.txt",))


def test_files_that_no_loader_reads_are_left_out_and_said(docs: Path, tmp_path: Path) -> None:
    (docs / "photo.xyz").write_bytes(b"\0\1")
    (docs / "empty.txt").write_text("")
    source = table(docs, "question,answer\nHow long?,24 months\n")
    made = import_table(source, tmp_path / "out", docs)
    assert made.left_out == "2 files that cannot be read"
    assert "photo.xyz" in made.warnings[0]
    # The table lies among the documents: it is none of them.
    assert load_dataset(tmp_path / "out").cases[0].gold_ids == ("care/pump.md",)
    assert not list((tmp_path / "out").rglob("questions.csv"))


def test_an_answer_in_many_documents_is_a_warning(docs: Path, tmp_path: Path) -> None:
    for number in range(4):
        (docs / f"{number}.txt").write_text("Wait 7 days.")
    source = table(tmp_path, "question,answer\nHow long?,7 days\n")
    made = import_table(source, tmp_path / "out", docs)
    assert len(load_dataset(tmp_path / "out").cases[0].gold) == 4
    assert made.warnings == (
        "1 answer that more than 3 documents hold; name the document: questions.csv:2",
    )


def test_where_the_documents_are_has_to_be_said(docs: Path, tmp_path: Path) -> None:
    source = table(tmp_path, "question,answer\nHow long?,24 months\n")
    for documents, message in ((None, "--documents"), (tmp_path / "gone", "no such folder")):
        with pytest.raises(UsageError, match=message):
            import_table(source, tmp_path / "out", documents)
    with pytest.raises(UsageError, match="target lies in the documents"):
        import_table(source, docs / "out", docs)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1).map(str.strip)
WORDS = CELLS.filter(bool)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3, unique=True)), min_size=1
    ),
    delimiter=st.sampled_from(",;\t"),
    bom=st.sampled_from(("", "\ufeff")),
)
def test_what_is_imported_is_what_is_loaded(
    rows: list[tuple[str, list[str]]], delimiter: str, bom: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["question", "answer", "document"])
    for question, answers in rows:
        cell = " | ".join(answer.replace("|", r"\|") for answer in answers)
        writer.writerow([question, cell, "a.txt"])
    with tempfile.TemporaryDirectory() as name:
        docs = Path(name) / "docs"
        docs.mkdir()
        (docs / "a.txt").write_text("A text.")
        import_table(table(Path(name), bom + text.getvalue()), Path(name) / "out", docs)
        cases = load_dataset(Path(name) / "out").cases
    assert [(case.text, list(case.answers)) for case in cases] == rows


def test_what_follows_from_a_fault_is_not_told_as_another(docs: Path, tmp_path: Path) -> None:
    source = table(tmp_path, "question;answer\n;90 years\nHow long?;\nHow old?;90 years\n")
    with pytest.raises(
        LoadError, match="1 missing gold, 1 empty answer, 1 blank question"
    ) as caught:
        import_table(source, tmp_path / "out", docs)
    assert "csv:4: missing gold" in str(caught.value)
