"""The order in which lines are read ahead: all of a pass's operands and tables, each once."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.conv import Pass
from gscn.cycles.descriptors import PASS
from gscn.cycles.port.read_order import read_order
from gscn.dram import LINE_BYTES
from gscn.passes import Mode
from gscn.perf.estimate.buffer import listed, regions
from tests.cycles.port.test_dram import lowered


def descriptors(image):
    found = listed(image)
    records = np.zeros(found.size, PASS)
    for name in PASS.names:
        records[name] = found[name]
    return records


@pytest.mark.parametrize("which", Pass)
def test_all_lines_of_operands_and_tables_are_read_once(which):
    image = lowered(which)
    entries = image.initial_memory()[: image.image.size // 4 * 4].view("<u4")
    wanted = set()
    for region in regions(image):
        wanted |= set(range(region.begin // LINE_BYTES, -(-region.end // LINE_BYTES)))
    found = [read_order(one, entries) for one in descriptors(image)]
    for order in found:
        assert np.unique(order).size == order.size
    assert set(np.concatenate(found).tolist()) == wanted


def test_maps_of_a_weight_gradient_are_read_sample_by_sample():
    image = lowered(Pass.WEIGHT_GRAD)
    one = descriptors(image)[0]
    entries = image.initial_memory()[: image.image.size // 4 * 4].view("<u4")
    order = read_order(one, entries).tolist()
    assert one["mode"] == Mode.CORRELATE
    where = {line: at for at, line in enumerate(order)}
    begins = []
    for side, strips in (("s", "s_chunks"), ("t", "t_strips")):
        groups = int(one[f"{side}_groups"])
        rows = int(one[f"{side}_table"]) // 4 + groups * int(one[strips]) * np.arange(3)
        lines = (int(one[f"{side}_data"]) + 2 * entries[rows].astype(np.int64)) // LINE_BYTES
        begins.append([where[int(line) + 1] for line in lines])
    # every map's second sample comes behind the other's first
    assert min(begins[0][1], begins[1][1]) > max(begins[0][0], begins[1][0])
    assert min(begins[0][2], begins[1][2]) > max(begins[0][1], begins[1][1])
