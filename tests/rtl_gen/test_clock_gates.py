# amaranth: UnusedElaboratable=no
"""Enables of many flip-flops gate their clock, if the library has a latch to do it with."""

from __future__ import annotations

from collections import Counter

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.rtl_gen.cells import read_cells
from gscn.rtl_gen.clock_gates import LEAST_GATED
from gscn.rtl_gen.gates import EDGE_NS, map_to_gates, timing
from gscn.rtl_gen.memories import Memory
from gscn.rtl_gen.memory_cells import memory_areas
from gscn.rtl_gen.synthesis import synthesize
from gscn.rtl_gen.verilog import to_verilog
from tests.rtl_gen.few_cells import AREAS, LATCH, write_liberty


class Enabled(wiring.Component):
    """Registers that are written when they are told to, as many as a gate pays for and one less."""

    def __init__(self):
        self.widths = {"many": LEAST_GATED, "few": LEAST_GATED - 1}
        super().__init__(
            {
                **{f"{name}_en": In(1) for name in self.widths},
                "i": In(LEAST_GATED),
                **{name: Out(width) for name, width in self.widths.items()},
            }
        )

    def elaborate(self, platform):
        m = Module()
        for name, width in self.widths.items():
            kept = Signal(width, name=f"kept_{name}", reset_less=True)
            with m.If(getattr(self, f"{name}_en")):
                m.d.sync += kept.eq(self.i)
            m.d.comb += getattr(self, name).eq(kept)
        return m


@pytest.mark.parametrize("latch", [False, True])
def test_an_enable_of_many_flip_flops_gates_their_clock_if_there_is_a_latch(tmp_path, latch):
    liberty = write_liberty(tmp_path / "few.lib", latch=latch)
    gates = map_to_gates(to_verilog(Enabled, "part").text, "part", liberty)
    clocks = Counter(one.pins["CLK"][0] for one in gates.cells if one.kind == "DFFX1")
    direct = clocks.pop(gates.clock)
    latches = [one for one in gates.cells if one.kind == LATCH]
    assert [direct, *clocks.values()] == (
        [LEAST_GATED - 1, LEAST_GATED] if latch else [2 * LEAST_GATED - 1]
    )
    assert len(latches) == latch
    library = read_cells(liberty)
    found = gates.clocks(library)
    assert found >= {gates.clock, *clocks, *(one.pins["CLK"][0] for one in latches)}
    assert found.isdisjoint(one.pins["D"][0] for one in gates.cells if "D" in one.pins)
    times = timing(gates, library)
    for net in found - {gates.clock}:
        assert (times.delays[net], times.transitions[net]) == ((0.0, 0.0), EDGE_NS)


@pytest.mark.parametrize("latch", [False, True])
def test_latches_count_as_flip_flops_where_the_library_does_not_say(tmp_path, latch):
    areas = dict.fromkeys(AREAS, 0.0) | {"DFFX1": 10.0}
    liberty = write_liberty(tmp_path / "few.lib", areas, latch=latch)
    counts = synthesize(to_verilog(Enabled, "part").text, "part", liberty=liberty).modules["part"]
    assert counts.flip_flops == 2 * LEAST_GATED - 1
    assert counts.area == counts.sequential_area == 10 * (counts.flip_flops + latch)
    rows = Memory(depth=4, width=LEAST_GATED, reads=1, writes=1, combinational=True)
    assert memory_areas([rows], liberty) == {rows: 10 * 4 * (LEAST_GATED + latch)}
