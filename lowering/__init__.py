"""Lowering: convolution to tiles, jobs and a memory image; and the exact functional model."""

from lowering.passes import Plan, lower, lower_again
from lowering.program import (
    FloatOutput,
    JobSummary,
    LoweringOptions,
    OutputBlock,
    OutputFormat,
    Phase,
    Program,
)

__all__ = [
    "FloatOutput",
    "JobSummary",
    "LoweringOptions",
    "OutputBlock",
    "OutputFormat",
    "Phase",
    "Plan",
    "Program",
    "lower",
    "lower_again",
]
