"""Streams in a dense array, whose takers are always ready."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, stream

from gscn.array import ArrayConfig


def factor_stream(config: ArrayConfig) -> stream.Signature:
    """Return operands that travel along a row.

    Each is multiplied by the operand of the column that is there in that cycle; `last` ends a sum.
    """
    factor = data.StructLayout({"last": 1, "value": signed(config.value_width)})
    return stream.Signature(factor, always_ready=True)


def sum_stream(config: ArrayConfig) -> stream.Signature:
    """Return sums on their way out."""
    return stream.Signature(signed(config.acc_width), always_ready=True)
