"""Trees as qrouter writes them, and the SPEF of one of them."""

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.layout.parasitics import Branch, both_edges, read_trees, to_spef

LINE = "q 1 DFF_1/Q 3 ( 2.5 0.5 PIN/q , ( 1.5 0.25 ( 1.0 0.125 A_1/A ) , A_2/B ) ) "


def test_a_tree_is_read_branch_by_branch():
    (tree,) = read_trees(f"{LINE}\n\n")
    assert (tree.net, tree.driver, tree.picofarad) == ("q", "DFF_1/Q", 0.875)
    assert tree.branches == (
        Branch(ohm=2.5, picofarad=0.5, parent=-1),
        Branch(ohm=0.0, picofarad=0.0, parent=0, pin="PIN/q"),
        Branch(ohm=1.5, picofarad=0.25, parent=0),
        Branch(ohm=1.0, picofarad=0.125, parent=2),
        Branch(ohm=0.0, picofarad=0.0, parent=3, pin="A_1/A"),
        Branch(ohm=0.0, picofarad=0.0, parent=2, pin="A_2/B"),
    )


def test_where_qrouter_goes_round_in_a_circle_a_pin_counts_once():
    circle = "q 1 DFF_1/Q 2 ( 2 0.5 A_1/A , ( 1 0.25 A_2/B , ( 1 0.125 A_1/A , ( 0 0 ERROR ) ) ) )"
    (tree,) = read_trees(circle)
    assert [branch.pin for branch in tree.branches if branch.pin] == ["A_1/A", "A_2/B"]
    assert [branch.parent for branch in tree.branches] == [-1, 0, 0, 2, 2, 4, 4, 6]
    assert (tree.is_lost, tree.picofarad) == (True, 0.875)
    (again,) = read_trees(circle.replace(" , ( 0 0 ERROR )", ""))
    assert (again.is_lost, again.branches) == (True, tree.branches[:-2])
    (back,) = read_trees(circle.replace("ERROR", "DFF_1/Q"))
    assert back == tree
    assert not read_trees(LINE)[0].is_lost
    with pytest.raises(InputError, match="3 sinks as it says, not 1 and 2"):
        read_trees(circle.replace("Q 2", "Q 3"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q 1", "must be what qrouter writes, not 'q 1'"),
        (LINE.replace("2.5", "x"), "must be what qrouter writes"),
        (LINE.replace("1.0 0.125", ""), "must be what qrouter writes"),
        (LINE.replace("Q 3", "Q 4"), "must have one driver and 4 sinks as it says, not 1 and 3"),
        (LINE.replace("q 1", "q 2"), "must have one driver and 3 sinks as it says, not 2 and 3"),
        (LINE.removesuffix(") "), "must have one driver and 3 sinks"),
    ],
)
def test_a_tree_that_is_not_whole_is_refused(line, message):
    with pytest.raises(InputError, match=message):
        read_trees(line)


def test_spef_has_every_pin_capacitor_and_resistor():
    lines = to_spef("block", read_trees(LINE), ("i",), ("q",)).splitlines()
    start = lines.index("*D_NET q 0.875")
    assert lines[lines.index("*PORTS") + 1 :][:2] == ["i I", "q O"]
    assert lines[start + 1 :] == [
        *("*CONN", "*I DFF_1:Q O", "*P q O", "*I A_1:A I", "*I A_2:B I"),
        *("*CAP", "1 q:1 0.5", "3 q:3 0.25", "4 q:4 0.125"),
        # No resistor is 0, which not every reader takes.
        *("*RES", "1 DFF_1:Q q:1 2.5", "2 q:1 q 0.001", "3 q:1 q:3 1.5", "4 q:3 q:4 1"),
        *("5 q:4 A_1:A 0.001", "6 q:3 A_2:B 0.001", "*END"),
    ]


def test_a_net_that_comes_in_is_driven_by_its_port():
    text = to_spef("block", read_trees("i 1 PIN/i 1 ( 1 0.5 A_1/A )"), ("i",), ())
    assert "*CONN\n*P i I\n*I A_1:A I\n" in text
    assert "*RES\n1 i i:1 1\n2 i:1 A_1:A 0.001\n" in text


def test_wires_have_two_edges():
    lef = "  CAPACITANCE CPERSQDIST 3.8e-05 ;\n  EDGECAPACITANCE 8.000000e-05 ;\nEND metal1\n"
    expected = lef.replace("8.000000e-05", "0.00016")
    assert both_edges(lef) == expected
