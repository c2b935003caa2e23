from pathlib import Path

import pytest

from rag.errors import SettingsError
from rag.grid.file import read_grid_file

CSV = """zone,kind,gco2e_per_kwh,litres_per_kwh,source,at
DE,location,381.5,1.9,the operator,2026-05
DE,market,0,,a contract,2026
site,,12,,,
"""
JSON = """[
  {"zone": "DE", "gco2e_per_kwh": 381.5, "litres_per_kwh": 1.9, "source": "the operator",
   "at": "2026-05"},
  {"zone": "DE", "kind": "market", "gco2e_per_kwh": 0, "source": "a contract", "at": "2026"},
  {"zone": "site", "gco2e_per_kwh": 12}
]"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "grid.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", [CSV, "\ufeff" + CSV, JSON, "\n" + JSON])
def test_a_file_in_either_form(tmp_path: Path, text: str) -> None:
    grid = read_grid_file(written(tmp_path, text))
    there, bought = grid.find("DE"), grid.find("DE", "market")
    assert there is not None
    assert (there.gco2e_per_kwh, there.kind) == (381.5, "location")
    assert (there.source, there.at) == ("the operator", "2026-05")
    assert bought is not None
    assert (bought.gco2e_per_kwh, bought.kind) == (0, "market")
    assert grid.water["DE"].litres_per_kwh == 1.9
    site = grid.find("site")
    assert site is not None
    assert (site.source, site.at) == ("grid.txt, site", None)
    assert "site" not in grid.water
    assert grid.find("FR") is None
    assert grid.find("site", "market") is None


@pytest.mark.parametrize(
    "text",
    [
        "zone,value\nDE,1\n",
        "zone,gco2e_per_kwh\nDE,much\n",
        "zone,gco2e_per_kwh\nDE,-1\n",
        "zone,gco2e_per_kwh\nDE,nan\n",
        "zone,gco2e_per_kwh\n,1\n",
        "zone,gco2e_per_kwh\nDE,1\nDE,2\n",
        "zone,gco2e_per_kwh,kind\nDE,1,average\n",
        "zone,gco2e_per_kwh,litres_per_kwh\nDE,1,wet\n",
        "zone,gco2e_per_kwh\nDE\n",
        "[1]",
        "[{",
        '[{"zone": "DE", "gco2e_per_kwh": null}]',
        '[{"zone": "DE", "gco2e_per_kwh": true}]',
        '[{"zone": null, "gco2e_per_kwh": 1}]',
        "gco2e_per_kwh,zone\n1\n",
        f'[{{"zone": "DE", "gco2e_per_kwh": {10**400}}}]',
        "[" * 200_000,
    ],
)
def test_what_cannot_be_used_is_told_with_the_form_it_should_have(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(SettingsError, match=r"grid\.txt cannot be used.*CSV with a header"):
        read_grid_file(written(tmp_path, text))


def test_a_file_that_is_not_there_or_no_text_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be used: FileNotFoundError"):
        read_grid_file(tmp_path / "none.csv")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be used"):
        read_grid_file(binary)
    with pytest.raises(SettingsError, match="over 4000000 bytes"):
        read_grid_file(written(tmp_path, "x" * 4_000_001))


def test_a_year_that_json_holds_as_a_number_is_text_in_receipts(tmp_path: Path) -> None:
    text = '[{"zone": "DE", "gco2e_per_kwh": 1, "litres_per_kwh": 2, "at": 2026, "source": 7}]'
    grid = read_grid_file(written(tmp_path, text))
    found = grid.find("DE")
    assert found is not None
    assert (found.at, found.source) == ("2026", "7")
    assert (grid.water["DE"].at, grid.water["DE"].source) == ("2026", "7")
