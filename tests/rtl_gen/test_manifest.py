"""The manifest tells what was generated, and comes back from its file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from gscn.array import ARRAYS
from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES, COUNTERS_PER_CLUSTER
from gscn.errors import InputError
from gscn.register import Top
from gscn.rtl_gen.manifest import MANIFEST_FILE, Manifest, Port, load_manifest

CONFIG = ARRAYS["tiny"]


def manifest(folder):
    return Manifest(
        top=Top.ARRAY,
        module="top",
        verilog=folder / "top.v",
        verilog_digest="a1",
        source_digest="b2",
        config=CONFIG,
        ports=(Port(name="clk", direction="input", width=1),),
        versions={"tool": "1.0"},
        companions={"top.core": "c3"},
    )


@pytest.mark.parametrize(
    "changed", [{}, {"source_digest": "", "companions": {}, "ports": ()}, {"top": Top.MACHINE}]
)
def test_a_manifest_comes_back_from_its_file(tmp_path, changed):
    written = dataclasses.replace(manifest(tmp_path), **changed)
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(written.to_dict()))
    assert load_manifest(tmp_path) == load_manifest(tmp_path / MANIFEST_FILE) == written


def test_it_names_the_verilog_beside_it_wherever_it_was_moved(tmp_path):
    written = manifest(Path("elsewhere")).to_dict()
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(written))
    assert load_manifest(tmp_path).verilog == tmp_path / "top.v"


def test_layouts_and_counters_are_told():
    told = manifest(Path()).to_dict()
    descriptor = told["records"]["pass_descriptor"]
    assert descriptor["width"] == 256 * 8
    second = descriptor["fields"][1]
    assert (second["name"], second["low_bit"], second["signed"]) == ("s_table", 64, False)
    for record in told["records"].values():
        assert sum(field["width"] for field in record["fields"]) == record["width"]
    counters = told["counters"]["cluster"]
    names = [counter["name"] for counter in counters]
    assert names == [*CLUSTER_COUNTER_NAMES, *CLUSTER_EVENT_NAMES]
    assert counters[1]["indices"] == [1, 1 + COUNTERS_PER_CLUSTER]
    assert told["counters"]["total_cycles"]["index"] == 2 * COUNTERS_PER_CLUSTER


def test_of_a_machine_all_records_are_told_and_behind_registers_its_own_counter():
    machine = dataclasses.replace(manifest(Path()), top=Top.MACHINE)
    told = machine.to_dict()
    assert list(told["records"]) == [
        "pass_descriptor",
        "encode_descriptor",
        "encode_state",
        "control_record",
    ]
    assert [told["records"][name]["width"] // 8 for name in told["records"]] == [256, 512, 64, 256]
    assert "machine_cycles" not in told["counters"]
    port = Port(name="interrupt", direction="output", width=1)
    told = dataclasses.replace(machine, ports=(port,)).to_dict()
    assert told["counters"]["machine_cycles"]["index"] == 2 * COUNTERS_PER_CLUSTER + 1
    told = dataclasses.replace(manifest(Path()), ports=(port,)).to_dict()
    assert "machine_cycles" not in told["counters"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"module": 1}'])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="must describe a generated module"):
        load_manifest(tmp_path)
