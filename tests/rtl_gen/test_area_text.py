"""The report of areas says what was counted, and comes back from its figures."""

from __future__ import annotations

import dataclasses
import json

import pytest

from gscn.array import ARRAYS
from gscn.rtl_gen.area import COMPONENTS, AreaReport, Clock, component_counts
from gscn.rtl_gen.area_formats import FormatReport
from gscn.rtl_gen.area_text import render_data, report_data, to_markdown, tool_versions
from gscn.rtl_gen.array_verilog import TOP_MODULE
from gscn.rtl_gen.memories import Memory, MemoryGroup
from gscn.rtl_gen.memory_text import LIKELY
from gscn.rtl_gen.place import Placement
from gscn.rtl_gen.synthesis import Counts, Netlist

CONFIG = ARRAYS["tiny"]


def counts(scale=1, **changes):
    numbers = {"gates": 100, "flip_flops": 10, "multipliers": 1, "memory_bits": 64}
    numbers = {name: scale * value for name, value in numbers.items()}
    return Counts(**(numbers | {"multiplier_gates": 40 * scale} | changes))


def netlist():
    modules = dict.fromkeys(COMPONENTS.values(), counts(area=50.0, multiplier_area=20.0))
    modules["gscn_cluster"] = counts(3, area=150.0, multiplier_area=40.0)
    return Netlist(top=TOP_MODULE, modules=modules)


def test_the_text_tells_the_multiplier_from_the_rest():
    report = AreaReport(
        name="tiny int16",
        config=CONFIG,
        components=component_counts(CONFIG, netlist()),
        clocks=(
            Clock(
                component="PE",
                cell_delay_ns=7.118,
                placement=Placement(frequency_mhz=61.73, path_from="a", path_to="b"),
            ),
        ),
    )
    text = to_markdown([report], {"pyosys": "1.2"})
    assert "| tiny int16 | 50 | 20 | 30 | 60.0 % | 64 | 4 | 50 |" in text
    assert "| tiny int16: PE | 7.12 | 61.7 | `a` to `b` |" in text
    # 4 PEs, each an area of 50, in an array of 50: made up, so the share is no real one
    assert "| PE | 4 | 64 | 50 | - | 50 | 400.0 % |" in text
    assert "| PE: multiplier | 4 | 0 | 20 | 0 | 20 | 160.0 % |" in text
    assert "| PE: logic outside the multiplier | 4 | 64 | 30 | - | 30 | 240.0 % |" in text
    assert "| PE: logic outside the multiplier | 60 | 10 | 0 | - | - | - | - | - |" in text
    assert "| Cluster | 2 | 192 | 150 | - | 75 | 600.0 % |" in text
    assert "pyosys 1.2" in text
    assert CONFIG.digest() in text


def test_a_report_comes_back_from_its_figures_as_it_was():
    report = AreaReport(
        name="tiny int16",
        config=CONFIG,
        components=component_counts(CONFIG, netlist()),
        clocks=(
            Clock(
                component="PE",
                cell_delay_ns=7.5,
                placement=Placement(frequency_mhz=50.0, path_from="a", path_to="b"),
            ),
            Clock(component="Cluster", cell_delay_ns=None, placement=None),
        ),
    )
    formats = FormatReport(
        formats="int16",
        config=CONFIG,
        parts={"PE": counts(area=200.0), "Walker": counts(area=7.0)},
        cell_delay_ns=7.5,
        placement=None,
    )
    data = json.loads(json.dumps(report_data([report], {"tool": "1"}, [formats])))
    assert render_data(data) == to_markdown([report], {"tool": "1"}, [formats])
    (whole,) = (r for r in data["reports"][0]["rows"] if r["component"] == "Array")
    assert (whole["instances"], whole["share_percent"]) == (1, 100)
    assert whole["area_per_multiplier"] == 50.0 / CONFIG.multipliers


def test_memories_have_columns_and_come_back_where_they_were_measured():
    memories = {"memory_area": 10.0, "macros": 1, "macro_bits": 64}
    modules = {
        name: dataclasses.replace(own, **memories) for name, own in netlist().modules.items()
    }
    table = Memory(depth=2, width=32, reads=1, writes=1, combinational=True)
    report = AreaReport(
        name="tiny int16",
        config=CONFIG,
        components=component_counts(CONFIG, Netlist(top=TOP_MODULE, modules=modules)),
        clocks=(),
        memories=(MemoryGroup(place="gscn_top.queue", memory=table, count=1, area=10.0),),
    )
    text = to_markdown([report], {"tool": "1"})
    area = LIKELY.area(1, 64) + 50 + 10
    assert "## With memories" in text
    assert f"| PE | 4 | 64 | 50 | - | 50 | 400.0 % | {area:,.0f} | 400.0 % |" in text
    assert "| gscn_top.queue | 2 x 32 | write, 1 read at once | 1 | 64 | cells | 0.000 |" in text
    data = json.loads(json.dumps(report_data([report], {"tool": "1"})))
    assert render_data(data) == text
    without = dataclasses.replace(
        report, components=component_counts(CONFIG, netlist()), memories=()
    )
    assert "## With memories" not in to_markdown([without], {"tool": "1"})


def test_versions_name_the_liberty_by_its_content(tmp_path):
    path = tmp_path / "cells.lib"
    path.write_text("abc")
    # the published SHA-256 of "abc" begins so
    assert tool_versions(path, place=False)["liberty"] == "cells.lib, SHA-256 ba7816bf8f01cfea"
    assert "liberty" not in tool_versions(None, place=False)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [(1, "`--placer static`, one seed."), (5, "`--placer static`, median of 5 seeds.")],
)
def test_the_text_says_of_how_many_placements_a_frequency_is(seeds, said):
    placement = Placement(frequency_mhz=50.0, path_from="a", path_to="b", seeds=seeds)
    clock = Clock(component="PE", cell_delay_ns=None, placement=placement)
    components = component_counts(CONFIG, netlist())
    report = AreaReport(name="tiny", config=CONFIG, components=components, clocks=(clock,))
    assert said in to_markdown([report], {})
