"""DRAM behind the ports: a buffer written down plainly, and what it must do to any pass."""

from __future__ import annotations

import functools
import math
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import simulate_passes
from gscn.cycles.port.channels import BURST
from gscn.cycles.port.dram import (
    WRITE_SLACK_CYCLES,
    has_write_room,
    new_lines,
    new_memory,
    read_lines,
    use_line,
    write_beats,
)
from gscn.dram import LINE_BYTES, Dram
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat
from gscn.perf.estimate.buffer import owners_of, replay

TINY = ARRAYS["tiny"]
SHAPE = ConvShape(n=3, c=20, h=12, w=12, k=24, r=3, s=3, padding=(1, 1))


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 6))
def test_the_line_used_longest_ago_is_replaced(used, capacity):
    lines, held, plain = new_lines(10), 0, OrderedDict()
    for line in used:
        hit, held = use_line(lines, line, capacity, held)
        assert hit == (line in plain)
        if not hit and len(plain) == capacity:
            plain.popitem(last=False)
        plain[line] = None
        plain.move_to_end(line)
        assert held == len(plain)


def burst(beat, beats, due):
    one = np.zeros(1, BURST)[0]
    one["beat"], one["beats"], one["due"] = beat, beats, due
    return np.array([one], BURST)


def test_bursts_come_when_dram_has_delivered_their_lines_by_hand():
    # 16 cycles a line; beats of 64 bytes; a command of cycle 10 reaches memory in cycle 11
    memory = new_memory(Dram(bytes_per_cycle=4.0, buffer_bytes=2 * LINE_BYTES), 1 << 12)
    first, again, other = burst(4, 2, 111), burst(5, 1, 112), burst(-1, 1, 113)
    for one, now in ((first, 10), (again, 11), (other, 12)):
        read_lines(memory, one[0], 6, 100, now)
    assert first["due"][0] == 11 + 2 * 16 + 100
    assert again["due"][0] == 112  # the buffer holds its line
    assert other["due"][0] == 11 + 3 * 16 + 100  # the list of passes is not kept


def test_results_are_not_taken_while_dram_is_far_behind():
    memory = new_memory(Dram(bytes_per_cycle=4.0), 1 << 12)
    beats = WRITE_SLACK_CYCLES // 16
    write_beats(memory, beats, 6, 100)
    assert has_write_room(memory, 100)
    write_beats(memory, 1, 6, 100)
    assert not has_write_room(memory, 100)
    assert has_write_room(memory, 116)


@functools.cache
def lowered(which):
    rng = np.random.default_rng(5)
    operands = [(rng.random(size) < 0.4).astype(np.int64) for size in SHAPE.operand_shapes(which)]
    return lower_pass(TINY, SHAPE, which, *operands, OutputFormat(width=16))


def simulated(image, **memory):
    return simulate_passes(
        TINY, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
        bursts=True, **memory,
    )  # fmt: skip


@pytest.mark.parametrize("which", Pass)
def test_dram_that_is_no_limit_changes_no_cycle(which):
    image = lowered(which)
    alone = simulated(image)
    behind = simulated(image, dram=Dram(bytes_per_cycle=1e9, buffer_bytes=1 << 14))
    assert alone.cycles == behind.cycles
    assert (alone.counters == behind.counters).all()


@pytest.mark.parametrize("capacity", [0, 1 << 12, 1 << 20])
@pytest.mark.parametrize("which", Pass)
def test_a_pass_takes_as_long_as_dram_moves_its_bytes(which, capacity):
    image, rate = lowered(which), 0.5
    result = simulated(image, dram=Dram(bytes_per_cycle=rate, buffer_bytes=capacity))
    read = replay(TINY, result.bursts, owners_of(image, result.bursts), capacity)
    moved = read.total + result.write_beats * TINY.mem_bytes
    # what is written last is under way when the pass ends
    least = moved / rate - WRITE_SLACK_CYCLES - 1000
    assert least <= result.cycles <= 1.1 * moved / rate + simulated(image).cycles
    if capacity == 1 << 20:
        assert read.total < image.operand_bytes + LINE_BYTES * 64


@pytest.mark.parametrize("dram", [None, Dram(bytes_per_cycle=math.inf)])
def test_lines_of_a_dram_that_is_no_limit_take_no_time(dram):
    assert not new_memory(dram, 64).dram["line_ticks"][0]
