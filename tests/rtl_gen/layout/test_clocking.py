"""Registers that can be scanned and clocks that can be gated, by hand; the generated Verilog's."""

# amaranth: UnusedElaboratable=no

import json

import pytest

from gscn.array import array
from gscn.errors import InputError
from gscn.hw.pe.worker import Worker
from gscn.rtl_gen.array_verilog import TOP_MODULE, array_verilog
from gscn.rtl_gen.layout.clocking import (
    LEAST_GATED,
    Clocking,
    check_loops,
    measure_clocking,
    read_clocking,
)
from gscn.rtl_gen.verilog import to_verilog


def module(body, ports="input clk, input e, input [7:0] i, output reg [7:0] q, output reg p"):
    return f"module top({ports}); {body} endmodule"


def test_flip_flops_are_counted_by_their_enables():
    text = module(
        "reg [3:0] few; reg plain; always @(posedge clk) begin plain <= i[0]; p <= few[2] ^ plain;"
        " if (e) q <= i; if (i[4]) few <= i[3:0]; end"
    )
    # One bit of `few` alone is read.
    assert measure_clocking(text, "top") == Clocking(flip_flops=11, enabled=9, gateable=8, gates=1)
    assert measure_clocking(text, "top").share == 8 / 11
    assert Clocking(flip_flops=0, enabled=0, gateable=0, gates=0).share == 0


def test_an_enable_counts_with_its_polarity():
    text = module(
        "always @(posedge clk) begin if (e) q[3:0] <= i[3:0]; if (!e) q[7:4] <= i[7:4]; p <= e; end"
    )
    found = measure_clocking(text, "top")
    assert (found.enabled, found.gateable) == (8, 0)
    assert LEAST_GATED == 8


@pytest.mark.parametrize(
    "body",
    [
        "always @* if (e) q = i;",
        "always @(negedge clk) q <= i;",
        "wire gated = clk & e; always @(posedge gated) q <= i;",
        "reg half; always @(posedge clk) half <= ~half; always @(posedge half) q <= i;",
        "always @(posedge clk or posedge e) if (e) q <= 0; else q <= i;",
        "reg [7:0] m [0:9]; always @(negedge clk) m[i] <= i; always @* q = m[{e, i[1:0]}];",
        "reg [7:0] m [0:9]; always @(posedge clk) m[0] <= i; always @(posedge e) q <= m[i];",
    ],
    ids=["latch", "edge", "gated", "divided", "asynchronous", "write", "read"],
)
def test_what_cannot_be_scanned_is_refused(body):
    with pytest.raises(InputError, match="must be flip-flops on the rising edge of clk"):
        measure_clocking(module(body), "top")


def test_loops_of_logic_are_refused():
    with pytest.raises(InputError, match="must have no loops, but top has 1"):
        measure_clocking(
            module("wire a = e & b; wire b = ~a; always @(posedge clk) p <= b;"), "top"
        )
    check_loops("Warning: Wire top.a is used but has no driver.\n")


@pytest.mark.parametrize("text", ["", "[]", '{"modules": {}}', '{"modules": {"top": {}}}'])
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="must be what `write_json` writes"):
        read_clocking(text, "top")


def test_a_module_without_registers_needs_no_clock():
    text = json.dumps({"modules": {"top": {"ports": {}, "cells": {}}}})
    assert read_clocking(text, "top") == Clocking(flip_flops=0, enabled=0, gateable=0, gates=0)


@pytest.mark.parametrize(
    "changes", [[], ["float_formats=bf16,fp8_e4m3"]], ids=["integers", "floats"]
)
def test_a_pe_can_be_scanned(changes):
    config = array("tiny").with_overrides(changes)
    found = measure_clocking(to_verilog(lambda: Worker(config=config), "top").text, "top")
    assert 0 < found.gateable <= found.enabled <= found.flip_flops


@pytest.mark.slow
@pytest.mark.parametrize("changes", [[], ["float_formats=bf16,fp8_e4m3", "ports=2"]])
def test_arrays_can_be_scanned(changes):
    config = array("tiny").with_overrides(changes)
    found = measure_clocking(array_verilog(config).text, TOP_MODULE)
    assert found.flip_flops > 1000
    assert found.share > 0.5
