"""Changes of nets counted by simulation are those counted by hand, short pulses included."""

from __future__ import annotations

import dataclasses
import shutil

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from benchmarks.gate_activity import Stimulus, count_changes, simulate
from gscn.errors import InputError, MismatchError
from gscn.hw.ram import Ram
from gscn.rtl_gen.cells import read_cells
from gscn.rtl_gen.clock_gates import LEAST_GATED
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
    assert seen.rises[PULSE] + seen.falls[PULSE] == 4
    assert STIMULUS.cycles == len(INPUTS) - FIRST


@simulated
def test_a_pulse_shorter_than_the_gate_takes_is_none(liberty):
    library = read_cells(liberty)
    times = timing(GATES, library)
    slow = dataclasses.replace(times, delays=times.delays | {PULSE: (2.5, 2.5)})
    seen = simulate(GATES, library, slow, STIMULUS)
    assert (seen.rises[PULSE], seen.falls[PULSE]) == (0, 0)
    assert seen.rises[A] == RISES[A]


@simulated
def test_an_output_that_differs_is_seen(liberty):
    library = read_cells(liberty)
    wrong = dataclasses.replace(STIMULUS, outputs=(*OUTPUTS[:-2], *OUTPUTS[:2]))
    assert wrong.outputs == OUTPUTS  # the pattern repeats every other cycle
    wrong = dataclasses.replace(STIMULUS, outputs=(*OUTPUTS[:-1], OUTPUTS[-2]))
    with pytest.raises(MismatchError, match="differ in 1 of 8"):
        simulate(GATES, library, timing(GATES, library), wrong)


def _packed(gates, **values):
    """Return the value of all inputs of a cycle; 0 of those that are not named."""
    packed = place = 0
    for name, nets in gates.inputs.items():
        if name != "clk":
            packed |= values.get(name, 0) << place
            place += len(nets)
    return packed


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
    given = [
        {},
        {"at": 9, "parts": 3, "data": 0x1234},
        {"at": 9, "parts": 2, "data": 0xABCD, "en": 0},
        {"at": 9, "en": 1},
        {"at": 8, "en": 1, "parts": 1, "data": 7},
        {},
    ]
    inputs = [_packed(gates, **one) for one in given]
    outputs = [0, 0, 0, 0, 0xAB34, 0]
    seen = simulate(
        gates, library, timing(gates, library),
        Stimulus(inputs=inputs, outputs=outputs, first=1, products=1),
    )  # fmt: skip
    (key,) = seen.reads
    assert key[-2] == "gscn_ram_256x16_by_8"
    assert (seen.reads[key], seen.writes[key]) == (2, 3)


class Told(wiring.Component):
    """A register that takes its input in the cycle after it is told to."""

    def __init__(self):
        super().__init__({"en": In(1), "i": In(LEAST_GATED), "o": Out(LEAST_GATED)})

    def elaborate(self, platform):
        m = Module()
        told, kept = Signal(), Signal(LEAST_GATED, reset_less=True)
        m.d.sync += told.eq(self.en)
        with m.If(told):
            m.d.sync += kept.eq(self.i)
        m.d.comb += self.o.eq(kept)
        return m


@simulated
def test_a_gated_clock_is_there_in_the_cycles_of_its_enable_alone(tmp_path):
    library = read_cells(liberty := write_liberty(tmp_path / "few.lib", latch=True))
    gates = map_to_gates(to_verilog(Told, "told").text, "told", liberty)
    values = [(1, 3), (1, 5), (0, 6), (0, 7), (1, 9), (0, 10), (0, 12)]
    inputs = [_packed(gates, en=en, i=value) for en, value in values]
    outputs = [0, 0, 5, 6, 6, 6, 10]
    seen = simulate(
        gates, library, timing(gates, library),
        Stimulus(inputs=inputs, outputs=outputs, first=1, products=1),
    )  # fmt: skip
    (gated,) = {one.pins["CLK"][0] for one in gates.cells if one.kind == "DFFX1"} - {gates.clock}
    assert (seen.rises[gated], seen.falls[gated]) == (3, 3)


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
