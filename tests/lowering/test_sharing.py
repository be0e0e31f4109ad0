"""Load blocks depend on the tile only: regions of an image share them."""

from __future__ import annotations

import pytest

from gscn.conv import ConvShape, Pass
from lowering import LoweringOptions, lower
from tests.lowering.layers import SMALL, operands
from tests.lowering.test_lower import WIDE, check


@pytest.mark.parametrize("which", [Pass.FORWARD, Pass.INPUT_GRAD])
@pytest.mark.parametrize("trim", [True, False])
def test_all_regions_of_a_tile_have_the_same_load_blocks(which, trim):
    shape = ConvShape(n=2, c=16, h=28, w=28, k=16, r=3, s=3, padding=(1, 1))
    first, second = operands(11, shape, which, 0.1)
    options = LoweringOptions(stationary="first", trim=trim, contraction_parts=1, candidates=1)
    program = lower(SMALL, shape, which, first, second, WIDE, options)
    check(program, first, second)
    tiles = {block.row_index.tobytes() for block in program.blocks}
    widths = {block.col_index.shape for block in program.blocks}
    assert len(program.jobs) >= 3 * len(tiles) * len(widths)
    # A tile of at most 16 x 16 x 9 kernel positions, 10 % dense, is one load block.
    blocks = {addr for job in program.jobs for addr in job.load_addrs}
    assert len(blocks) == len(tiles) * len(widths)
