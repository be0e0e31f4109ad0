"""Rows of an area report."""

import dataclasses
import json
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
    AreaReport,
    Clock,
    component_counts,
    instances,
    measure_area,
    subtract,
)
from gscn.rtl_gen.area_formats import FormatReport, formats_table, measure_formats, with_formats
from gscn.rtl_gen.area_text import render_data, report_data, to_markdown, tool_versions
from gscn.rtl_gen.generator import TOP_MODULE
from gscn.rtl_gen.place import Placement
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
    # 4 PEs, each an area of 50, in an accelerator of 50: made up, so the share is no real one
    assert "| PE | 4 | 64 | 50 | - | 50 | 400.0 % |" in text
    assert "| PE: multiplier | 4 | 0 | 20 | 0 | 20 | 160.0 % |" in text
    assert "| PE: logic outside the multiplier | 4 | 64 | 30 | - | 30 | 240.0 % |" in text
    assert "| PE: logic outside the multiplier | 60 | 10 | 0 | - | - | - | - | - |" in text
    assert "| Cluster | 2 | 192 | 150 | - | 75 | 600.0 % |" in text
    assert "pyosys 1.2" in text
    assert CONFIG.digest() in text


def test_number_formats_are_named_with_plus_signs():
    config = with_formats(CONFIG, "int8+fp16+bf16")
    assert (config.operand_format, config.float_formats) == ("int8", "bf16,fp16")
    assert with_formats(config, "int16") == CONFIG
    with pytest.raises(InputError, match="float_formats must be empty or different names of bf16"):
        with_formats(CONFIG, "int16+int8")


def test_formats_are_compared_with_the_first():
    reports = [
        FormatReport(
            formats=formats,
            config=with_formats(CONFIG, formats),
            parts={"PE": counts(area=area), "Walker": counts(area=7.0)},
            cell_delay_ns=7.5,
            placement=None,
        )
        for formats, area in (("int16", 200.0), ("int16+bf16", 250.0))
    ]
    head, rows = formats_table(reports)
    told = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["of the first"] for row in told] == ["100.0 %", "125.0 %"]
    assert [row["Walker (um2)"] for row in told] == [7.0, 7.0]
    assert [row["FloatRounder (um2)"] for row in told] == [None, None]
    assert [row["flip-flops"] for row in told] == [10, 10]
    text = to_markdown([], {}, reports)
    assert "| int16+bf16 | 250 | 125.0 % | 7 | - | - | - | 10 | 64 | 100 | 1 |" in text
    with pytest.raises(InputError, match="formats must be at least one set"):
        formats_table([])


@pytest.mark.slow
def test_a_pe_with_float_formats_has_one_multiplier():
    plain, floats = measure_formats(CONFIG, ["int16", "int16+bf16+fp16+fp8_e4m3"])
    assert [one.parts["PE"].multipliers for one in (plain, floats)] == [1, 1]
    assert "FloatRounder" not in plain.parts
    grown = floats.parts["Accumulator"].memory_bits - plain.parts["Accumulator"].memory_bits
    assert grown == 2 * 2 * CONFIG.acc_depth  # two special bits beside the sums of two banks


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
    (whole,) = (r for r in data["reports"][0]["rows"] if r["component"] == "Accelerator")
    assert (whole["instances"], whole["share_percent"]) == (1, 100)
    assert whole["area_per_multiplier"] == 50.0 / CONFIG.multipliers


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
