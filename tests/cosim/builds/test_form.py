"""What simulators are compiled with."""

from __future__ import annotations

import itertools

import pytest

from gscn.array import array
from gscn.cosim.builds.form import COMMON_FLAGS, Form
from gscn.cosim.builds.toolchain import SAFE_FLAGS


def test_every_file_of_a_simulator_is_compiled_so_that_sums_of_comparisons_are_right():
    flags = Form("", False, False).verilator_flags(array("small"))
    assert ("-CFLAGS", SAFE_FLAGS) in itertools.pairwise(flags)
    assert SAFE_FLAGS in COMMON_FLAGS  # those of clusters with a model of their own


@pytest.mark.parametrize("axi", [False, True])
@pytest.mark.parametrize("lists", [False, True])
def test_forms_are_told_apart_by_options_and_folders(axi, lists):
    form = Form("vcd", axi, lists)
    flags = form.verilator_flags(array("small"))
    assert ("+define+GSCN_LISTS" in flags) == lists
    assert any(flag.startswith("-GID_WIDTH") for flag in flags) == axi
    assert "--trace-vcd" in flags
    folders = {"rtl": (False, False), "axi": (True, False)}
    folders |= {"lists": (False, True), "lists-axi": (True, True)}
    assert folders[form.folder] == (axi, lists)
    assert form.sources[-1] == ("testbench_axi.sv" if axi else "testbench.sv")


def test_ports_are_named_as_those_of_the_top():
    config = array("small").with_overrides(["ports=2"])
    lines = Form("", False, False).ports_text(config)
    assert lines == "`GSCN_PORT(mem0, 0)\n`GSCN_PORT(mem1, 1)\n"
