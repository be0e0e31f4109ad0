"""DRAM and buffers change what the rows say, summed by hand."""

from __future__ import annotations

import math

import pytest

from gscn.perf.report.sections import memory_hierarchy


def test_dram_slows_both_and_a_buffer_helps(swat):
    endless = memory_hierarchy.limited_speedup(swat.passes, math.inf, 0)
    assert endless == pytest.approx(swat.speedup("training"))
    share = memory_hierarchy.gtx_share(swat.config.multipliers)
    values = [
        memory_hierarchy.limited_speedup(swat.passes, share, size)
        for size in memory_hierarchy.BUFFERS
    ]
    assert values == sorted(values)
    assert values[0] < values[-1]
    # At least 20 bytes per cycle at the ports and 5.46 of DRAM: everything waits for DRAM.
    assert memory_hierarchy.dram_bound_share(swat.passes, share, 0) == pytest.approx(1)
    ours = sum(p.dram_bytes(0) / share for p in swat.passes)
    dense = sum(max(p.dense_cycles, p.dense_traffic.total_bytes / share) for p in swat.passes)
    assert values[0] == pytest.approx(dense / ours)
