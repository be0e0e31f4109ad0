"""Load blocks depend on the tile only: regions of an image share them. Streams wait as drafted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gscn.conv import ConvShape, Pass
from gscn.lowering import LoweringOptions, lower
from gscn.lowering.drafts import TileDraft, Walk, empty_segment
from gscn.lowering.image import build_image
from gscn.records import queue_entries, segment_descriptors
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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stream_wait", 0),
        ("stream_wait", 1),
        ("stream_wait", 0xFFFF),
        ("load_sharers", 1),
        ("load_sharers", 0xFF),
        ("stream_sharers", 2),
        ("stream_sharers", 0xFF),
    ],
)
def test_how_a_draft_waits_reaches_the_descriptor_of_every_job(field, value):
    segment = replace(empty_segment(SMALL.pes_per_cluster), **{field: value})
    index = np.zeros((1, SMALL.pes_per_cluster, 1), dtype=np.int64)
    tile = TileDraft(
        plane_index=index,
        row_index=index,
        col_index=index,
        walk=Walk(pitch=1, guard_cols=0, rows=1, planes=1),
        parts=[[segment, empty_segment(SMALL.pes_per_cluster)], [segment]],
    )
    image = build_image([tile], WIDE, SMALL)
    waits = [
        segment_descriptors(image.data, entry)[field].tolist()
        for phase in image.phases
        for entry in queue_entries(image.data, phase.queue_addr, phase.job_count)
    ]
    # the last job adds the partial sums of the other two
    assert sorted(waits[:2]) == sorted([[value, 0], [value]])
    assert waits[2:] == [[0, 0]]
