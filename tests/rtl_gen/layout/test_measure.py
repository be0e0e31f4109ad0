"""Figures of a small layout by hand, and (slow) of a counter that the tools lay out."""

import dataclasses
import json

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.layout import measure
from gscn.rtl_gen.layout.block import Block, Gate
from gscn.rtl_gen.layout.clocking import Clocking
from gscn.rtl_gen.layout.def_file import Net, Placed
from gscn.rtl_gen.layout.flow import SEED, NotRoutedError, missing
from gscn.rtl_gen.layout.measure import PLACEMENTS, Layout, measure_layout, summary
from gscn.rtl_gen.layout.parasitics import Branch, Tree
from gscn.rtl_gen.layout.timing import LongestPath, Timing
from gscn.rtl_gen.memories import Memory

COUNTER = """\
module counter(input clk, input rst, input en, output reg [39:0] q, output z);
  assign z = q == 40'd77;
  always @(posedge clk) if (rst) q <= 0; else if (en) q <= q + 3;
endmodule
"""
PATH = LongestPath(delay_ns=2.0, start="D_1/Q", end="D_1/D")
TIMING = Timing(registers=PATH, hold_slack_ns=0.1, inputs=None, outputs=PATH, through=None)
MACRO = Memory(depth=512, width=8, reads=1, writes=1, combinational=False)


def small_block():
    return Block(
        gates=(
            Gate(kind="DFFPOSX1", pins={"CLK": "clk", "D": "d", "Q": "q"}),
            Gate(kind="INVX1", pins={"A": "q", "Y": "d"}),
        ),
        inputs=("clk",),
        outputs=("q",),
        macros=(MACRO, MACRO),
        clocking=Clocking(flip_flops=1, enabled=0, gateable=0, gates=0),
    )


def small_placed():
    cells = {"D_1": "DFFPOSX1", "I_1": "INVX2", "C_1": "CLKBUF1", "F_1": "FILL", "F_2": "FILL"}
    return Placed(
        width=20.0,
        height=30.0,
        cells=cells,
        nets={
            "clk": Net(pins=(("PIN", "clk"), ("C_1", "A")), length={"metal1": 1.0}, vias=1),
            "clk_bF$buf0": Net(pins=(("C_1", "Y"), ("D_1", "CLK")), length={"metal2": 2.0}, vias=2),
            "q": Net(pins=(("D_1", "Q"), ("I_1", "A")), length={"metal1": 4.0}, vias=4),
            "clk_is_no_clock": Net(pins=(("I_1", "Y"), ("D_1", "D")), length={"metal3": 8.0}),
        },
    )


def small_layout():
    sizes = {name: (width, 10.0) for name, width in zip(("FILL", "INVX1"), (0.8, 1.6), strict=True)}
    sizes |= {"INVX2": (2.4, 10.0), "CLKBUF1": (7.2, 10.0), "DFFPOSX1": (9.6, 10.0)}
    trees = [
        Tree(
            net=net,
            driver="C_1/Y",
            branches=(Branch(ohm=1.0, picofarad=0.5, parent=-1),),
            is_lost=net == "q",
        )
        for net in ("clk", "q")
    ]
    timings = (TIMING, dataclasses.replace(TIMING, hold_slack_ns=0.3))
    return summary(small_block(), small_placed(), trees, sizes, placement=1, timings=timings)


def test_cells_wires_and_areas_are_summed():
    layout = small_layout()
    assert (layout.cells, layout.buffers, layout.clock_buffers) == (3, 1, 1)
    assert layout.cell_area == pytest.approx(96 + 24 + 72)
    assert layout.synthesised_area == pytest.approx(96 + 16)
    assert (layout.flip_flops, layout.flip_flop_area) == (1, pytest.approx(96))
    assert layout.core_area == pytest.approx(96 + 24 + 72 + 16)
    assert layout.utilisation == pytest.approx(192 / 208)
    assert (layout.wire_length, layout.clock_length, layout.vias) == (15.0, 3.0, 7)
    assert layout.layers == {"metal1": 5.0, "metal2": 2.0, "metal3": 8.0}
    assert (layout.wire_capacitance, layout.macro_bits, layout.ports) == (1.0, 8192, 2)
    assert (layout.nets, layout.lost_nets) == (4, 1)
    assert layout.after.frequency_mhz == 500


def test_figures_come_back_from_json():
    layout = small_layout()
    assert Layout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


@pytest.mark.parametrize("good", [1, 3, PLACEMENTS])
@pytest.mark.parametrize("crashes", [False, True])
def test_placements_are_tried_until_one_is_right(crashes, good, monkeypatch):
    """Parts of the flow that need tools are replaced by what they would return."""
    seeds = []

    def lay_out(*arguments):
        seeds.append(arguments[-1])
        if crashes and len(seeds) < good:
            raise NotRoutedError("router.sh must end well")

    monkeypatch.setattr(measure, "check_flow", lambda: None)
    monkeypatch.setattr(measure, "make_block", lambda *_: "block")
    monkeypatch.setattr(measure, "lay_out", lay_out)
    monkeypatch.setattr(
        measure, "_checked", lambda *_: ("placed", ["q has no wire"] * (len(seeds) < good))
    )
    monkeypatch.setattr(measure, "_measured", lambda *arguments: arguments[-1])
    assert measure_layout(COUNTER, "counter") == good
    assert seeds == [SEED + number for number in range(good)]


def test_placements_that_all_are_wrong_are_an_error(monkeypatch):
    monkeypatch.setattr(measure, "check_flow", lambda: None)
    monkeypatch.setattr(measure, "make_block", lambda *_: "block")
    monkeypatch.setattr(measure, "lay_out", lambda *_: None)
    monkeypatch.setattr(measure, "_checked", lambda *_: ("placed", ["q has no wire"]))
    with pytest.raises(InputError, match=rf"one of {PLACEMENTS} placements .*: q has no wire"):
        measure_layout(COUNTER, "counter")


@pytest.fixture
def checked(monkeypatch, tmp_path):
    """Return `_checked` of a layout: what Magic finds, read or in words, and its DEF."""
    block, placed = small_block(), dataclasses.replace(small_placed(), nets={})
    (tmp_path / "layout").mkdir()
    path = tmp_path / "layout" / "block.def"

    def check(violations, spice, text="def"):
        path.write_text(text)
        monkeypatch.setattr(
            measure, "check_layout", lambda _: (violations, spice(path.read_text()))
        )
        found = measure._checked(block, tmp_path)
        assert found[0] == placed
        return found[1], path.read_text()

    monkeypatch.setattr(measure, "read_def", lambda _: placed)
    monkeypatch.setattr(measure, "read_spice", lambda text, _: text)
    monkeypatch.setattr(measure, "broken", lambda text, _: {"q": 2} if text == "broken" else {})
    monkeypatch.setattr(measure, "differences", lambda text, _: [text] * (text != "whole"))
    monkeypatch.setattr(measure, "changes", lambda *_: [])
    return check


@pytest.mark.parametrize(("violations", "spice", "wrong"), [
    (0, "whole", []),
    (3, "whole", ["Magic finds 3 violations of rules"]),
    (0, "shorted", ["shorted"]),
    (0, "broken", ["broken"]),
])  # fmt: skip
def test_a_layout_is_right_if_it_is_the_netlist_by_the_rules(violations, spice, wrong, checked):
    assert checked(violations, lambda _: spice) == (wrong, "def")


def test_lost_vias_of_broken_nets_are_put_back_before_a_layout_is_judged(checked):
    def spice(text):
        return "whole" if "M3_M2" in text else "broken"

    lost = "+ ROUTED metal2 ( 0 0 ) ( 80 * )\n  NEW metal3 ( 80 0 ) ( * 90 ) ;\n"
    text = f"NETS 2 ;\n- o\n{lost}- q\n{lost}END NETS\n"
    wrong, after = checked(0, spice, text)
    assert wrong == []
    assert after.count("M3_M2") == 1
    assert after.index("M3_M2") > after.index("- q")


@pytest.mark.slow
def test_a_counter_is_laid_out():
    if gone := missing():
        pytest.skip(f"place and route needs {', '.join(gone)}, which is not here")
    layout = measure_layout(COUNTER, "counter")
    assert 1 <= layout.placement <= PLACEMENTS
    assert layout.clocking == Clocking(flip_flops=40, enabled=40, gateable=40, gates=1)
    assert (layout.flip_flops, layout.flip_flop_area) == (40, 40 * 96)
    # Forty are too many for one output.
    assert layout.buffers >= layout.clock_buffers > 2
    assert 0.5 < layout.utilisation < 0.8
    assert layout.core_area < layout.width * layout.height
    # Wires take time, and none of it is made up: they have the capacitance that the LEF gives them.
    assert layout.before.registers.delay_ns < layout.after.registers.delay_ns
    assert layout.wire_capacitance == pytest.approx(wire_capacitance(layout.layers), rel=0.3)


def wire_capacitance(layers):
    """Return picofarads of wires, by widths, areas and edges of the library's LEF."""
    each = {
        "metal1": 0.3 * 3.8e-5 + 2 * 8e-5,
        "metal2": 0.3 * 1.9e-5 + 2 * 6e-5,
        "metal3": 0.3 * 1.3e-5 + 2 * 5.4e-5,
        "metal4": 0.3 * 8e-6 + 2 * 4.1e-5,
        "metal5": 0.3 * 8e-6 + 2 * 2.4e-5,
        "metal6": 0.5 * 3e-6 + 2 * 2e-5,
    }
    return sum(length * each[name] for name, length in layers.items())
