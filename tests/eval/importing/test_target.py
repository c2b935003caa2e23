"""The folder of an import is whole or not there, and nothing else is ever removed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from eval.datasets import load_dataset
from eval.importing.beir import import_beir
from eval.importing.target import new_folder
from rag.errors import LoadError, UsageError

BeirFolder = Callable[..., Path]
# Dies as a process does that is killed: in the middle of its texts, or just before the end.
KILLED = """
import os, signal, sys
from pathlib import Path
import eval.importing.target as target
from eval.importing.beir import import_beir
from eval.importing.writer import DatasetWriter

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[3] == "middle":
    DatasetWriter.add_text = die
else:
    target._put = die
import_beir(Path(sys.argv[1]), Path(sys.argv[2]), replace=True)
"""


@pytest.mark.parametrize("moment", ["middle", "end"])
@pytest.mark.parametrize("there", [False, True])
def test_a_killed_import_leaves_the_target_as_it_was(
    beir_folder: BeirFolder, tmp_path: Path, moment: str, there: bool
) -> None:
    source, target = beir_folder(), tmp_path / "out"
    if there:
        import_beir(source, target, "train")
    done = subprocess.run([sys.executable, "-c", KILLED, source, target, moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.exists() == there
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".out.")]
    assert len(left) == 1
    assert left[0].endswith(".part")
    import_beir(source, target, "train", replace=there)
    assert [case.id for case in load_dataset(target).cases] == ["q2"]


def test_what_is_there_is_only_given_up_when_asked(beir_folder: BeirFolder, tmp_path: Path) -> None:
    source, target = beir_folder(), tmp_path / "out"
    import_beir(source, target)
    with pytest.raises(UsageError, match="Name a new folder, or add --replace"):
        import_beir(source, target, "train")
    import_beir(source, target, "train", replace=True)
    assert [case.id for case in load_dataset(target).cases] == ["q2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_an_import_that_fails_gives_nothing_up(beir_folder: BeirFolder, tmp_path: Path) -> None:
    target = tmp_path / "out"
    import_beir(beir_folder(), target)
    with pytest.raises(LoadError, match="empty corpus"):
        import_beir(beir_folder(corpus=[]), target, replace=True)
    assert [case.id for case in load_dataset(target).cases] == ["q1"]


def test_only_a_question_set_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with (
        pytest.raises(UsageError, match="target is no question set"),
        new_folder(tmp_path / "home", (), replace=True),
    ):
        pass
    with pytest.raises(UsageError, match="not a folder"), new_folder(Path(__file__), ()):
        pass
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_a_source_is_never_replaced_by_what_is_made_of_it(
    beir_folder: BeirFolder, tmp_path: Path
) -> None:
    import_beir(beir_folder(), tmp_path / "out")
    with pytest.raises(UsageError, match="source lies in the target"):
        import_beir(tmp_path / "out", tmp_path / "out", replace=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_place_that_cannot_be_written(beir_folder: BeirFolder, tmp_path: Path) -> None:
    source = beir_folder()
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(LoadError, match="folder cannot be written"):
        import_beir(source, tmp_path / "closed" / "out")


def test_a_file_in_the_way_is_one_clear_error(beir_folder: BeirFolder, tmp_path: Path) -> None:
    source = beir_folder()
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadError, match="folder cannot be written"):
        import_beir(source, tmp_path / "file" / "out")


def test_the_folder_is_as_open_as_others(beir_folder: BeirFolder, tmp_path: Path) -> None:
    import_beir(beir_folder(), tmp_path / "out")
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode
