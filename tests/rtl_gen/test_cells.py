"""Cells of liberty files: functions, tables and energies, of a library written by hand."""

from __future__ import annotations

import itertools
import random

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.cells import Table, parse_liberty, read_cells, verilog_expression
from tests.rtl_gen.few_cells import write_liberty

LIBRARY = """
/* units
   of all */
library(some) {
  time_unit : "1ns"; voltage_unit : "1V"; capacitive_load_unit(1, pf);
  nom_voltage : 2.5;
  lu_table_template(by_load) {
    variable_1 : total_output_net_capacitance; variable_2 : input_net_transition;
    index_1 ("1, 2"); index_2 ("1, 2, 3");
  }
  power_lut_template(by_edge) {
    variable_1 : input_transition_time; variable_2 : total_output_net_capacitance;
  }
  power_lut_template(passive) { variable_1 : input_transition_time; }
  cell (MIX) {
    area : 4.5;
    pin(A) { direction : input; capacitance : 0.25; }
    pin(B) { direction : input; capacitance : 0.5; }
    pin(Y) {
      direction : output;
      function : "A B'";
      timing() {
        related_pin : "A";
        cell_rise(by_load) { index_1 ("0, 10"); index_2 ("0, 1, 3"); values ( \\
          "0, 1, 3", \\
          "10, 11, 13"); }
        cell_fall(by_load) { index_1 ("0, 10"); index_2 ("0, 1"); values ("1, 1", "1, 1"); }
        rise_transition(scalar) { values ("0.5"); }
        fall_transition(scalar) { values ("0.7"); }
      }
      internal_power() {
        related_pin : "A";
        rise_power(by_edge) { index_1 ("0, 2"); index_2 ("0, 10"); values ("1, 2", "3, 4"); }
        fall_power(scalar) { values ("9"); }
      }
    }
  }
  cell (KEEP) {
    ff (Q0, Q1) { next_state : "D"; clocked_on : "CK"; }
    pin(CK) {
      direction : input; capacitance : 0.125;
      internal_power() {
        rise_power(passive) { index_1 ("0, 4"); values ("2, 6"); }
        fall_power(passive) { index_1 ("0, 4"); values ("1, 1"); }
      }
    }
    pin(D) { direction : input; capacitance : 1; }
    pin(Q) { direction : output; function : "Q0"; }
    pin(N) { direction : output; function : "Q1"; }
  }
  cell (CLEARED) {
    ff (Q0, Q1) { next_state : "D"; clocked_on : "CK"; clear : "!R"; }
    pin(CK) { direction : input; } pin(D) { direction : input; } pin(R) { direction : input; }
    pin(Q) { direction : output; function : "Q0"; }
  }
  cell (HELD) {
    latch (Q0, Q1) { data_in : "D"; enable : "E"; }
    pin(D) { direction : input; } pin(E) { direction : input; }
    pin(Q) { direction : output; function : "Q0"; }
  }
  cell (DRIVES) {
    pin(A) { direction : input; } pin(E) { direction : input; }
    pin(Y) { direction : output; function : "A"; three_state : "!E"; }
  }
}
"""


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "some.lib"
    path.write_text(LIBRARY)
    return read_cells(path)


def test_gates_and_plain_registers_are_read_and_nothing_else(library):
    assert set(library.cells) == {"MIX", "KEEP", "HELD"}
    assert library.voltage == 2.5
    assert library["MIX"].area == 4.5
    assert library["MIX"].loads == {"A": 0.25, "B": 0.5}
    assert library["MIX"].clock is None
    assert (library["KEEP"].clock, library["KEEP"].latch) == ("CK", False)
    assert (library["HELD"].clock, library["HELD"].latch) == ("E", True)
    assert library["HELD"].outputs["Q"].function == "D"
    assert library.latch == library["HELD"]
    assert {pin: one.function for pin, one in library["KEEP"].outputs.items()} == {
        "Q": "D", "N": "(~D)"
    }  # fmt: skip
    with pytest.raises(InputError, match="gate or register of the liberty, not 'CLEARED'"):
        library["CLEARED"]


def test_tables_are_over_loads_and_transitions_whichever_comes_first(library):
    (delays,) = library["MIX"].outputs["Y"].delays
    assert delays.rise.at(0, 0) == 0
    assert delays.rise.at(5, 2) == 5 + 2
    assert delays.rise.at(50, 9) == 13  # beyond the ends
    assert delays.fall.at(3, 0.5) == 1
    (edges,) = library["MIX"].outputs["Y"].transitions
    assert (edges.rise.at(7, 7), edges.fall.at(0, 0)) == (0.5, 0.7)
    (energies,) = library["MIX"].outputs["Y"].energies
    assert energies.rise.at(10, 0) == 2
    assert energies.rise.at(5, 1) == 2.5
    assert energies.fall.at(1, 1) == 9
    clock = library["KEEP"].input_energies["CK"]
    assert (clock.rise.at(0, 1), clock.fall.at(0, 1)) == (3, 1)


def test_a_table_goes_through_its_points_and_straight_between_them():
    rng = random.Random(1)
    loads, edges = (0.0, 1.0, 4.0), (0.5, 2.0)
    values = tuple(tuple(rng.random() for _ in edges) for _ in loads)
    table = Table(loads=loads, transitions=edges, values=values)
    for (row, load), (column, edge) in itertools.product(enumerate(loads), enumerate(edges)):
        assert table.at(load, edge) == values[row][column]
    assert table.at(2.5, 2.0) == pytest.approx((values[1][1] + values[2][1]) / 2)
    assert table.at(4.0, 1.25) == pytest.approx((values[2][0] + values[2][1]) / 2)


@pytest.mark.parametrize(
    ("function", "meaning"),
    [
        ("A", "A"),
        ("!A", "1 - A"),
        ("A' B", "(1 - A) & B"),
        ("(!((A B)+(C D)))", "1 - (A & B | C & D)"),
        ("A ^ B C", "(A ^ B) & C"),
        ("A + B * C ^ D", "A | B & (C ^ D)"),
        ("(A|B)' & (C^D)", "(1 - (A | B)) & (C ^ D)"),
        ("((A^B)^C)", "A ^ B ^ C"),
        ("!A'", "A"),
    ],
)
def test_functions_mean_the_same_in_verilog(function, meaning):
    expression = verilog_expression(function)
    for bits in itertools.product((0, 1), repeat=4):
        pins = dict(zip("ABCD", bits, strict=True))
        # operators are Python's, too, and there are parentheses everywhere
        assert eval(expression, pins) & 1 == eval(meaning, pins)


@pytest.mark.parametrize("function", ["", "A +", "(A", "A)", "A ! B )", "+ A"])
def test_functions_that_are_none(function):
    with pytest.raises(InputError, match="function must"):
        verilog_expression(function)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("library(a) {", "an end for each"),
        ("library(a) { x = 3; }", "behind 'x'"),
        ("library(a) { x(3) y; }", r"behind x\(...\)"),
        ("", "one library, not 0"),
    ],
)
def test_what_is_no_liberty_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_liberty(text)


def test_other_units_are_refused(tmp_path):
    path = tmp_path / "other.lib"
    path.write_text(LIBRARY.replace('"1ns"', '"1ps"'))
    with pytest.raises(InputError, match="ns, V and pF, not 1ps"):
        read_cells(path)


def test_a_library_of_tests_is_one(tmp_path):
    library = read_cells(write_liberty(tmp_path / "few.lib"))
    assert set(library.cells) == {"INVX1", "BUFX1", "NAND2X1", "NOR2X1", "DFFX1"}
