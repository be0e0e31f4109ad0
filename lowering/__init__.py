"""Lowering: one pass of a convolution to a `gscn.program.Program`: tiles, jobs, a memory image."""

from gscn.lowering.options import LoweringOptions
from gscn.lowering.passes import Plan, lower, lower_again

__all__ = ["LoweringOptions", "Plan", "lower", "lower_again"]
