"""Wires of a net that meet without a via."""

import pytest

from gscn.rtl_gen.layout.def_file import Via, read_def, read_routes
from gscn.rtl_gen.layout.lost_vias import lost_vias, with_lost_vias
from tests.rtl_gen.layout.test_def_file import DEF

# Between tracks 80 apart, as qrouter left one: metal3 comes from both sides to where metal2 begins.
LOST = """metal1 ( 160 500 ) M2_M1
  NEW metal2 ( 160 500 ) ( * 400 ) ( 80 * )
  NEW metal3 ( -400 400 ) ( 80 * )
  NEW metal3 ( 800 400 ) ( 80 * )
  NEW metal1 ( 800 400 ) M2_M1
  NEW metal2 ( 800 400 ) M3_M2"""
FOUND = Via(name="M3_M2", at=(80, 400))


def test_wires_are_joined_where_most_of_them_end():
    assert lost_vias(*read_routes(LOST)) == [FOUND]
    wires, vias = read_routes(LOST)
    assert lost_vias(wires, [*vias, FOUND]) == []


def test_every_piece_that_meets_another_is_joined():
    wires, vias = read_routes(LOST + "\n  NEW metal4 ( 640 0 ) ( * 900 )")
    found = lost_vias(wires, vias)
    assert sorted(found, key=lambda via: via.name) == [FOUND, Via(name="M4_M3", at=(640, 400))]


@pytest.mark.parametrize(
    "routes",
    [
        "metal1 ( 0 0 ) ( 80 * )",
        "metal1 ( 0 0 ) ( 80 * )\n  NEW metal1 ( 160 0 ) ( 240 * )",
        "metal1 ( 0 0 ) ( 80 * )\n  NEW metal2 ( 80 100 ) ( * 200 )",
        "metal1 ( 0 0 ) ( 80 * )\n  NEW metal3 ( 80 0 ) ( * 200 )",
        # they cross, and are joined elsewhere
        "metal1 ( 0 0 ) ( 80 * ) M2_M1\n  NEW metal2 ( 80 0 ) ( 80 100 ) ( 40 * ) ( * -80 )",
        "",
    ],
    ids=["one", "apart", "beside", "two layers", "joined", "none"],
)
def test_other_wires_are_left_alone(routes):
    assert lost_vias(*read_routes(routes)) == []


def test_only_nets_that_are_asked_for_are_mended():
    text = DEF.replace(
        "metal3 ( -239 1400 )", "metal2 ( -239 1300 ) ( * 1400 ) ( 0 * )\n  NEW metal3 ( 0 1400 )"
    )
    text = text.replace("( 0 * ) M3_M2 ;", "( -80 * ) ;")
    assert with_lost_vias(text, ["q", "vdd"]) == text
    mended = with_lost_vias(text, {"clk": 2})
    assert mended == text.replace(
        "NEW metal3 ( 0 1400 ) ( -80 * ) ;",
        "NEW metal3 ( 0 1400 ) ( -80 * )\n  NEW metal2 ( 0 1400 ) M3_M2 ;",
    )
    assert read_def(mended).vias == read_def(text).vias + 1
