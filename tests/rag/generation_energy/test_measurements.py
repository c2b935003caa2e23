"""The model against what others published: the table stands in eval/bench/measurements.toml."""

from collections import Counter

import pytest

from eval.bench.generation_fit import fit
from eval.bench.measurements import Measurement, measurements, modelled, sizes
from rag.generation_energy import serving

# Far above the model, and why. Both were taken on stacks that do not serve requests together.
OUTSIDE = {
    "Llama-3.1-8B, 1x A100, 16 bit, batch 1, 362-362 + 9, prefill": 4.8,
    "LLaMA-65B, 4x A100, 16 bit, batch 64, 256-512 + 512, decode": 2.2,
}
ROWS = measurements()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_published_measurements_lie_inside(row: Measurement) -> None:
    found = modelled(row)
    if row.name in OUTSIDE:
        assert found.high < row.joules < OUTSIDE[row.name] * found.high
    else:
        assert found.low <= row.joules <= found.high


def test_the_table_holds_enough_to_check_with() -> None:
    parts = Counter(row.part for row in ROWS)
    assert parts["check"] >= 8
    assert set(OUTSIDE) <= {row.name for row in ROWS if row.part == "check"}
    assert len({row.name for row in ROWS}) == len(ROWS)
    fitted = {row.model for row in ROWS if row.part == "calibration"}
    assert not fitted & {
        row.model for row in ROWS if row.part == "check" and row.hardware in {"H100", "B200"}
    }


def test_every_row_names_where_and_when() -> None:
    for row in ROWS:
        assert len(row.source) > 20
        assert row.date[:2] == "20"
        assert row.joules > 0


def test_the_excesses_are_those_of_the_fit() -> None:
    found = fit([row for row in ROWS if row.part == "calibration"])
    assert found.dense.byte == serving.BYTE_EXCESS
    assert found.dense.flop == serving.FLOP_EXCESS
    assert found.sparse.byte == serving.SPARSE_BYTE_EXCESS
    assert found.sparse.flop == serving.SPARSE_FLOP_EXCESS


def test_the_interval_says_something() -> None:
    dense = [row for row in ROWS if row.batch <= 64 and not sizes(row).sparse]
    assert len(dense) > 8
    for row in dense:
        found = modelled(row)
        assert found.high / found.low < 6, row.name


def test_the_check_fails_on_a_wrong_figure() -> None:
    row = next(row for row in ROWS if row.name not in OUTSIDE)
    found = modelled(row)
    assert not found.low <= 10 * row.joules <= found.high
    assert not found.low <= row.joules / 10 <= found.high
