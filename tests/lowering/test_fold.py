"""Folded kernel columns: ranges of one sorted row, whatever stride, padding and dilation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.lowering import LoweringOptions, lower
from gscn.lowering.geometry import ColumnRanges
from gscn.lowering.operands import Nonzeros
from gscn.program import OutputFormat
from tests.lowering.layers import SMALL, TINY, operands, shapes
from tests.lowering.test_lower import WIDE, check


@settings(max_examples=200)
@given(shape=shapes(largest=14), output_held=st.booleans())
def test_each_streamed_column_meets_a_range_that_names_its_kernel_columns(shape, output_held):
    ranges = ColumnRanges.of(shape, output_held=output_held)
    found = {
        (held, streamed, int(ranges.held_part[held] + ranges.streamed_part[streamed]))
        for held in range(ranges.rank.size)
        for streamed in range(ranges.first.size)
        if ranges.first[streamed] <= ranges.rank[held] < ranges.last[streamed]
    }
    stride, padding, dilation = shape.stride[1], shape.padding[1], shape.dilation[1]
    met = {
        (q, x, s) if output_held else (x, q, s)
        for q in range(shape.q)
        for s in range(shape.s)
        if 0 <= (x := q * stride + s * dilation - padding) < shape.w
    }
    assert found == met
    assert sorted(ranges.rank.tolist()) == list(range(ranges.rank.size))


@settings(max_examples=40)
@given(
    shape=shapes(largest=12),
    stationary=st.sampled_from(["first", "second"]),
    config=st.sampled_from([TINY, SMALL]),
    density=st.sampled_from([0.1, 0.5, 1.0]),
    seed=st.integers(0, 1 << 30),
)
def test_folded_weight_gradients_equal_the_oracle(shape, stationary, config, density, seed):
    first, second = operands(seed, shape, Pass.WEIGHT_GRAD, density)
    options = LoweringOptions(stationary=stationary, fold=True, candidates=1)
    program = lower(config, shape, Pass.WEIGHT_GRAD, first, second, WIDE, options)
    assert ("folded" in program.plan) == (shape.s > 1)
    check(program, first, second)


@pytest.mark.parametrize("stationary", ["first", "second"])
def test_one_look_up_serves_a_kernel_row_without_copies(stationary):
    shape = ConvShape(n=1, c=8, h=12, w=12, k=8, r=1, s=5, padding=(0, 2))
    first, second = operands(3, shape, Pass.WEIGHT_GRAD, 0.5)
    held, streamed = (first, second) if stationary == "first" else (second, first)
    program = lower(
        SMALL, shape, Pass.WEIGHT_GRAD, first, second, OutputFormat(width=32),
        LoweringOptions(stationary=stationary, fold=True, contraction_parts=1, candidates=1),
    )  # fmt: skip
    tiles = len({block.plane_index.tobytes() for block in program.blocks})
    copies = len({block.row_index.tobytes() for block in program.blocks})
    # Each tile of streamed channels holds the stationary operand once, and each word that meets
    # anything looks up once in each tile of stationary channels.
    lookups = sum(sum(job.lookups) for job in program.jobs)
    assert 0 < lookups <= tiles * Nonzeros.of(streamed).value.size
    keys = shape.h * shape.w
    taps_and_headers = 2 + SMALL.pes_per_cluster
    chunks = sum(sum(job.load_chunks) for job in program.jobs)
    segments = sum(len(job.load_chunks) for job in program.jobs)
    entries = copies * Nonzeros.of(held).value.size
    directories = len(program.jobs) * SMALL.pes_per_cluster * keys
    padding = segments * (taps_and_headers + SMALL.pes_per_cluster)
    assert chunks <= (entries + directories) / 2 + padding
