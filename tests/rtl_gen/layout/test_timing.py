"""OpenSTA's answers, and what it is asked; a netlist from where cells lie."""

from pathlib import Path

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.layout.block import Gate
from gscn.rtl_gen.layout.timing import (
    LongestPath,
    Timing,
    netlist,
    read_timing,
    timing_script,
)

LOG = """\
path setup 7.5 A_1/Q A_2/D
path hold -0.25 A_1/Q A_3/D
path input 9 i_3 A_2/D
path through 10.000000e-01 i_3 o
"""


def test_delays_are_what_slack_leaves_of_the_period():
    timing = read_timing(LOG)
    assert timing == Timing(
        registers=LongestPath(delay_ns=2.5, start="A_1/Q", end="A_2/D"),
        hold_slack_ns=-0.25,
        inputs=LongestPath(delay_ns=1.0, start="i_3", end="A_2/D"),
        outputs=None,
        through=LongestPath(delay_ns=9.0, start="i_3", end="o"),
    )
    assert timing.frequency_mhz == 400


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have a path from register to register"),
        (LOG.replace("hold", "hald"), "must have a path from register to register"),
        (f"{LOG}Error: timing.tcl, line 3 net x not found\n", "says 'Error: timing.tcl, line 3"),
        (f"Warning: wires.spef, line 9 x not found\n{LOG}", "says 'Warning: wires.spef, line 9"),
    ],
)
def test_other_answers_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        read_timing(text)


def test_only_with_wires_are_they_read():
    scripts = [timing_script("block", Path("/l.lib"), with_wires=wires) for wires in (False, True)]
    assert "read_spef wires.spef\n" in scripts[1]
    assert scripts[0] == scripts[1].replace("read_spef wires.spef", "")
    assert "read_liberty {/l.lib}\n" in scripts[0]


def test_a_netlist_has_the_cells_and_ports():
    cells = {"I_1": Gate(kind="INVX1", pins={"A": "i", "Y": "n"})}
    cells["D_1"] = Gate(kind="DFFPOSX1", pins={"CLK": "clk", "D": "n", "Q": "o"})
    assert netlist(cells, "block", ["clk", "i"], ["o"]).splitlines() == [
        *("module block (clk, i, o);", "input clk;", "input i;", "output o;"),
        "INVX1 I_1 (.A(i), .Y(n));",
        "DFFPOSX1 D_1 (.CLK(clk), .D(n), .Q(o));",
        "endmodule",
    ]
