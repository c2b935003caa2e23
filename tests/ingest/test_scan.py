"""What stands under the given paths: names, links, the index's own data."""

import os
from pathlib import Path
from typing import Any

import pytest

from ingest.deadletter import read_letters
from ingest.manifest import Manifest
from ingest.scan import Scan, scan
from rag.errors import UsageError
from rag.generation import read_current

ALPHA = "# Alpha\n\nThe alpha gauge reads seven bar at the inlet valve.\n"
BETA = "# Beta\n\nThe beta pump delivers forty litres of water a minute.\n"


def look(*paths: Path, own_data: Path = Path("/nowhere")) -> Scan:
    return scan(paths, own_data=own_data, may_be_gone=lambda _: False)


def write(path: Path, text: str = ALPHA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def found(result: Scan, below: Path) -> list[str]:
    return [str(Path(file.path).relative_to(below)) for file in result.files]


def indexed(workshop: Any) -> dict[str, str]:
    """Return the path of each document by its id."""
    generation = read_current(workshop.collection)
    assert generation is not None
    with Manifest.read(generation.manifest_path) as manifest:
        return {record.doc_id: record.path for record in manifest.documents("default")}


def raw_name(folder: Path) -> Path:
    return Path(os.fsdecode(os.fsencode(folder) + b"/b\xff.md"))


@pytest.mark.parametrize("way", ["proj", "links", "links/proj/rag-data", "proj/rag-data/default"])
def test_own_data_is_passed_over_whatever_way_leads_there(tmp_path: Path, way: str) -> None:
    write(tmp_path / "proj/rag-data/default/dead-letters.jsonl")
    write(tmp_path / "proj/rag-data/default/generations/000001/generation.json")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/proj").symlink_to("../proj")
    (tmp_path / "links/inner").symlink_to("../proj/rag-data/default/generations")
    (tmp_path / "links/letters.jsonl").symlink_to("../proj/rag-data/default/dead-letters.jsonl")
    result = look(tmp_path / way, own_data=tmp_path / "proj/rag-data")
    assert result.files == ()
    assert {place.reason for place in result.skipped} == {"the index's own data"}


def test_own_data_given_directly_is_refused_in_words(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    workshop.sync()
    report = workshop.sync(workshop.data)
    assert (report.files.indexed, report.files.skipped, workshop.parsed) == (0, 1, [])
    assert report.skipped == {"the index's own data": 1}
    assert report.notes == (f"the index's own data, not read: {workshop.data}",)


def test_documents_beside_the_collections_are_read(tmp_path: Path) -> None:
    write(tmp_path / "default/generations/000001/generation.json")
    write(tmp_path / "docs/a.md")
    result = look(tmp_path / "docs", tmp_path / "default", own_data=tmp_path)
    assert found(result, tmp_path) == ["docs/a.md"]


def test_a_name_that_is_not_utf8_has_one_letter_until_it_is_gone(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    bad = raw_name(workshop.docs)
    bad.write_text(BETA)
    for retry in (False, False, True):
        report = workshop.sync(retry=retry)
        (letter,) = read_letters(workshop.collection)
        assert (letter.path, report.files.failed) == (str(bad), 1)
        assert r"b\xff.md" in letter.cause
    bad.unlink()
    assert workshop.sync(retry=True).files.failed == 0
    assert read_letters(workshop.collection) == ()


def test_a_folder_whose_name_is_not_utf8_fails_alone(workshop: Any) -> None:
    workshop.write("a.md", ALPHA)
    bad = raw_name(workshop.docs.parent)
    write(bad / "b.md", BETA)
    report = workshop.sync(workshop.docs, bad)
    assert (report.files.indexed, [letter.path for letter in report.failures]) == (1, [str(bad)])


def test_a_link_that_is_set_anew_is_the_same_folder(workshop: Any) -> None:
    for release, limit in (("r1", 10), ("r2", 25)):
        workshop.write(f"{release}/limits.md", f"# Limits\n\nThe upload limit is {limit} MB.\n")
    workshop.write("r1/old.md", ALPHA)
    current = workshop.docs / "current"
    current.symlink_to("r1")
    workshop.sync(current)
    current.unlink()
    current.symlink_to("r2")
    report = workshop.sync(current, delete_missing=True)
    assert (report.files.indexed, report.files.removed) == (1, 1)
    assert indexed(workshop) == {"limits.md": str(current / "limits.md")}
    assert not any("10 MB" in text for text in workshop.texts())


def test_a_mended_file_behind_a_link_comes_in_under_the_links_name(workshop: Any) -> None:
    workshop.write("docs/a.md", ALPHA)
    target = workshop.write("elsewhere/bad.json", '{"limit": ')
    link = workshop.docs / "docs/sub/limit.json"
    link.parent.mkdir()
    link.symlink_to(target)
    assert workshop.sync(workshop.docs / "docs").files.failed == 1
    target.write_text('{"limit": "The valve closes at 80 degrees."}', encoding="utf-8")
    assert workshop.sync(retry=True).files.indexed == 1
    assert read_letters(workshop.collection) == ()
    assert indexed(workshop)["sub/limit.json"] == str(link)
    again = workshop.sync(workshop.docs / "docs")
    assert (again.files.unchanged, again.published, workshop.parsed) == (2, False, [])


def test_a_folder_given_by_name_and_by_link_keeps_its_real_name(tmp_path: Path) -> None:
    write(tmp_path / "docs/a.md")
    (tmp_path / "link").symlink_to("docs")
    result = look(tmp_path / "link", tmp_path / "docs")
    assert found(result, tmp_path) == ["docs/a.md"]


def test_two_dots_after_a_link_mean_the_folder_above_its_target(tmp_path: Path) -> None:
    write(tmp_path / "far/away/a.md")
    write(tmp_path / "far/b.md")
    (tmp_path / "near").mkdir()
    (tmp_path / "near/link").symlink_to(tmp_path / "far/away")
    assert found(look(tmp_path / "near/link/../b.md"), tmp_path) == ["far/b.md"]
    assert found(look(tmp_path / "near/link"), tmp_path) == ["near/link/a.md"]


def test_a_link_to_nothing_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nothing")
    with pytest.raises(UsageError, match="no such file or folder"):
        look(tmp_path / "link")
