"""A DEF and a LEF of two cells, whose figures are worked out by hand."""

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.layout.def_file import Net, Via, Wire, read_def, read_routes, read_sizes

DEF = """\
VERSION 5.6 ;
DESIGN block ;
UNITS DISTANCE MICRONS 100 ;

DIEAREA ( -320 -300 ) ( 7040 4300 ) ;

COMPONENTS 3 ;
- INVX1_1 INVX1 + PLACED ( 40 50 ) FS ;
- FILL_0 FILL + PLACED ( 200 50 ) FS ;
- DFFPOSX1_1 DFFPOSX1 + PLACED ( 280 50 ) N ;
END COMPONENTS

PINS 2 ;
- clk + NET clk
  + LAYER metal3 ( -15 -15 ) ( 15 15 )
  + PLACED ( -240 2600 ) N ;
END PINS

NETS 3 ;
- clk
  ( PIN clk )
  ( DFFPOSX1_1 CLK )
+ ROUTED metal1 ( 1360 900 ) M2_M1
  NEW metal2 ( 1360 900 ) ( * 1400 ) M2_M1
  NEW metal1 ( 1360 1400 ) ( 1200 * ) ( * 1350 )
  NEW metal3 ( -239 1400 ) ( 0 * ) M3_M2 ;
- q
  ( INVX1_1 A )
  ( DFFPOSX1_1 Q ) ;
- alone
  ( PIN alone ) ;
END NETS

SPECIALNETS 1 ;
- vdd
+ ROUTED metal6 160 + SHAPE STRIPE ( 0 -260 ) ( 0 4300 ) ;
END SPECIALNETS
END DESIGN
"""

LEF = """\
MACRO INVX1
  CLASS CORE ;
  SIZE 1.600 BY 10.000 ;
  PIN A
  END A
END INVX1
MACRO FILL
  SIZE\t0.800 BY 10.000 ;
END FILL
"""


def test_die_cells_and_nets_are_read():
    placed = read_def(DEF)
    assert (placed.width, placed.height) == (73.6, 46.0)
    assert placed.cells == {"INVX1_1": "INVX1", "FILL_0": "FILL", "DFFPOSX1_1": "DFFPOSX1"}
    assert placed.nets["clk"].pins == (("PIN", "clk"), ("DFFPOSX1_1", "CLK"))


def test_wires_are_measured_by_layer_and_vias_counted():
    placed = read_def(DEF)
    expected = {"metal2": 5.0, "metal1": 1.6 + 0.5, "metal3": 2.39}
    assert placed.nets["clk"].length == pytest.approx(expected)
    assert placed.wire_length() == pytest.approx(expected)
    assert placed.nets["clk"].vias == placed.vias == 3


def test_a_word_before_the_first_point_is_no_via():
    wires, vias = read_routes("metal1 TAPER ( 0 0 ) ( 80 * ) M2_M1")
    assert wires == [Wire(layer="metal1", start=(0, 0), end=(80, 0))]
    assert vias == [Via(name="M2_M1", at=(80, 0))]


def test_nets_without_wires_are_named_unless_they_have_one_pin():
    placed = read_def(DEF)
    assert placed.unrouted == ["q"]
    assert placed.nets["alone"] == Net(pins=(("PIN", "alone"),))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("UNITS", "UNIT", "must have UNITS"),
        ("DIEAREA", "AREA", "must have UNITS and DIEAREA"),
        ("NETS 3", "NETS 4", "NETS of a DEF must be 4 as it says, not 3"),
        ("COMPONENTS 3", "COMPONENTS three", "must have a section COMPONENTS"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(old, new, message):
    with pytest.raises(InputError, match=message):
        read_def(DEF.replace(old, new, 1))


def test_sizes_of_cells_are_read():
    assert read_sizes(LEF) == {"INVX1": (1.6, 10.0), "FILL": (0.8, 10.0)}


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "must have cells"), (LEF.replace("SIZE 1", "AREA 1"), "cell INVX1 must have a SIZE")],
)
def test_cells_without_sizes_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        read_sizes(text)
