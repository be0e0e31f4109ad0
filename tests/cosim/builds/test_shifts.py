"""Shifts of wide values of which a few bits are wanted: the same bits, without the wide value."""

import re

import pytest

from gscn.cosim.builds.shifts import without_wide_shifts
from tests.cosim.builds.test_edges import check_equal

WIDE = "255'h4444444444444444444444444444444444444443444444324444432144443210"


def module(shift, *, place="i[5:0] * 3'h4", width=9, out=4):
    return f"""\
module shifts(i, v, o);
  wire [{width - 1}:0] \\$1 ;
  input [8:0] i;
  output [{out - 1}:0] o;
  wire [{out - 1}:0] o;
  input [511:0] v;
  assign \\$1  = {place};
  assign o = {shift} >> \\$1 ;
endmodule
"""


@pytest.mark.parametrize("width", [8, 9, 10])
def test_a_table_is_looked_up_in_words(tmp_path, width):
    text = module(WIDE, width=width, place="i * 3'h4")
    written = without_wide_shifts(text)
    assert "255'h" not in written
    assert max(map(int, re.findall(r"(\d+)'h", written))) == 64
    check_equal(text, written, tmp_path)


def test_a_word_of_a_vector_is_a_part_of_it(tmp_path):
    text = module("v", place="i[2:0] * 7'h40", width=10, out=64)
    written = without_wide_shifts(text)
    assert "  assign o  = v [\\$1  +: 64];\n" in written
    check_equal(text, written, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        module("63'h4332322132212110"),  # one word
        module(WIDE, width=7),  # reaches half of the table
        module(WIDE, place="i[5:0] * 3'h3"),  # a row in two words
        module(WIDE, out=5),  # likewise
        module("v", place="i[3:0] * 7'h40", width=10, out=64),  # reaches beyond the vector
        module("v", place="i[2:0] * 7'h40", width=10, out=65),
        module("v", place="i", width=9, out=4),  # not known how far
    ],
)
def test_others_stay(text):
    assert without_wide_shifts(text) == text
