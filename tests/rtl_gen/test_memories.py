"""Kinds of memories, their Verilog, and areas of macros, worked out by hand."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.memories import (
    MOST_SMALL_BITS,
    SRAMS,
    Memory,
    MemoryGroup,
    fitted,
    grouped,
    kind_of,
    memory_verilog,
    read_memories,
)

LARGE = Memory(depth=64, width=32, reads=1, writes=1, combinational=False)


def test_a_macro_is_large_has_a_port_each_way_and_is_read_a_cycle_later():
    def is_macro(**changes):
        fields = {"depth": 64, "width": 32, "reads": 1, "writes": 1, "combinational": False}
        return Memory(**(fields | changes)).is_macro

    assert is_macro()
    assert is_macro(depth=MOST_SMALL_BITS // 32 + 1)
    assert not is_macro(depth=MOST_SMALL_BITS // 32)
    assert not is_macro(combinational=True)
    assert not is_macro(reads=2)
    assert not is_macro(writes=2)
    assert not is_macro(writes=0, contents="01" * 1024)


def test_a_line_goes_through_published_areas_and_grows_with_the_square_of_the_node():
    found = fitted("made up", {100: 1200.0, 300: 1600.0}, node_nm=90, source="nothing")
    assert found.each == pytest.approx(4 * 1000)
    assert found.per_bit == pytest.approx(4 * 2)
    assert found.area(2, 50) == pytest.approx(2 * 4000 + 50 * 8)


def test_densities_are_those_of_their_sources():
    cells, two_ports, one_port = SRAMS
    # 1.200 x 1.580 um at 130 nm; 8 KB are 1093.82 x 720.50 um; 512 bytes are 209,400 um2.
    assert cells.area(1, 1e6) == pytest.approx(1e6 * 1.896 * (18 / 13) ** 2)
    assert two_ports.area(1, 65536) == pytest.approx(788_097 * (18 / 13) ** 2, rel=0.004)
    assert one_port.area(1, 4096) == pytest.approx(209_400.28, rel=1e-6)


def test_modules_of_one_kind_are_those_that_differ_in_numbers():
    assert kind_of("top.lanes.lane12.queue$7") == "top.lanes.lane.queue"
    assert kind_of("a1.b2c.d3") == "a.b2c.d"


def test_groups_add_up_memories_of_one_kind_in_all_instances():
    small = Memory(depth=2, width=3, reads=1, writes=1, combinational=True)
    found = grouped(
        {"top.lane0": Counter({small: 2}), "top.lane1": Counter({small: 1, LARGE: 1}), "old": {}},
        {"top": 1, "top.lane0": 1, "top.lane1": 4},
        {small: 7.0},
    )
    assert found == (
        MemoryGroup(place="top.lane", memory=small, count=2 + 4, area=7.0),
        MemoryGroup(place="top.lane", memory=LARGE, count=4),
    )


def test_verilog_has_a_port_for_each_and_the_rows_of_a_constant_memory():
    two = Memory(depth=3, width=4, reads=2, writes=1, combinational=True, enables=2)
    text = memory_verilog(two, "two")
    assert "input [1:0] read_row1" in text
    assert "if (enable0[1]) rows[write_row0][3:2] <= write_data0[3:2];" in text
    constant = Memory(
        depth=2, width=3, reads=1, writes=0, combinational=True, enables=0, contents="110001"
    )
    text = memory_verilog(constant, "constant")
    assert "rows[0] = 3'b001;" in text
    assert "rows[1] = 3'b110;" in text
    assert "write" not in text


def test_a_memory_that_is_a_module_counts_where_its_instances_are():
    parameters = {
        "SIZE": "1000000", "WIDTH": "100000", "RD_PORTS": "1", "WR_PORTS": "1",
        "RD_CLK_ENABLE": "1", "INIT": "x",
    }  # fmt: skip
    memory = {"type": "$mem_v2", "parameters": parameters, "connections": {"WR_EN": [3] * 32}}
    ram, part = ({"type": kind} for kind in ("gscn_ram_64x32", "part"))
    modules = {
        "top": {"cells": {"one": part, "two": part, "own": memory}},
        "part": {"cells": {"low": ram, "high": ram}},
        "gscn_ram_64x32": {"cells": {"rows": memory}},
    }
    found = read_memories(json.dumps({"modules": modules}))
    assert found == {"top": {LARGE: 1}, "part": {LARGE: 2}, "gscn_ram_64x32": {}}
    groups = grouped(found, {"top": 1, "part": 2, "gscn_ram_64x32": 4}, None)
    assert [(one.place, one.count) for one in groups] == [("part", 4), ("top", 1)]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"modules": {"a": {}}}', '{"modules": 3}'])
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="must be what `write_json` writes"):
        read_memories(text)
