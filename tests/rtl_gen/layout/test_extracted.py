"""Shorts and opens in netlists written by hand."""

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.layout.block import Gate
from gscn.rtl_gen.layout.def_file import Net, Placed
from gscn.rtl_gen.layout.extracted import broken, changes, differences, gates_of, read_spice

SPICE = """\
* NGSPICE file

.subckt INVX1 A gnd Y vdd
.ends

.subckt FILL gnd vdd
.ends

.subckt block vdd gnd i o
XFILL_0 gnd vdd FILL
XINVX1_1 i gnd INVX1_2/A
+ vdd INVX1
XINVX1_2 INVX1_2/A gnd o vdd INVX1
.ends
"""
NETS = {
    "i": Net(pins=(("PIN", "i"), ("INVX1_1", "A"))),
    "middle": Net(pins=(("INVX1_1", "Y"), ("INVX1_2", "A"))),
    "o": Net(pins=(("INVX1_2", "Y"), ("PIN", "o"))),
}


def test_pins_of_a_net_are_read_by_the_names_of_their_kind():
    nets = read_spice(SPICE, "block")
    assert nets["i"] == {("PIN", "i"), ("INVX1_1", "A")}
    assert nets["INVX1_2/A"] == {("INVX1_1", "Y"), ("INVX1_2", "A")}
    assert ("FILL_0", "vdd") in nets["vdd"]


def test_a_netlist_that_is_right_has_no_differences():
    assert differences(read_spice(SPICE, "block"), NETS) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("gnd o vdd", "gnd i vdd", ["o is in 2 pieces", "o is shorted to i"]),
        ("XINVX1_2 INVX1_2/A", "XINVX1_2 loose", ["middle is in 2 pieces"]),
        ("XINVX1_1 i gnd", "XINVX1_1 vdd gnd", ["i is in 2 pieces", "i is shorted to vdd"]),
        ("XINVX1_2 INVX1_2/A", "* ", ["middle is in 2 pieces", "o is in 2 pieces"]),
    ],
    ids=["short", "open", "power", "missing"],
)
def test_shorts_and_opens_are_found(old, new, found):
    extracted = read_spice(SPICE.replace(old, new), "block")
    assert differences(extracted, NETS) == found
    in_pieces = [sentence for sentence in found if "pieces" in sentence]
    assert in_pieces == [f"{net} is in {n} pieces" for net, n in broken(extracted, NETS).items()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a circuit block"),
        (SPICE.replace(".subckt INVX1 A", ".subckt INVX2 A"), "INVX1_1 must be a cell of known"),
        (SPICE.replace("XFILL_0 gnd", "XFILL_0"), "FILL_0 must be a cell of known pins, not FILL"),
    ],
)
def test_other_text_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        read_spice(text, "block")


def gate(kind, **pins):
    return Gate(kind=kind, pins=pins)


GATES = [
    gate("NAND2X1", A="a", B="b", Y="y"),
    gate("NAND2X1", A="a", B="b", Y="z"),
    gate("BUFX2", A="y", Y="y_out"),
    gate("INVX1", A="y_out", Y="n"),
]


def test_cells_are_those_that_lie_there_without_fillers():
    placed = Placed(
        width=1.0,
        height=1.0,
        cells={"I_1": "INVX1", "F_1": "FILL"},
        nets={"i": Net(pins=(("PIN", "i"), ("I_1", "A"))), "o": Net(pins=(("I_1", "Y"),))},
    )
    assert gates_of(placed) == {"I_1": gate("INVX1", A="i", Y="o")}


def test_buffers_and_strength_are_no_change():
    placed = [
        gate("NAND2X1", A="a_bF$buf1", B="b", Y="z"),
        gate("CLKBUF1", A="a_hier0", Y="a_bF$buf1"),
        gate("BUFX4", A="a", Y="a_hier0"),
        gate("INVX8", A="y", Y="n"),
        gate("NAND2X1", A="a", B="b", Y="y"),
    ]
    assert changes(GATES, placed) == []


@pytest.mark.parametrize(
    ("placed", "found"),
    [
        (GATES[1:], ["NAND2 of A a, B b, Y y is lost"]),
        ([*GATES, GATES[0]], ["NAND2 of A a, B b, Y y is new"]),
        (
            [*GATES[:3], gate("INVX1", A="z", Y="n")],
            ["INV of A y, Y n is lost", "INV of A z, Y n is new"],
        ),
        (
            [*GATES[:2], gate("BUFX2", A="b", Y="y_out"), GATES[3]],
            ["INV of A y, Y n is lost", "INV of A b, Y n is new"],
        ),
        (
            [*GATES[:3], gate("AND2X1", A="y_out", Y="n")],
            ["INV of A y, Y n is lost", "AND2 of A y, Y n is new"],
        ),
    ],
    ids=["lost", "doubled", "net", "buffer", "kind"],
)
def test_other_cells_and_nets_are_changes(placed, found):
    assert changes(GATES, placed) == found


def test_buffers_in_a_ring_have_an_end():
    ring = [gate("BUFX2", A="a", Y="b"), gate("BUFX2", A="b", Y="a"), gate("INVX1", A="a", Y="n")]
    assert changes(GATES, ring) != []
