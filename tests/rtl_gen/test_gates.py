# amaranth: UnusedElaboratable=no
"""Netlists of cells: mapped from components, and timed, with a library of few cells."""

from __future__ import annotations

import json

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.errors import InputError
from gscn.hw.ram import Ram
from gscn.rtl_gen.cells import read_cells
from gscn.rtl_gen.gates import ADDER, EDGE_NS, MULTIPLIER, map_to_gates, read_gates, timing
from gscn.rtl_gen.verilog import to_verilog
from tests.rtl_gen.few_cells import write_liberty


class Part(wiring.Component):
    """A product, a wide sum of it, and a memory."""

    def __init__(self):
        super().__init__({"a": In(signed(3)), "total": Out(signed(42)), "found": Out(4)})

    def elaborate(self, platform):
        m = Module()
        product = Signal(signed(6), reset_less=True)
        m.d.sync += [product.eq(self.a * self.a), self.total.eq(self.total + product)]
        m.submodules.kept = kept = Ram(shape=4, depth=512)
        m.d.comb += [
            kept.write.en.eq(1),
            kept.write.data.eq(self.a),
            kept.read.en.eq(1),
            self.found.eq(kept.read.data),
        ]
        return m


@pytest.fixture(scope="module")
def liberty(tmp_path_factory):
    return write_liberty(tmp_path_factory.mktemp("few") / "few.lib")


@pytest.fixture(scope="module")
def mapped(liberty):
    return map_to_gates(to_verilog(Part, "part").text, "part", liberty)


def test_multipliers_and_adders_are_told_apart_and_memories_stay(mapped):
    ends = {one.path[-1].rpartition("_")[2] for one in mapped.cells if one.path}
    assert ends == {MULTIPLIER, ADDER}
    flip_flops = [one for one in mapped.cells if one.kind == "DFFX1"]
    assert len(flip_flops) == 42 + 6
    assert all(one.path == () for one in flip_flops)
    (memory,) = mapped.memories
    assert memory.kind == "gscn_ram_512x4"
    assert [(one.module, one.depth, one.width) for one in mapped.rams] == [(memory.kind, 512, 4)]
    assert {name: len(nets) for name, nets in mapped.inputs.items()} == {"clk": 1, "rst": 1, "a": 3}
    assert {name: len(nets) for name, nets in mapped.outputs.items()} == {"total": 42, "found": 4}


def test_loads_and_delays_are_those_of_the_pins(mapped, liberty):
    library = read_cells(liberty)
    times = timing(mapped, library)
    pins = sum(len(library[one.kind].loads) for one in mapped.cells)
    flip_flops = sum(one.kind == "DFFX1" for one in mapped.cells)
    # 0.01 pF of each input of a gate; those of flip-flops have none
    assert sum(times.loads.values()) == pytest.approx(0.01 * (pins - 2 * flip_flops))
    gates = {one.pins["Y"][0] for one in mapped.cells if "Y" in one.pins}
    assert all(times.delays[net] == (1.0, 1.0) for net in gates)
    assert all(times.transitions[net] == 0.0 for net in gates)
    assert times.transitions[mapped.inputs["a"][0]] == EDGE_NS


def netlist(cells, ports=None):
    ports = {"clk": {"direction": "input", "bits": [2]}} | (ports or {})
    made = {
        name: {"type": kind, "connections": {pin: [net] for pin, net in pins.items()}}
        for name, (kind, pins) in cells.items()
    }
    return json.dumps({"modules": {"top": {"ports": ports, "cells": made}}})


def test_paths_are_the_instances_around_a_cell():
    gates = read_gates(
        netlist(
            {
                "$flatten\\walker.\\top.walker_multiplier.$abc$12$3": ("INVX1", {"A": 2, "Y": 3}),
                "\\words.queue.x": ("INVX1", {"A": 2, "Y": 4}),
                "$auto$1": ("INVX1", {"A": 2, "Y": 5}),
                "seen": ("$scopeinfo", {}),
            }
        ),
        "top",
    )
    assert [one.path for one in gates.cells] == [
        ("walker", "top", "walker_multiplier"), ("words", "queue"), ()
    ]  # fmt: skip


LOOP = {"a": ("INVX1", {"A": 3, "Y": 4}), "b": ("INVX1", {"A": 4, "Y": 3})}


@pytest.mark.parametrize(
    ("cells", "message"),
    [(LOOP, "no loop"), ({"a": ("ODD", {})}, "gate or register of the liberty, not 'ODD'")],
)
def test_what_cannot_be_timed_is_refused(liberty, cells, message):
    gates, library = read_gates(netlist(cells), "top"), read_cells(liberty)
    with pytest.raises(InputError, match=message):
        timing(gates, library)


def test_what_is_no_netlist_is_refused():
    with pytest.raises(InputError, match="what `write_json` writes"):
        read_gates("{}", "top")
