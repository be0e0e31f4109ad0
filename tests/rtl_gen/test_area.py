"""Rows of an area report."""

from __future__ import annotations

import dataclasses
import re

import pytest

from benchmarks import area
from benchmarks.pages import load
from gscn.config import PRESETS, AcceleratorConfig
from gscn.errors import InputError
from gscn.hw.core.accelerator import Accelerator
from gscn.rtl_gen.area import (
    CLUSTER_WITHOUT_PES,
    COMPONENTS,
    FLOAT_COMPONENTS,
    component_counts,
    instances,
    measure_area,
    subtract,
)
from gscn.rtl_gen.generator import TOP_MODULE
from gscn.rtl_gen.synthesis import Counts, Netlist
from gscn.rtl_gen.verilog import to_verilog

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


def test_every_component_of_floating_point_is_a_module():
    config = CONFIG.with_overrides(["float_formats=fp8_e5m2"])
    text = to_verilog(lambda: Accelerator(config=config), TOP_MODULE).text
    found = {name.lstrip("\\") for name in re.findall(r"^module (\S+?) ?\(", text, re.MULTILINE)}
    assert set(FLOAT_COMPONENTS.values()) <= found
    modules = dict.fromkeys((COMPONENTS | FLOAT_COMPONENTS).values(), counts())
    rows = component_counts(config, Netlist(top=TOP_MODULE, modules=modules))
    assert set(rows) == {*COMPONENTS, *FLOAT_COMPONENTS, CLUSTER_WITHOUT_PES}
    assert [instances(config, row) for row in FLOAT_COMPONENTS] == [config.multipliers] * 2


def test_the_cluster_without_pes_is_what_is_left():
    rows = component_counts(CONFIG, netlist())
    left = rows[CLUSTER_WITHOUT_PES]
    assert (left.gates, left.flip_flops, left.multipliers, left.area) == (100, 10, 1, 50.0)
    assert list(rows)[list(rows).index("Cluster") + 1] == CLUSTER_WITHOUT_PES


def test_figures_of_flows_not_run_stay_absent():
    left = subtract(counts(3), counts(), 2)
    assert dataclasses.asdict(left)["area"] is None
    assert left.gates == 100


def test_instances_are_those_of_the_accelerator():
    text = to_verilog(lambda: Accelerator(config=CONFIG), TOP_MODULE).text
    assert instances(CONFIG, "Cluster") == len(re.findall(r"^ *gscn_cluster \S+ \(", text, re.M))
    per_cluster = len(re.findall(r"^ *gscn_chunk_reader \S+ \(", text, re.M))
    assert instances(CONFIG, "ChunkReader") == CONFIG.clusters * per_cluster
    assert instances(CONFIG, "PE: Walker") == CONFIG.multipliers
    assert [instances(CONFIG, name) for name in ("Accelerator", "Dispatcher")] == [1, 1]
    with pytest.raises(InputError, match="not 'Walker'"):
        instances(CONFIG, "Walker")


def test_the_published_report_is_of_the_present_configurations_and_components():
    """The figures are those of the last measurement; what they are of can be checked."""
    data = load("area")["data"]
    empty = Counts(gates=0, flip_flops=0, multipliers=0, memory_bits=0, multiplier_gates=0)
    assert [report["name"] for report in data["reports"]] == list(area.CONFIGS)
    for report in data["reports"]:
        config = area.configurations()[report["name"]]
        assert AcceleratorConfig.from_dict(report["config"]) == config
        modules = dict.fromkeys(COMPONENTS.values(), empty)
        rows = component_counts(config, Netlist(top=TOP_MODULE, modules=modules))
        assert list(report["components"]) == list(rows)
        assert [clock["component"] for clock in report["clocks"]] == list(area.CLOCKED)
    assert [report["formats"] for report in data["formats"]] == list(area.FORMATS)


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
