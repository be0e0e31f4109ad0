"""Rows of an area report."""

import dataclasses
import re

import pytest

from gscn.config import PRESETS
from gscn.errors import InputError
from hw.accelerator import Accelerator
from rtl_gen.area import (
    CLUSTER_WITHOUT_PES,
    COMPONENTS,
    AreaReport,
    Clock,
    component_counts,
    measure_area,
    subtract,
)
from rtl_gen.area_text import to_markdown, tool_versions
from rtl_gen.generator import TOP_MODULE
from rtl_gen.place import Placement
from rtl_gen.synthesis import Counts, Netlist
from rtl_gen.verilog import to_verilog

CONFIG = PRESETS["tiny"]


def counts(scale=1, **changes):
    numbers = {"gates": 100, "flip_flops": 10, "multipliers": 1, "memory_bits": 64}
    numbers = {name: scale * value for name, value in numbers.items()}
    return Counts(**(numbers | {"multiplier_gates": 40 * scale} | changes))


def netlist():
    modules = dict.fromkeys(COMPONENTS.values(), counts(area=50.0, multiplier_area=20.0))
    modules["gscn_cluster"] = counts(3, area=150.0, multiplier_area=40.0)
    return Netlist(top=TOP_MODULE, modules=modules)


def test_every_component_is_a_module_of_the_accelerator():
    text = to_verilog(lambda: Accelerator(config=CONFIG), TOP_MODULE).text
    found = {name.lstrip("\\") for name in re.findall(r"^module (\S+?) ?\(", text, re.MULTILINE)}
    assert set(COMPONENTS.values()) <= found


def test_the_cluster_without_pes_is_what_is_left():
    rows = component_counts(CONFIG, netlist())
    left = rows[CLUSTER_WITHOUT_PES]
    assert (left.gates, left.flip_flops, left.multipliers, left.area) == (100, 10, 1, 50.0)
    assert list(rows)[list(rows).index("Cluster") + 1] == CLUSTER_WITHOUT_PES


def test_figures_of_flows_not_run_stay_absent():
    left = subtract(counts(3), counts(), 2)
    assert dataclasses.asdict(left)["area"] is None
    assert left.gates == 100


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
    assert "| PE: logic outside the multiplier | 60 | 10 | 0 | 64 | 30 | - |" in text
    assert "pyosys 1.2" in text
    assert CONFIG.digest() in text


def test_versions_name_the_liberty_by_its_content(tmp_path):
    path = tmp_path / "cells.lib"
    path.write_text("abc")
    # the published SHA-256 of "abc" begins so
    assert tool_versions(path, place=False)["liberty"] == "cells.lib, SHA-256 ba7816bf8f01cfea"
    assert "liberty" not in tool_versions(None, place=False)


@pytest.mark.slow
def test_a_whole_accelerator_has_its_multipliers():
    report = measure_area("tiny", CONFIG)
    whole, cluster = report.components["Accelerator"], report.components["Cluster"]
    assert whole.multipliers == CONFIG.multipliers
    assert cluster.multipliers == CONFIG.pes_per_cluster
    pe_memories = 2 * CONFIG.acc_depth * CONFIG.acc_width
    assert report.components["PE: Accumulator"].memory_bits == pe_memories
    others = ("Dispatcher", "ReadArbiter", "WriteArbiter")
    parts = CONFIG.clusters * cluster.flip_flops
    parts += sum(report.components[name].flip_flops for name in others)
    assert parts < whole.flip_flops
    assert report.to_dict()["components"]["PE"]["multipliers"] == 1


def test_a_missing_liberty_stops_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match="qflow-tech-osu018"):
        measure_area("tiny", CONFIG, liberty=tmp_path / "none.lib")
