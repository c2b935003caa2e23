"""What a stage, a question and a grounded answer cost, in the tables."""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import Element

from defusedxml import ElementTree

from eval.outcomes import Cost
from eval.records import Record
from eval.report.contents import Contents, arranged
from eval.report.costs import costs
from rag.types import Interval


def tables(contents: Contents) -> dict[str, list[list[str]]]:
    root = ElementTree.fromstring(f"<main>{''.join(costs(contents))}</main>")
    return {
        said(table[0]): [[said(cell) for cell in row] for row in table.iter("tr")]
        for table in root.iter("table")
    }


def said(element: Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def with_gas(record: Record) -> Record:
    def gassed(cost: Cost) -> Cost:
        assert cost.joules is not None
        gas = cost.joules * Interval(0.001, 0.001)
        return replace(cost, gco2e=gas, litres=gas)

    repeats = tuple(tuple(map(gassed, costs)) for costs in record.measured.repeats)
    return replace(record, measured=replace(record.measured, repeats=repeats))


def test_a_question_and_a_grounded_answer_side_by_side(contents: Contents) -> None:
    rows = {row[0]: row[1:] for row in next(iter(tables(contents).values()))[2:]}
    # 8 questions of 28 to 43 mJ each, 5 grounded answers.
    assert rows["Energy [mJ]"][:2] == ["28.0 to 43.0", "44.8 to 68.8"]
    assert rows["Energy [mJ]"][2:] == ["unknown", "does not answer"] * 2
    assert rows["Into the generator [tokens]"][0] == "no generator called"


def test_stages_share_time_energy_and_gas(ours: Record) -> None:
    found = tables(arranged((with_gas(ours),)))
    stages = next(rows for caption, rows in found.items() if "by stage" in caption)
    head, retrieve, pack = stages
    assert head[:5] == ["Stage", "Questions", "Tokens in", "Tokens out", "Share of the time"]
    assert head[5:] == ["Wall time [ms]", "Energy [mJ]", "Greenhouse gas [µg]", "Water [µL]"]
    # Half of 10 ms; a grounded answer takes 8 / 5 questions.
    assert retrieve[:2] == ["retrieve", "100 %"]
    assert retrieve[5] == "5.00 8.00"
    assert pack[3:5] == ["20.0", "50 % 50 %"]  # the bar says it as well
    halves = next(iter(found.values()))
    gas = next(row for row in halves if row[0].startswith("Greenhouse"))
    assert gas[1] == "28.0 to 43.0"
    assert retrieve[7].startswith(retrieve[6].split(" to ")[0])


def test_sci_of_both_units_and_what_is_missing_for_it(ours: Record, contents: Contents) -> None:
    def made(cost: Cost) -> Cost:
        return replace(cost, embodied_gco2e=Interval(1e-5, 1e-5))

    gassed = with_gas(ours)
    repeats = tuple(tuple(map(made, costs)) for costs in gassed.measured.repeats)
    known = replace(gassed, measured=replace(gassed.measured, repeats=repeats))
    rows = next(iter(tables(arranged((known,))).values()))
    # 28 to 43 ug of operation and 10 ug of making; 5 grounded answers pay for 8 questions.
    assert ["SCI, for one of them [µgCO2e]", "38.0 to 53.0", "60.8 to 84.8"] in rows
    note = "".join(costs(arranged((known,))))
    assert "R is one question, or one grounded answer" in note
    assert "ISO/IEC 21031:2024" in note
    assert "unknown without" not in note
    rows = next(iter(tables(contents).values()))
    assert next(row for row in rows if row[0].startswith("SCI"))[1:3] == ["unknown"] * 2
    note = "".join(costs(contents))
    assert "frugal-rag: unknown without carbon intensity of the grid (grid_gco2e_per_kwh" in note
    assert "plain: unknown without energy and embodied carbon" in note


def test_indexing_and_scoring_stand_apart(contents: Contents) -> None:
    found = tables(contents)
    apart = next(rows for caption, rows in found.items() if caption.startswith("Apart"))
    assert apart[1] == ["frugal-rag", "0.100", "300 to 400", "0 of 10", "0.200", "600 to 800"]
    assert apart[2][1:4] == ["unknown"] * 3


def test_systems_without_stages_have_no_such_table(contents: Contents) -> None:
    captions = [caption for caption in tables(contents) if "by stage" in caption]
    assert captions == ["frugal-rag, by stage: a question, and below it a grounded answer"]
