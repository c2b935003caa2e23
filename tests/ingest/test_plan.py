"""Which document a file is: ids stay with contents, never go by a name alone."""

from pathlib import Path
from typing import Any

from ingest.manifest import Manifest
from rag.generation import read_current

TEAM_A = "# Team A\n\nThe escalation phone of team A is 111-222.\n"
TEAM_B = "# Team B\n\nThe lunch menu of team B has soup.\n"


def indexed(workshop: Any) -> dict[str, str]:
    """Return the place below the documents' folder of each document by its id."""
    generation = read_current(workshop.collection)
    assert generation is not None
    with Manifest.read(generation.manifest_path) as manifest:
        return {
            record.doc_id: str(Path(record.path).relative_to(workshop.docs))
            for record in manifest.documents("default")
        }


def test_a_folder_that_is_away_loses_nothing_to_one_with_the_same_names(workshop: Any) -> None:
    workshop.write("teamA/README.md", TEAM_A)
    workshop.write("teamB/README.md", TEAM_B)
    team_a, team_b = workshop.docs / "teamA", workshop.docs / "teamB"
    workshop.sync(team_a)
    team_a.rename(workshop.docs / ".away")
    report = workshop.sync(team_b)
    assert report.chunks.removed == 0
    both = {"README.md": "teamA/README.md", "teamB/README.md": "teamB/README.md"}
    assert indexed(workshop) == both
    assert {doc for docs in workshop.texts().values() for doc in docs} == set(both)
    (workshop.docs / ".away").rename(team_a)
    back = workshop.sync(team_a, team_b)
    assert (back.files.unchanged, back.published, indexed(workshop)) == (2, False, both)


def test_of_a_moved_folder_only_edited_files_get_new_ids(workshop: Any) -> None:
    workshop.write("old/same.md", TEAM_A)
    workshop.write("old/edited.md", TEAM_B)
    workshop.sync(workshop.docs / "old")
    (workshop.docs / "old").rename(workshop.docs / "new")
    workshop.write("new/edited.md", TEAM_B.replace("soup", "stew"))
    report = workshop.sync(workshop.docs / "new")
    assert workshop.parsed == ["new/edited.md"]
    assert "1 files keep their ids: they were moved" in report.notes
    assert indexed(workshop) == {
        "same.md": "new/same.md",
        "edited.md": "old/edited.md",
        "new/edited.md": "new/edited.md",
    }


def test_equal_content_moves_no_id_while_the_file_is_there(workshop: Any) -> None:
    workshop.write("one/LICENSE.md", TEAM_A)
    workshop.write("two/LICENSE.md", TEAM_A)
    workshop.sync(workshop.docs / "one")
    workshop.sync(workshop.docs / "two")
    assert indexed(workshop) == {
        "LICENSE.md": "one/LICENSE.md",
        "two/LICENSE.md": "two/LICENSE.md",
    }


def test_a_broken_file_of_a_moved_folder_keeps_its_id_and_earlier_version(workshop: Any) -> None:
    path = workshop.write("old/limit.json", '{"limit": "The valve closes at 80 degrees."}')
    workshop.sync(workshop.docs / "old")
    path.write_text('{"limit": ', encoding="utf-8")
    assert workshop.sync(workshop.docs / "old").failures[0].keeps_earlier
    (workshop.docs / "old").rename(workshop.docs / "new")
    (letter,) = workshop.sync(workshop.docs / "new").failures
    assert (letter.doc_id, letter.keeps_earlier) == ("limit.json", True)
    assert indexed(workshop) == {"limit.json": "new/limit.json"}
    assert any("80 degrees" in text for text in workshop.texts())
