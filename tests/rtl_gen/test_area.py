"""Rows of an area report."""

from __future__ import annotations

import dataclasses
import re

import pytest

from benchmarks import area
from benchmarks.pages import load
from gscn.array import ARRAYS, ArrayConfig
from gscn.errors import InputError
from gscn.rtl_gen.area import (
    CLUSTER_WITHOUT_PES,
    COMPONENTS,
    FLOAT_COMPONENTS,
    component_counts,
    instances,
    measure_area,
    subtract,
)
from gscn.rtl_gen.array_verilog import TOP_MODULE, array_verilog
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


def modules(config):
    """Return the modules of an array, without the numbers that the converter adds."""
    found = re.findall(r"^module \\?(\S+?) ?\(", array_verilog(config).text, re.MULTILINE)
    return {re.sub(r"\$\d+", "", name) for name in found}


def test_every_component_is_a_module_of_the_array():
    assert set(COMPONENTS.values()) <= modules(CONFIG)


def test_every_component_of_floating_point_is_a_module():
    config = CONFIG.with_overrides(["float_formats=fp8_e5m2"])
    assert set(FLOAT_COMPONENTS.values()) <= modules(config)
    found = dict.fromkeys((COMPONENTS | FLOAT_COMPONENTS).values(), counts())
    rows = component_counts(config, Netlist(top=TOP_MODULE, modules=found))
    assert set(rows) == {*COMPONENTS, *FLOAT_COMPONENTS, CLUSTER_WITHOUT_PES}
    assert [instances(config, row) for row in FLOAT_COMPONENTS] == [config.multipliers]


def test_the_cluster_without_pes_is_what_is_left():
    rows = component_counts(CONFIG, netlist())
    left = rows[CLUSTER_WITHOUT_PES]
    assert (left.gates, left.flip_flops, left.multipliers, left.area) == (100, 10, 1, 50.0)
    assert list(rows)[list(rows).index("Cluster") + 1] == CLUSTER_WITHOUT_PES


def test_figures_of_flows_not_run_stay_absent():
    left = subtract(counts(3), counts(), 2)
    assert dataclasses.asdict(left)["area"] is None
    assert left.gates == 100


def test_numbers_of_the_converter_are_no_part_of_a_name_and_of_several_ports_one_is_counted():
    found = netlist().modules
    found["gscn_cluster.drain$17"] = found.pop("gscn_cluster.drain")
    for name in ("reads", "writes"):
        found[f"{TOP_MODULE}.{name}0"] = found.pop(f"{TOP_MODULE}.{name}")
    config = CONFIG.with_overrides(["ports=2"])
    rows = component_counts(config, Netlist(top=TOP_MODULE, modules=found))
    assert set(rows) == {*COMPONENTS, CLUSTER_WITHOUT_PES}
    assert instances(config, "ReadArbiter") == 2


def test_instances_are_those_of_the_array():
    text = array_verilog(CONFIG).text
    assert instances(CONFIG, "Cluster") == len(re.findall(r"^ *gscn_cluster \S+ \(", text, re.M))
    per_cluster = len(re.findall(r"^ *gscn_worker \S+ \(", text, re.M))
    assert instances(CONFIG, "PE: Walker") == CONFIG.clusters * per_cluster == CONFIG.multipliers
    assert instances(CONFIG, "PieceReader, load") == CONFIG.clusters
    assert [instances(CONFIG, name) for name in ("Array", "Cutter")] == [1, 1]
    with pytest.raises(InputError, match="not 'Walker'"):
        instances(CONFIG, "Walker")


def test_the_published_report_is_of_the_present_configurations_and_components():
    """The figures are those of the last measurement; what they are of can be checked."""
    record = load("area")
    if record["stale"]:
        pytest.skip(f"the page says itself what changed since: {', '.join(record['stale'])}")
    data = record["data"]
    empty = Counts(gates=0, flip_flops=0, multipliers=0, memory_bits=0, multiplier_gates=0)
    assert [report["name"] for report in data["reports"]] == list(area.CONFIGS)
    for report in data["reports"]:
        config = area.configurations()[report["name"]]
        assert ArrayConfig.from_dict(report["config"]) == config
        found = dict.fromkeys(COMPONENTS.values(), empty)
        rows = component_counts(config, Netlist(top=TOP_MODULE, modules=found))
        assert list(report["components"]) == list(rows)
        assert [clock["component"] for clock in report["clocks"]] == list(area.CLOCKED)
    assert [report["formats"] for report in data["formats"]] == list(area.FORMATS)


@pytest.mark.slow
def test_a_whole_array_is_its_parts():
    report = measure_area("tiny", CONFIG)
    whole, cluster = report.components["Array"], report.components["Cluster"]
    # the Streamer multiplies small numbers to place words
    of_a_cluster = CONFIG.pes + report.components["Streamer"].multipliers
    assert cluster.multipliers == of_a_cluster
    assert whole.multipliers == CONFIG.clusters * of_a_cluster
    pe_memories = 2 * CONFIG.acc_depth * CONFIG.acc_width
    assert report.components["PE: Accumulator"].memory_bits == pe_memories
    others = ("PassSequencer", "Cutter", "ReadArbiter", "WriteArbiter")
    parts = CONFIG.clusters * cluster.flip_flops
    parts += sum(report.components[name].flip_flops for name in others)
    assert parts < whole.flip_flops
    assert report.to_dict()["components"]["PE"]["multipliers"] == 1


def test_a_missing_liberty_stops_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match="qflow-tech-osu018"):
        measure_area("tiny", CONFIG, liberty=tmp_path / "none.lib")
