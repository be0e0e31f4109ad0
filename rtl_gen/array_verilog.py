"""Verilog of an array that cuts its own jobs."""

from __future__ import annotations

from gscn.array import ArrayConfig
from gscn.hw.core.array import Array
from gscn.rtl_gen.verilog import VerilogModule, to_verilog

ARRAY_MODULE = "gscn_top"
"""Name of its top module."""


def array_verilog(config: ArrayConfig) -> VerilogModule:
    """Return the Verilog of the array, the cluster and other shared modules once each."""
    return to_verilog(lambda: Array(config=config), ARRAY_MODULE)
