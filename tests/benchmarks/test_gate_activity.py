"""Changes of nets counted by simulation are those counted by hand, short pulses included."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from benchmarks.gate_activity import Stimulus, count_changes, simulate
from gscn.errors import InputError, MismatchError
from gscn.hw.ram import Ram
from gscn.rtl_gen.cells import read_cells
from gscn.rtl_gen.gates import map_to_gates, timing
from gscn.rtl_gen.verilog import to_verilog
from tests.rtl_gen.few_cells import write_liberty
from tests.rtl_gen.made_gates import FALLS, FIRST, GATES, INPUTS, OUTPUTS, PULSE, RISES, A

simulated = pytest.mark.skipif(
    shutil.which("iverilog") is None,
    reason="iverilog (Icarus Verilog, optional) is not installed",
)
STIMULUS = Stimulus(inputs=INPUTS, outputs=OUTPUTS, first=FIRST, products=1)


@pytest.fixture
def liberty(tmp_path):
    return write_liberty(tmp_path / "few.lib")


@simulated
def test_changes_are_those_counted_by_hand(liberty):
    library = read_cells(liberty)
    seen = simulate(GATES, library, timing(GATES, library), STIMULUS)
    assert {net: seen.rises[net] for net in RISES} == RISES
    assert {net: seen.falls[net] for net in FALLS} == FALLS
    assert seen.changes(PULSE) == 4
    assert STIMULUS.cycles == len(INPUTS) - FIRST


@simulated
def test_a_pulse_shorter_than_the_gate_takes_is_none(liberty):
    library = read_cells(liberty)
    times = timing(GATES, library)
    slow = dataclasses.replace(times, delays=times.delays | {PULSE: (2.5, 2.5)})
    seen = simulate(GATES, library, slow, STIMULUS)
    assert seen.changes(PULSE) == 0
    assert seen.rises[A] == RISES[A]


@simulated
def test_an_output_that_differs_is_seen(liberty):
    library = read_cells(liberty)
    wrong = dataclasses.replace(STIMULUS, outputs=(*OUTPUTS[:-2], *OUTPUTS[:2]))
    assert wrong.outputs == OUTPUTS  # the pattern repeats every other cycle
    wrong = dataclasses.replace(STIMULUS, outputs=(*OUTPUTS[:-1], OUTPUTS[-2]))
    with pytest.raises(MismatchError, match="differ in 1 of 8"):
        simulate(GATES, library, timing(GATES, library), wrong)


class Kept(wiring.Component):
    """A memory that is written in parts."""

    def __init__(self):
        super().__init__({"at": In(8), "parts": In(2), "data": In(16), "en": In(1), "o": Out(16)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = Ram(shape=16, depth=256, granularity=8)
        m.d.comb += [
            rows.write.addr.eq(self.at),
            rows.write.data.eq(self.data),
            rows.write.en.eq(self.parts),
            rows.read.addr.eq(self.at),
            rows.read.en.eq(self.en),
            self.o.eq(rows.read.data),
        ]
        return m


@simulated
def test_accesses_of_memories_are_counted(liberty):
    gates = map_to_gates(to_verilog(Kept, "kept").text, "kept", liberty)
    library = read_cells(liberty)
    widths = {name: len(nets) for name, nets in gates.inputs.items() if name != "clk"}
    given = [
        {},
        {"at": 9, "parts": 3, "data": 0x1234},
        {"at": 9, "parts": 2, "data": 0xABCD, "en": 0},
        {"at": 9, "en": 1},
        {"at": 8, "en": 1, "parts": 1, "data": 7},
        {},
    ]
    inputs = []
    for one in given:
        value = place = 0
        for name, width in widths.items():
            value |= one.get(name, 0) << place
            place += width
        inputs.append(value)
    outputs = [0, 0, 0, 0, 0xAB34, 0]
    seen = simulate(
        gates, library, timing(gates, library),
        Stimulus(inputs=inputs, outputs=outputs, first=1, products=1),
    )  # fmt: skip
    (key,) = seen.reads
    assert key[-2] == "gscn_ram_256x16_by_8"
    assert (seen.reads[key], seen.writes[key]) == (2, 3)


def test_values_that_are_dumped_are_no_changes(tmp_path):
    path = tmp_path / "some.vcd"
    path.write_text(
        "$scope module dut $end\n$var wire 1 ! n5 $end\n$var wire 1 # n7 $end\n"
        "$var wire 1 $ clk $end\n$var wire 3 % in [2:0] $end\n$upscope $end\n"
        "$enddefinitions $end\n#100\n$dumpvars\n1!\n0#\n0$\nb101 %\n$end\n"
        "#110\n0!\n1$\nb1 %\n#120\n1!\n0$\n#130\n0!\n1#\n"
    )
    assert count_changes(path) == ({5: 1, 7: 1}, {5: 2, 7: 0})


def test_without_a_simulator_it_is_named(monkeypatch, liberty):
    monkeypatch.setenv("PATH", "")
    library = read_cells(liberty)
    with pytest.raises(InputError, match="needs iverilog: install Debian's iverilog"):
        simulate(GATES, library, timing(GATES, library), STIMULUS)
