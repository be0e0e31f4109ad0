"""Small modules as blocks of the few cells; cells whose behaviour is evaluated by hand."""

import json

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.layout.block import Block, Gate, make_block, read_block
from gscn.rtl_gen.layout.clocking import Clocking
from gscn.rtl_gen.memories import Memory
from tests.rtl_gen.few_cells import write_liberty

NONE = Clocking(flip_flops=0, enabled=0, gateable=0, gates=0)


@pytest.fixture
def liberty(tmp_path):
    return write_liberty(tmp_path / "few.lib")


def made(liberty, body, ports="input clk, input e, input [7:0] i, output o"):
    return make_block(f"module top({ports}); {body} endmodule", "top", liberty)


def test_a_register_is_a_cell_and_unused_inputs_are_left_out(liberty):
    block = made(liberty, "reg q; assign o = q; always @(posedge clk) q <= i[3];")
    assert block == Block(
        gates=(Gate(kind="DFFX1", pins={"CLK": "clk", "D": "i_3", "Q": "o_"}),),
        inputs=("clk", "i_3"),
        outputs=("o_",),
        macros=(),
        clocking=Clocking(flip_flops=1, enabled=0, gateable=0, gates=0),
    )
    assert block.blif("block") == (
        ".model block\n.inputs clk i_3\n.outputs o_\n.gate DFFX1 CLK=clk D=i_3 Q=o_\n.end\n"
    )


def test_constants_and_inputs_that_pass_are_no_outputs(liberty):
    ports = "input clk, input i, output one, output same, output o"
    block = made(
        liberty,
        "reg q; assign one = 1; assign same = i; assign o = q; always @(posedge clk) q <= i;",
        ports,
    )
    assert (block.inputs, block.outputs) == (("clk", "i_"), ("o_",))


def test_memories_of_macros_become_ports_and_others_cells(liberty):
    block = made(
        liberty,
        "reg [7:0] m [0:511]; reg [7:0] row; reg few [0:1]; assign o = ^row ^ few[e];"
        " always @(posedge clk) begin row <= m[{i, e}]; if (e) m[{1'b0, i}] <= ~i;"
        " few[i[0]] <= i[1]; end",
    )
    assert block.macros == (Memory(depth=512, width=8, reads=1, writes=1, combinational=False),)
    # The rows of `few`; all of `m`, its register too, is in the macro.
    assert block.cells()["DFFX1"] == block.clocking.flip_flops == 2
    assert len({net for net in block.inputs if net.startswith("row")}) == 8
    inverted = {gate.pins["A"]: gate.pins["Y"] for gate in block.gates if gate.kind == "INVX1"}
    assert {inverted[f"i_{bit}"] for bit in range(8)} < set(block.outputs)


def test_what_cannot_be_scanned_is_refused(liberty):
    with pytest.raises(InputError, match="must be flip-flops on the rising edge of clk"):
        made(liberty, "reg q; assign o = q; always @(negedge clk) q <= e;")
    with pytest.raises(InputError, match="must have no loops"):
        made(liberty, "assign o = ~(o & e);")


def cell(kind, **pins):
    return {"type": kind, "connections": {pin: [bit] for pin, bit in pins.items()}}


def text_of(cells, **bits):
    names = {"clk": 2, "a": 3, "o": 4} | bits
    ports = {"A": {"direction": "input"}, "Y": {"direction": "output"}}
    module = {
        "ports": {
            "a": {"direction": "input", "bits": [names["a"]]},
            "o": {"direction": "output", "bits": [names["o"]]},
        },
        "cells": cells,
        "netnames": {name: {"bits": [bit]} for name, bit in names.items()},
    }
    return json.dumps({"modules": {"top": module, "INVX1": {"ports": ports}}})


def test_names_of_nets_are_words_and_all_different():
    cells = {"one": cell("INVX1", A=3, Y=5), "two": cell("INVX1", A=5, Y=6)}
    cells |= {"three": cell("INVX1", A=6, Y=7), "four": cell("INVX1", A=7, Y=4)}
    names = {"x.y": 5, "x_y": 6, "$0\\q": 7}
    block = read_block(text_of(cells, **names), "top", "clk", NONE, ())
    assert [gate.pins["Y"] for gate in block.gates] == ["x_y_2", "x_y", "net_0_q", "o_"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({}, "net o_ must have one driver, not 0"),
        ({"one": cell("INVX1", A=3, Y=4), "two": cell("INVX1", A=3, Y=4)}, "net o_ must .* not 2"),
        ({"one": cell("$_NOT_", A=3, Y=4)}, r"one must be a cell of the library, not \$_NOT_"),
        ({"one": cell("INVX1", A="0", Y=4)}, "one must have nets at its pins, not at A"),
    ],
)
def test_netlists_that_cannot_be_laid_out_are_refused(cells, message):
    with pytest.raises(InputError, match=message):
        read_block(text_of(cells), "top", "clk", NONE, ())


@pytest.mark.parametrize("text", ["", "[]", '{"modules": {"top": {}}}'])
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="must be what `write_json` writes"):
        read_block(text, "top", "clk", NONE, ())
