"""Wires that nothing reads disappear; everything else stays."""

import re

import pytest

from gscn.array import ARRAYS
from gscn.rtl_gen import generate
from gscn.rtl_gen.unread import drop_unread_wires

TEXT = """\
module top(a, b, c);
  input a;
  wire a;
  output [1:0] b;
  wire [1:0] b;
  output c;
  reg c = 1'h0;
  (* kind = "field" *)
  (* width = 1 *)
  wire \\a.field ;
  wire alias;
  wire second;
  wire [-1:0] nothing;
  wire inner;
  wire [1:0] parts;
  wire kept$1;
  other unit (
    .alias(inner)
  );
  assign \\a.field  = a;
  assign alias = inner;
  assign second = alias & 2'hf;
  assign parts[0] = a;
  assign kept$1 = a;
  assign b = { a, kept$1 };
endmodule
module other(alias);
  output alias;
  wire alias;
  assign alias = 1'h1;
endmodule
"""


def test_only_unread_wires_go():
    gone = {
        '  (* kind = "field" *)',
        "  (* width = 1 *)",
        "  wire \\a.field ;",
        "  wire alias;",
        "  wire second;",
        "  wire [-1:0] nothing;",
        "  assign \\a.field  = a;",
        "  assign alias = inner;",
        "  assign second = alias & 2'hf;",
    }
    head, tail = TEXT.split("module other")
    expected = "\n".join(line for line in head.split("\n") if line not in gone)
    assert drop_unread_wires(TEXT) == f"{expected}module other{tail}"


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return generate(ARRAYS["tiny"], tmp_path_factory.mktemp("rtl")).verilog.read_text()


def test_nothing_unread_is_left(text):
    assert drop_unread_wires(text) == text


def test_no_vector_has_a_negative_bound(text):
    assert re.search(r"\[-\d", text) is None
