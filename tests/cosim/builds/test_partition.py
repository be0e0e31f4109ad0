"""Clusters with a model of their own: the same results, cycles and counters as in one model."""

import dataclasses
import re

import numpy as np
import pytest

import gscn.cosim.builds.gating
import gscn.cosim.builds.simulator
from gscn.array import ARRAYS
from gscn.cosim import Conditions, run
from gscn.cosim.builds.partition import MODULE, partition
from tests.pass_programs import random_program

CONFIG = ARRAYS["tiny"]
SEEDS = (41, 42, 43)

CLUSTER = f"""\
module {MODULE}(rst, narrow__valid, wide__payload, result, clk);
  input clk;
  output [63:0] result;
  input rst;
  input narrow__valid;
  input [511:0] wide__payload;
  \\{MODULE}.queue  queue (
    .clk(clk),
    .i(wide__payload[63:0]),
    .o(result)
  );
endmodule
module \\{MODULE}.queue (i, o, clk);
  input clk;
  input [63:0] i;
  output [63:0] o;
  reg [63:0] o = 64'd0;
  always @(posedge clk)
    o <= i;
endmodule
"""


def test_all_modules_but_the_cluster_stay(monkeypatch):
    monkeypatch.setattr(gscn.cosim.builds.gating, "PARTS", (((), ("queue",)),))
    others = ("module top(clk);\n  input clk;\nendmodule\n", f"module {MODULE}_x();\nendmodule\n")
    parts = partition(others[0] + CLUSTER + others[1])
    kept = CLUSTER[CLUSTER.index("module \\") :]
    assert parts.rest == others[0] + kept + others[1]
    assert f"module {MODULE} (" in parts.wrapper
    for port in ("input bit rst", "input bit [511:0] wide__payload", "output bit [63:0] result"):
        assert re.search(rf"^  {re.escape(port)}\b", parts.wrapper, re.MULTILINE), port
    assert "some |= changes(model.narrow___05Fvalid, narrow__valid);" in parts.calls
    assert "all |= changes(model.rst, rst);" in parts.calls
    assert "get(model.result, result);" in parts.calls


def test_without_clusters_there_is_nothing_to_part():
    assert partition("module top(clk);\n  input clk;\nendmodule\n") is None


@pytest.mark.cosim
@pytest.mark.parametrize("random_init", [False, True])
def test_parted_and_whole_core_are_equal_in_every_cycle(monkeypatch, random_init):
    config = dataclasses.replace(CONFIG, float_formats="bf16")
    programs = [random_program(seed, 1, config=config) for seed in SEEDS]
    whole = gscn.cosim.builds.simulator.build(config)
    monkeypatch.setattr(gscn.cosim.builds.simulator, "_PARTITIONED_CLUSTERS", 1)
    parted = gscn.cosim.builds.simulator.build(config)
    assert parted.digest != whole.digest
    for seed, program in enumerate(programs):
        results = [
            run(
                config,
                [program],
                Conditions(seed=seed, random_init=random_init),
                simulator=simulator,
            )[0]
            for simulator in (whole, parted)
        ]
        assert np.array_equal(results[0].memory, results[1].memory)
        assert results[0].counters == results[1].counters
        assert results[0].cycles == results[1].cycles
