from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from rag.keyring import Keyring, read_keys
from rag.keys_command import add_keys
from rag.terminal import Parser, finished

Rag: TypeAlias = Callable[..., int]


@pytest.fixture
def rag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rag:
    """Runs ``rag keys`` with some arguments in an empty folder; returns the exit status."""
    monkeypatch.chdir(tmp_path)
    parser = Parser(prog="rag")
    add_keys(parser.add_subparsers(required=True, metavar="COMMAND"))

    def run(*arguments: str) -> int:
        try:
            options = parser.parse_args(["keys", *arguments])
        except SystemExit as exc:
            return int(str(exc.code))
        return finished(options.command, options)

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the keys are."""
    return tmp_path / "rag-data" / "keys.json"


def test_a_token_is_all_that_is_printed(
    rag: Rag, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rag("add", "--tenant", "acme") == 0
    output = capsys.readouterr()
    token = output.out.strip()
    caller = Keyring(path).find(token)
    assert caller is not None
    assert (caller.tenant, caller.rights, caller.labels) == ("acme", {"query"}, ())
    assert caller.name in output.err
    assert token not in output.err


def test_all_that_can_be_said_of_a_key(
    rag: Rag, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = "--all-tenants --right query --right admin --label hr --label board --label hr"
    assert rag("add", *given.split(), "--expires", "90d", "--note", "the portal", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["rights"] == ["query", "admin"]
    assert shown["labels"] == ["board", "hr"]
    assert (shown["tenant"], shown["note"], shown["state"]) == (None, "the portal", "valid")
    assert "sha256" not in shown
    (key,) = read_keys(path)
    assert key.grant.expires is not None
    assert round((key.grant.expires - key.created).total_seconds()) == 90 * 86_400
    assert rag("add", "--all-tenants", "--all-labels") == 0
    assert read_keys(path)[1].grant.labels is None


def test_the_list_lets_nobody_in(rag: Rag, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rag("list") == 0
    assert capsys.readouterr().out == ""
    assert not path.exists()
    rag("add", "--tenant", "acme", "--note", "the portal")
    token = capsys.readouterr().out.strip()
    for arguments in ((), ("--json",)):
        assert rag("list", *arguments) == 0
        text = capsys.readouterr().out
        assert "the portal" in text
        assert token.split("_")[1] in text
        assert token not in text
        assert read_keys(path)[0].digest not in text


def test_revoking(rag: Rag, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rag("add", "--tenant", "acme")
    token = capsys.readouterr().out.strip()
    number = token.split("_")[1]
    for _ in range(2):
        assert rag("revoke", number) == 0
        assert f"{number}  revoked" in capsys.readouterr().out
    assert Keyring(path).find(token) is None
    assert rag("revoke", number, "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("add",), 2, "one of the arguments --tenant --all-tenants is required"),
        (("add", "--tenant", "a", "--all-tenants"), 2, "not allowed with argument"),
        (("add", "--tenant", "a", "--label", "b", "--all-labels"), 2, "not allowed with argument"),
        (("add", "--tenant", "../a"), 2, "no name of a tenant: ../a."),
        (("add", "--tenant", "a", "--right", "root"), 2, "invalid choice: 'root'"),
        (("add", "--tenant", "a", "--right", "metrics"), 2, "metrics for one tenant: a."),
        (("add", "--tenant", "a", "--label", "h r"), 2, "label: 'h r'."),
        (("add", "--tenant", "a", "--expires", "soon"), 2, "not a length of time: 'soon'."),
        (("add", "--tenant", "a", "--expires", "99999999d"), 2, "too long a time: 99999999d."),
        (("add", "--tenant", "a", "--note", "a\nb"), 2, "the note cannot be kept"),
        (("revoke", "0123456789"), 1, "there is no such key: 0123456789."),
        ((), 2, "arguments are required: ACTION"),
    ],
)
def test_an_error_is_one_line_and_makes_nothing(
    rag: Rag,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    status: int,
    said: str,
) -> None:
    assert rag(*arguments) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert said in output.err
    assert output.err.count("\n") == 1
    assert not Path("rag-data").exists()


def test_a_damaged_file_is_left_as_it_is(
    rag: Rag, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.mkdir()
    path.write_text("{}")
    for arguments in (("add", "--tenant", "a"), ("list",), ("revoke", "0123456789")):
        assert rag(*arguments) == 2
        assert "the keys cannot be used" in capsys.readouterr().err
    assert path.read_text() == "{}"
