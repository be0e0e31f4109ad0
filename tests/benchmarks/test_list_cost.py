# amaranth: UnusedElaboratable=no
"""Cycles between records: what is found meanwhile costs none, links cost the same each."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from benchmarks import list_cost
from benchmarks.list_cost import gap, list_of, passes_apart, step_rows, text
from gscn.hw.core.list_queue import ListQueue


def test_a_pass_found_meanwhile_begins_at_once_and_latencies_count_for_the_rest():
    assert gap(list_of(()), 10, span=100) == ListQueue.RECORD_CYCLES
    assert gap(passes_apart(3), 10, span=100) == ListQueue.RECORD_CYCLES
    none, one, two = (gap(list_of((links,)), 10, span=100) for links in (0, 1, 2))
    assert one - none > 2 * 10
    assert abs((two - one) - (one - none)) <= 1
    # a record is read once, a link reads and writes once
    slower = [gap(list_of((links,)), 15, span=100) for links in (0, 1)]
    assert [slower[0] - none, slower[1] - one] == [5, 3 * 5]
    apart = gap(passes_apart(4), 10, span=1) - gap(passes_apart(2), 10, span=1)
    assert apart >= 2 * 10


def test_a_step_has_the_control_records_of_its_list():
    rows = step_rows({0: [10, 0, 1], 1: [10, 1, 1]})
    assert [row[0] for row in rows] == ["encode", "array"]
    for _, records, controls, links, by_records, by_links, _ in rows:
        assert 0 < int(controls) < int(records)
        assert by_records.split()[0] == f"{10 * int(controls):,}"
        assert by_links.split()[0] == f"{int(links):,}"


def test_the_tables_have_gaps_steps_and_parts(monkeypatch):
    found = SimpleNamespace(area=1e4, memory_bits=10)
    monkeypatch.setattr(list_cost, "gap", lambda *_, **__: 3)
    monkeypatch.setattr("benchmarks.encode_area.measure", lambda *_, **__: found)
    monkeypatch.setattr("gscn.rtl_gen.synthesis.cell_delay", lambda *_: 1.0)
    whole = SimpleNamespace(top="array", modules={"array": SimpleNamespace(area=1e6)})
    monkeypatch.setattr("benchmarks.encode_area.measure_array", lambda _: whole)
    lines = text(Path("cells.lib")).splitlines()
    assert "| ListSequencer | 10,000 | 1.0 % | 10 | 1.00 |" in lines
    assert sum(line.startswith("| encode |") for line in lines) == 1
